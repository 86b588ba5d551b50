"""What all sockets and pages of one event loop share: list sources and rendered pages, each made on first use."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable
from contextlib import asynccontextmanager
from typing import Any, Protocol
from weakref import WeakKeyDictionary

from apps.console.lists.registry import LISTS
from apps.console.live.source import Source

LINGER = 60.0


class Shared(Protocol):
    """Something that is started once and stopped when nobody has used it for a minute."""

    async def start(self) -> None: ...

    def stop(self) -> None: ...


class Hub:
    """Makes, keeps and ends what is shared."""

    def __init__(self) -> None:
        self._things: dict[Hashable, asyncio.Task[Any]] = {}
        self._users: dict[Hashable, int] = {}
        self._ends: dict[Hashable, asyncio.TimerHandle] = {}

    @asynccontextmanager
    async def use(self, key: Hashable, make: Callable[[], Shared]) -> AsyncIterator[Any]:
        """The thing of that key, made if there is none."""
        if end := self._ends.pop(key, None):
            end.cancel()
        self._users[key] = self._users.get(key, 0) + 1
        if key not in self._things:
            self._things[key] = asyncio.create_task(_started(make))
        try:
            yield await asyncio.shield(self._things[key])
        except BaseException:
            if (task := self._things.get(key)) and task.done() and (task.cancelled() or task.exception()):
                self._things.pop(key)
            raise
        finally:
            self._release(key)

    def _release(self, key: Hashable) -> None:
        self._users[key] -= 1
        if not self._users[key]:
            self._ends[key] = asyncio.get_running_loop().call_later(LINGER, self._end, key)

    def _end(self, key: Hashable) -> None:
        self._ends.pop(key, None)
        self._users.pop(key, None)
        task = self._things.pop(key, None)
        if task and task.done() and not task.cancelled() and not task.exception():
            task.result().stop()

    async def close(self) -> None:
        """Stop everything (tests, the end of the process)."""
        for key in list(self._things):
            if end := self._ends.pop(key, None):
                end.cancel()
            self._end(key)


async def _started(make: Callable[[], Shared]) -> Shared:
    thing = make()
    await thing.start()
    return thing


_hubs: WeakKeyDictionary[asyncio.AbstractEventLoop, Hub] = WeakKeyDictionary()


def hub() -> Hub:
    """The hub of the running event loop."""
    return _hubs.setdefault(asyncio.get_running_loop(), Hub())


@asynccontextmanager
async def source(name: str) -> AsyncIterator[Source]:
    """The live source of a list."""
    async with hub().use(("list", name), lambda: Source(LISTS[name])) as found:
        yield found


Receive = Callable[[dict[str, Any]], Awaitable[None]]
