"""GET /v1/pods/{uid}/logs/{container}: log lines as text or NDJSON, followed if asked.

`read_log` blocks, so it runs in a thread; what it yields is gathered and written as fast as the client reads.
"""

import asyncio
import concurrent.futures
import json
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from nodeworker.runtime.logs import LogLine, read_log
from nodeworker.runtime.runtime import Runtime
from nodeworker.streaming.http import Answer, Request, RequestProblem

log = logging.getLogger(__name__)
FULL = 1 << 19  # bytes waiting for the client before the reader waits too
FOLLOWERS = 256


@dataclass(frozen=True)
class LogQuery:
    """What is asked of a container's log."""

    uid: str
    container: str
    attempt: int
    follow: bool
    tail: int | None
    since: float | None
    from_line: int | None
    limit_bytes: int | None
    timestamps: bool
    ndjson: bool


def parse_query(request: Request, runtime: Runtime, uid: str, container: str, now: float) -> LogQuery:
    """Read the parameters; RequestProblem says what is wrong with them."""
    attempt = request.number("attempt")
    if attempt is None:
        attempt = newest_attempt(runtime, uid, container, previous=request.flag("previous"))
    since = None
    seconds, moment = request.number("since_seconds"), request.value("since_time")
    if seconds is not None:
        since = now - seconds
    elif moment:
        try:
            since = datetime.fromisoformat(moment.replace("Z", "+00:00")).timestamp()
        except ValueError:
            raise RequestProblem(400, f"since_time={moment!r} is not a time: write 2006-01-02T15:04:05Z") from None
    return LogQuery(
        uid=uid,
        container=container,
        attempt=attempt,
        follow=request.flag("follow"),
        tail=request.number("tail"),
        since=since,
        from_line=request.number("from_line"),
        limit_bytes=request.number("limit_bytes"),
        timestamps=request.flag("timestamps"),
        ndjson=request.value("format", "text") == "ndjson",
    )


def newest_attempt(runtime: Runtime, uid: str, container: str, *, previous: bool = False) -> int:
    """The attempt whose log is meant."""
    state = runtime.pod(uid)
    if state is None:
        raise RequestProblem(404, f"pod {uid} is not on this node")
    attempts = sorted(entry.attempt for entry in state.containers if entry.name == container)
    if not attempts:
        raise RequestProblem(
            404, f'container "{container}" in pod "{state.name}" is waiting to start: it has no log yet'
        )
    if not previous:
        return attempts[-1]
    if attempts[-1] == 0:
        raise RequestProblem(400, f'previous terminated container "{container}" in pod "{state.name}" not found')
    return attempts[-1] - 1


def encode(line: LogLine, query: LogQuery) -> bytes:
    """One record as the client wants it."""
    text = line.text
    if query.ndjson:
        record = {"n": line.n, "t": line.time, "s": line.stream, "x": text.decode("utf-8", "replace")}
        return json.dumps({**record, "p": line.partial, "a": query.attempt}).encode() + b"\n"
    start = f"{line.time} ".encode() if query.timestamps else b""
    return start + text + (b"" if line.partial else b"\n")


async def serve_logs(
    request: Request,
    answer: Answer,
    reader: asyncio.StreamReader,
    runtime: Runtime,
    pool: concurrent.futures.Executor,
    uid: str,
    container: str,
) -> None:
    """Answer one request for logs."""
    loop = asyncio.get_running_loop()
    query = await loop.run_in_executor(pool, parse_query, request, runtime, uid, container, time.time())
    stop = threading.Event()
    outlet = _Outlet(loop)
    reading = loop.run_in_executor(pool, _read, runtime, query, stop, outlet)
    leaving = asyncio.ensure_future(_wait_for_end(reader)) if query.follow else None
    await answer.begin("application/x-ndjson" if query.ndjson else "text/plain; charset=utf-8")
    try:
        while True:
            getting = asyncio.ensure_future(outlet.get())
            waiting = {getting} if leaving is None else {getting, leaving}
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            if not getting.done():
                getting.cancel()
                return
            content = getting.result()
            if content is None:
                break
            await answer.chunk(content)
        await reading
        await answer.end()
    finally:
        stop.set()
        outlet.give_up()
        if leaving is not None:
            leaving.cancel()


async def _wait_for_end(reader: asyncio.StreamReader) -> None:
    """A client that follows says nothing more; when it closes the connection this returns."""
    try:
        while await reader.read(4096):
            pass
    except OSError:
        return


def _read(runtime: Runtime, query: LogQuery, stop: threading.Event, outlet: "_Outlet") -> None:
    left = query.limit_bytes
    try:
        lines = read_log(
            runtime.log_directory(query.uid, query.container),
            query.attempt,
            follow=query.follow,
            tail=query.tail,
            since=query.since,
            from_line=query.from_line,
            stop=stop,
        )
        for line in lines:
            content = encode(line, query)
            if left is not None:
                content = content[:left]
                left -= len(content)
            if not outlet.put(content) or left == 0:
                return
    except FileNotFoundError:
        log.debug("no log of %s/%s", query.uid, query.container)
    finally:
        outlet.close()


class _Outlet:
    """Bytes from a thread to the event loop: gathered while the client is busy, bounded."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._condition = threading.Condition()
        self._pieces: list[bytes] = []
        self._size = 0
        self._closed = False
        self._given_up = False
        self._ready = asyncio.Event()

    def put(self, content: bytes) -> bool:
        """From the thread; False when nobody reads any more."""
        with self._condition:
            self._condition.wait_for(lambda: self._size < FULL or self._given_up)
            if self._given_up:
                return False
            self._pieces.append(content)
            self._size += len(content)
            first = len(self._pieces) == 1
        if first:
            self._tell(self._ready.set)
        return True

    def close(self) -> None:
        with self._condition:
            self._closed = True
        self._tell(self._ready.set)

    async def get(self) -> bytes | None:
        """Everything that has gathered; None at the end."""
        while True:
            await self._ready.wait()
            with self._condition:
                self._ready.clear()
                content, closed = b"".join(self._pieces), self._closed
                self._pieces.clear()
                self._size = 0
                self._condition.notify()
                if closed:
                    self._ready.set()
            if content:
                return content
            if closed:
                return None

    def give_up(self) -> None:
        with self._condition:
            self._given_up = True
            self._condition.notify()

    def _tell(self, call: Callable[[], None]) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(call)
