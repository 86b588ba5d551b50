"""One follower of the log, for event loops and for threads; made by `log.LogReader.subscribe`.

It is a position, not a queue: it takes what follows from the reader's ring, or from the database when the ring has
moved on, a batch at a time. So it may be as slow as it likes.
"""

import asyncio
import contextlib
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Iterable
from typing import Protocol

from apps.store import pool, read
from apps.store.errors import Behind, Compacted
from apps.store.rows import Change

BATCH = 500
_RETRY = 1.0
Kinds = frozenset[str] | None


class Ring(Protocol):
    """What a subscription needs of the log reader."""

    revision: int

    @property
    def ready(self) -> bool: ...

    def take(self, position: int, kinds: Kinds) -> tuple[list[Change], int] | None: ...

    def unsubscribe(self, subscription: "Subscription") -> None: ...


class Subscription:
    """Iterate over it in an event loop, or call `get` and `get_batch` in a thread; not both.

    `revision` is the progress: everything of these kinds through it has been handed out. Raises Compacted when what
    comes next is gone, Behind when it lags by more than it allowed itself.
    """

    def __init__(self, ring: Ring, from_revision: int, kinds: Kinds, longest_lag: int | None) -> None:
        self._ring = ring
        self._kinds = kinds
        self._longest_lag = longest_lag
        self._pending: deque[Change] = deque()
        self._reached = from_revision  # through here taken from ring or database
        self._handed_out = from_revision
        self._rewound_to: int | None = None
        self._event = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._loop_event = asyncio.Event()

    @property
    def revision(self) -> int:
        return self._handed_out if self._pending else self._reached

    def progress(self) -> int:
        """The newest revision through which there is nothing left to tell; a bookmark may say it."""
        if not self._pending:
            taken = self._ring.take(self._reached, self._kinds)
            if taken is not None and not taken[0]:
                self._reached = taken[1]
        return self.revision

    def close(self) -> None:
        self._ring.unsubscribe(self)

    # In an event loop

    def __aiter__(self) -> AsyncIterator[Change]:
        return self

    async def __anext__(self) -> Change:
        if not self._pending:
            self._pending.extend(await self.next_batch())
        return self._hand_out()

    async def next_batch(self, timeout: float | None = None) -> list[Change]:
        """Return the changes that are there, or wait for some; an empty list after `timeout` seconds."""
        self._loop = asyncio.get_running_loop()
        deadline = None if timeout is None else time.monotonic() + timeout
        while not self._pending:
            self._loop_event.clear()
            in_ring = self._take()
            if not in_ring:
                await pool.in_thread(self._read_page)
            if self._pending or _passed(deadline):
                break
            if in_ring or not self._ring.ready:
                await self._wait(_left(deadline, in_ring))
        return self._drain()

    async def _wait(self, seconds: float | None) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._loop_event.wait()

    # In a thread

    def get(self, timeout: float | None = None) -> Change | None:
        """The next change, or None after `timeout` seconds."""
        if not self._pending:
            self._pending.extend(self.get_batch(timeout))
        return self._hand_out() if self._pending else None

    def get_batch(self, timeout: float | None = None) -> list[Change]:
        """Return the changes that are there, or wait for some; an empty list after `timeout` seconds."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while not self._pending:
            self._event.clear()
            in_ring = self._take()
            if not in_ring:
                self._read_page()
            if self._pending or _passed(deadline):
                break
            if in_ring or not self._ring.ready:
                self._event.wait(_left(deadline, in_ring))
        return self._drain()

    # Both

    def _hand_out(self) -> Change:
        change = self._pending.popleft()
        self._handed_out = change.revision
        return change

    def _drain(self) -> list[Change]:
        batch = list(self._pending)
        self._pending.clear()
        return batch

    def _take(self) -> bool:
        """Take what follows from the ring; False when the ring no longer (or not yet) has it."""
        if self._rewound_to is not None:
            raise Compacted(self._reached, self._rewound_to)
        if self._longest_lag is not None and self._ring.revision - self._reached > self._longest_lag:
            raise Behind(self._reached, self._ring.revision)
        taken = self._ring.take(self._reached, self._kinds)
        if taken is None:
            return False
        changes, self._reached = taken
        self._pending.extend(changes)
        return True

    def _read_page(self) -> None:
        changes, self._reached = read.changes_after(self._reached, self._kinds, BATCH)
        self._pending.extend(changes)

    def rewind(self, newest: int) -> None:
        """The log now ends at `newest`, before what this subscriber has seen: it must list anew."""
        self._rewound_to = newest

    def notify(self) -> asyncio.AbstractEventLoop | None:
        """Wake a waiting thread; return the loop that must set the other event, if there is one."""
        self._event.set()
        return self._loop

    def notify_in_loop(self) -> None:
        self._loop_event.set()


def _passed(deadline: float | None) -> bool:
    return deadline is not None and time.monotonic() >= deadline


def _left(deadline: float | None, in_ring: bool) -> float | None:
    """How long to wait: to the deadline, but not long for a reader that has not looked at the log yet."""
    longest = None if in_ring else _RETRY
    if deadline is None:
        return longest
    left = max(0.0, deadline - time.monotonic())
    return left if longest is None else min(left, longest)


def wake(subscriptions: Iterable[Subscription]) -> None:
    """Tell subscribers that there is something, with one call for each event loop."""
    loops: dict[asyncio.AbstractEventLoop, list[Subscription]] = {}
    for subscription in subscriptions:
        loop = subscription.notify()
        if loop is not None:
            loops.setdefault(loop, []).append(subscription)
    for loop, waiting in loops.items():
        with contextlib.suppress(RuntimeError):  # that loop has ended
            loop.call_soon_threadsafe(_notify_all, waiting)


def _notify_all(waiting: list[Subscription]) -> None:
    for subscription in waiting:
        subscription.notify_in_loop()
