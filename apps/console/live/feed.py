"""What follows the log in a task of its own and wakes those who look at it; lists and pages are made of it."""

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from apps.store.errors import StoreError
from apps.store.log import log_reader
from apps.store.rows import Change

logger = logging.getLogger(__name__)
PAUSE_AFTER_ERROR = 0.5


class Feed(ABC):
    """`revision` is what has been read; `_read` reads everything, `_take` what changed since."""

    def __init__(self, name: str, kinds: frozenset[str]) -> None:
        self.revision = 0
        self._name = name
        self._kinds = kinds
        self._watchers: set[asyncio.Event] = set()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Read everything once, then follow the log."""
        await self._read()
        self._task = asyncio.create_task(self._follow(), name=f"console-{self._name}")

    def stop(self) -> None:
        """Stop following."""
        if self._task:
            self._task.cancel()

    @contextmanager
    def watched(self) -> Iterator[asyncio.Event]:
        """An event that is set at every change, while the context lasts."""
        event = asyncio.Event()
        self._watchers.add(event)
        try:
            yield event
        finally:
            self._watchers.discard(event)

    def _wake(self) -> None:
        for event in self._watchers:
            event.set()

    async def _follow(self) -> None:
        while True:
            subscription = log_reader().subscribe(self.revision, self._kinds)
            try:
                while True:
                    changes = await subscription.next_batch()
                    await self._take(changes, subscription.revision)
            except StoreError as error:
                # Compacted, or the reader has ended: begin again with the present state.
                logger.info("%s is read anew: %s", self._name, error)
                await asyncio.sleep(PAUSE_AFTER_ERROR)
                await self._read()
            finally:
                subscription.close()

    @abstractmethod
    async def _read(self) -> None: ...

    @abstractmethod
    async def _take(self, changes: Sequence[Change], revision: int) -> None: ...
