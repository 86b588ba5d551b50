"""List and watch of one resource, in the agent's event loop: the node's own view of the API.

A watch that ends goes on from the revision it last saw; one that was compacted (410) lists anew. Whoever wants to know
gets every change once, also those that happened while nobody watched.
"""

import asyncio
import contextlib
import logging
import random
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import urlencode

import msgspec

from nodeworker.agent.api import ApiClient, ApiError

log = logging.getLogger(__name__)
Object = dict[str, Any]
Key = tuple[str, str]  # namespace, name
OnChange = Callable[[str, Object], None]  # ADDED, MODIFIED, DELETED; called in the loop's thread
LONGEST_LINE = 1 << 24
WATCH_SECONDS = 600
LONGEST_PAUSE = 2.0


class Gone(Exception):  # noqa: N818
    """The revision asked for is compacted."""


class Watch:
    """Keeps `objects` as the API has them and reports changes."""

    def __init__(
        self, api: ApiClient, path: str, on_change: OnChange, *, field_selector: str = "", quiet: bool = False
    ) -> None:
        self.api, self.path, self.on_change = api, path, on_change
        self.field_selector = field_selector
        self.objects: dict[Key, Object] = {}
        self.synced = asyncio.Event()  # set once the first list is in
        self.connected = False
        self.quiet = quiet  # being refused is nothing to complain about
        self._revision = ""

    async def run(self) -> None:
        """Until cancelled."""
        pause = 0.05
        while True:
            try:
                if not self._revision:
                    await self._list()
                self.connected = True
                async for event in self._events():
                    pause = 0.05
                    self._take(event)
            except Gone:
                self._revision = ""
            except asyncio.CancelledError:
                raise
            except (OSError, ApiError, asyncio.IncompleteReadError, ValueError, msgspec.MsgspecError) as problem:
                if not self.quiet and pause >= LONGEST_PAUSE:
                    log.warning("watching %s: %s", self.path, problem)
                pause = min(pause * 2, LONGEST_PAUSE)
            except Exception:
                log.exception("watching %s; beginning anew", self.path)
                self._revision, pause = "", LONGEST_PAUSE
            finally:
                self.connected = False
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))

    def put(self, entry: Object, *, insert: bool = False) -> None:
        """Take in an object that the API returned to a request of ours, unless something newer is known.

        Only `insert` adds one that is not known: the answer to a write may come after the news that the object is gone.
        """
        key = _key(entry)
        known = self.objects.get(key)
        if known is None:
            if insert:
                self.objects[key] = entry
        elif known["metadata"]["uid"] == entry["metadata"]["uid"] and _is_newer(entry, known):
            self.objects[key] = entry

    async def _list(self) -> None:
        query = urlencode({"fieldSelector": self.field_selector}) if self.field_selector else ""
        path = f"{self.path}?{query}" if query else self.path
        listing = await asyncio.get_running_loop().run_in_executor(None, self.api.get, path)
        found = {_key(entry): entry for entry in listing.get("items") or ()}
        for key in [key for key in self.objects if key not in found]:
            self.on_change("DELETED", self.objects.pop(key))
        for key, entry in found.items():
            known = self.objects.get(key)
            if known is not None and known["metadata"]["uid"] != entry["metadata"]["uid"]:
                self.on_change("DELETED", self.objects.pop(key))
                known = None
            if known is None or _is_newer(entry, known):
                self.objects[key] = entry
                self.on_change("ADDED" if known is None else "MODIFIED", entry)
        self._revision = str(listing["metadata"]["resourceVersion"])
        self.synced.set()

    def _take(self, event: Object) -> None:
        verb, entry = event["type"], event["object"]
        if verb == "ERROR":
            if entry.get("code") == 410:
                raise Gone
            raise ApiError(int(entry.get("code") or 500), str(entry.get("reason")), str(entry.get("message")))
        self._revision = str(entry["metadata"]["resourceVersion"])
        if verb == "BOOKMARK":
            return
        key = _key(entry)
        known = self.objects.get(key)
        if known is not None and known["metadata"]["uid"] != entry["metadata"]["uid"] and verb != "DELETED":
            self.on_change("DELETED", self.objects.pop(key))
            known = None
        if verb == "DELETED":
            if known is None or known["metadata"]["uid"] == entry["metadata"]["uid"]:
                self.objects.pop(key, None)
                self.on_change("DELETED", entry)
            return
        if known is not None and not _is_newer(entry, known):
            return  # the answer to our own write was here first
        self.objects[key] = entry
        self.on_change(verb, entry)

    async def _events(self) -> AsyncIterator[Object]:
        query = {"watch": "1", "allowWatchBookmarks": "true", "resourceVersion": self._revision}
        query["timeoutSeconds"] = str(WATCH_SECONDS)
        if self.field_selector:
            query["fieldSelector"] = self.field_selector
        async for line in _lines(self.api, f"{self.path}?{urlencode(query)}"):
            yield msgspec.json.decode(line)


async def _lines(api: ApiClient, path: str) -> AsyncIterator[bytes]:
    """The lines of a streaming response."""
    server_name = api.host if api.context is not None else None
    connecting = asyncio.open_connection(
        api.host, api.port, ssl=api.context, server_hostname=server_name, limit=LONGEST_LINE
    )
    reader, writer = await asyncio.wait_for(connecting, 10)
    try:
        head = f"GET {path} HTTP/1.1\r\nHost: {api.host}:{api.port}\r\nAccept: application/json\r\n\r\n"
        writer.write(head.encode())
        status, headers = await read_head(reader)
        if status == 410:
            raise Gone
        if status != 200:
            raise ApiError(status, "", f"GET {path.partition('?')[0]}: HTTP {status}")
        chunks = _chunks(reader) if headers.get("transfer-encoding", "").lower() == "chunked" else _plain(reader)
        rest = b""
        async for chunk in chunks:
            *whole, rest = (rest + chunk).split(b"\n")
            for line in whole:
                if line.strip():
                    yield line
    finally:
        writer.close()
        with contextlib.suppress(Exception):
            writer.transport.abort()


async def read_head(reader: asyncio.StreamReader) -> tuple[int, dict[str, str]]:
    """Status and headers (names in lower case) of an HTTP/1.1 response."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.split("\r\n")
    parts = first.split(" ", 2)
    if len(parts) < 2 or not parts[1].isdigit():
        raise ValueError(f"not an HTTP response: {first[:60]!r}")
    headers = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if colon:
            headers[name.strip().lower()] = value.strip()
    return int(parts[1]), headers


async def _chunks(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while True:
        line = await asyncio.wait_for(reader.readline(), WATCH_SECONDS + 30)
        if not line:
            return
        size = int(line.split(b";")[0], 16)
        if size == 0:
            return
        yield await reader.readexactly(size)
        await reader.readexactly(2)


async def _plain(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while chunk := await reader.read(65536):
        yield chunk


def _key(entry: Object) -> Key:
    metadata = entry["metadata"]
    return str(metadata.get("namespace", "")), str(metadata["name"])


def _is_newer(entry: Object, known: Object) -> bool:
    """Revisions of this API are numbers; the newest wins."""
    try:
        return int(entry["metadata"]["resourceVersion"]) > int(known["metadata"]["resourceVersion"])
    except (KeyError, ValueError):
        return True
