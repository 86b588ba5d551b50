"""`POST /rest/v1/images/import` as it is served: an ASGI application that reads the archive while it arrives.

Mounted by dashboard.asgi in front of Django, which would first write the whole upload to its temporary folder. Same
address, same rules, same answer as `rest.ImportView`, which describes it in the schema. The answer begins when the
archive has been read to its end: a client that sends and does not listen meanwhile is not held up by lines nobody
takes.
"""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qs

import msgspec

from apps.access.authorize import authorize_async
from apps.access.identity import authenticate
from apps.access.origins import check_origin
from apps.images.rest import import_images
from apps.images.streams import NDJSON, Lines

PATH = "/rest/v1/images/import"
Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class _Body:
    """The request's body as a file that a thread reads; the event loop fetches a piece when it is asked for."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._loop = asyncio.get_running_loop()
        self._rest = b""
        self._more = True

    def read(self, size: int, /) -> bytes:
        """Return up to `size` bytes; empty at the end. Called in the importing thread."""
        while not self._rest and self._more:
            self._rest = asyncio.run_coroutine_threadsafe(self._next(), self._loop).result()
        piece, self._rest = self._rest[:size], self._rest[size:]
        return piece

    async def drain(self) -> None:
        """Read what is left: a client that still sends would not see the answer."""
        while self._more:
            await self._next()

    async def _next(self) -> bytes:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self._more = False
            # The archive is cut here, and the import says so: to nobody, but it leaves nothing behind.
            return b""
        self._more = message.get("more_body", False)
        return bytes(message.get("body", b""))


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer one upload."""
    body = _Body(receive)
    refusal = await _refusal(scope)
    if refusal is not None:
        await body.drain()
        return await _answer(send, refusal[0], [msgspec.json.encode({"error": refusal[1], "reason": refusal[2]})])
    name = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("name", [""])[0]
    work = Lines(lambda report: import_images(body, report, name))
    said = [line async for line in work]
    await body.drain()
    if work.error:
        # Nothing was sent yet, so the status can tell; one document then, as every other refusal.
        return await _answer(send, work.error.status, said[-1:])
    return await _answer(send, 200, said)


async def _refusal(scope: Scope) -> tuple[int, str, str] | None:
    """Return status, sentence and reason for who may not import, or for another method."""
    if scope["method"] != "POST":
        return 405, "an archive is imported by POST", "MethodNotAllowed"
    identity = await authenticate(scope)
    if identity is None:
        return 401, "say who you are: with a token, a certificate or a session", "Unauthorized"
    if identity.source == "session" and not check_origin(scope):
        return 403, "the request does not come from a page of this console", "Forbidden"
    decision = await authorize_async(identity, "create", "images", "", "", "import")
    if not decision.allowed:
        why = decision.reason or "no role of theirs allows it"
        return 403, f'User "{identity.name}" cannot import images: {why}', "Forbidden"
    return None


async def _answer(send: Send, status: int, said: list[bytes]) -> None:
    headers = [(b"content-type", NDJSON.encode()), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"".join(said)})
