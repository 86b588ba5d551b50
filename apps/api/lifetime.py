"""Connections that outlive a request (watches, followed logs, shells) and end within five seconds of what allowed them.

One look every few seconds a process, not one timer a connection: every registered connection is asked whether its
session or token still lives and whether its roles still allow what it does. The server calls `end_all` when it stops.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from apps.api.asgi import Receive

LOGGER = logging.getLogger("gantry.api")
CHECK_SECONDS = 3.0


@dataclass(eq=False)
class Connection:
    """One long-lived connection: how to ask whether it may go on, and the event that ends it."""

    may_continue: Callable[[], Awaitable[bool]]
    ended: asyncio.Event


class _Watchkeeper:
    """Asks all live connections of this process in turn; sleeps when there are none."""

    def __init__(self) -> None:
        self.connections: set[Connection] = set()
        self.task: asyncio.Task[None] | None = None

    def add(self, connection: Connection) -> None:
        self.connections.add(connection)
        if self.task is None or self.task.done() or self.task.get_loop() is not asyncio.get_running_loop():
            self.task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        while self.connections:
            await asyncio.sleep(CHECK_SECONDS)
            for connection in tuple(self.connections):
                if not await _allowed(connection):
                    connection.ended.set()


async def _allowed(connection: Connection) -> bool:
    try:
        return await connection.may_continue()
    except Exception:
        # The database may be away for a moment; whoever was let in stays until it can be asked again.
        LOGGER.exception("cannot ask whether a connection may go on")
        return True


_WATCHKEEPER = _Watchkeeper()


@contextlib.asynccontextmanager
async def long_lived(may_continue: Callable[[], Awaitable[bool]]) -> AsyncIterator[asyncio.Event]:
    """Register the connection for the time of the block; the event that it yields says "end now"."""
    connection = Connection(may_continue, asyncio.Event())
    _WATCHKEEPER.add(connection)
    try:
        yield connection.ended
    finally:
        _WATCHKEEPER.connections.discard(connection)


def end_all() -> None:
    """End every long-lived connection of this process; clients come back to another one."""
    for connection in tuple(_WATCHKEEPER.connections):
        connection.ended.set()


async def first_of(pump: asyncio.Task[None], ended: asyncio.Event, receive: Receive, timeout: float | None) -> None:
    """Run `pump` until it finishes, `ended` is set, the client disconnects or `timeout` passes; then see it stopped."""
    others = [asyncio.create_task(ended.wait()), asyncio.create_task(_gone(receive))]
    try:
        await asyncio.wait([pump, *others], timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (pump, *others):
            task.cancel()
        await asyncio.wait([pump, *others])


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
