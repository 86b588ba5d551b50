"""The log reader: one thread a process that follows the log and serves every watch, tab and loop of the process.

It sleeps on its hint socket and looks by itself once a second. The newest changes stay in memory (a ring bounded in
number and bytes); a subscription is only a position in it, so a slow subscriber costs no memory: when the ring has
moved on, it reads the database, and when that has been compacted, it is told `Compacted`. Nothing is ever skipped in
between.
"""

import logging
import os
import threading
from collections import deque
from collections.abc import Iterable, Reversible
from itertools import takewhile

from django.db import DatabaseError, InterfaceError
from django.db.backends.base.base import BaseDatabaseWrapper

from apps.store import pool, read
from apps.store.errors import StoreError
from apps.store.hints import Receiver
from apps.store.rows import CHANGE_COLUMNS, Change, Verb, change_from_row, read_map
from apps.store.subscription import Kinds, Subscription, wake
from nodeworker.wire.selectors import FieldSelector, Selector

logger = logging.getLogger(__name__)
KEEP = 5000
KEEP_BYTES = 48 * 1024 * 1024
BATCH = 500
LOOK_EVERY = 1.0


class LogReader:
    """The thread, its ring and its subscriptions."""

    def __init__(self, keep: int = KEEP, keep_bytes: int = KEEP_BYTES) -> None:
        self.revision = 0  # everything through here has been read
        self._keep = (keep, keep_bytes)
        self._ring: deque[Change] = deque()
        self._by_kind: dict[str, deque[Change]] = {}
        self._bytes = 0
        self._floor: int | None = None  # the ring knows nothing of what was before; None: not looked yet
        self._evicted: dict[str, int] = {}
        self._lock = threading.Lock()
        self._subscriptions: dict[str | None, set[Subscription]] = {}
        self._stopped = False
        self._connection: BaseDatabaseWrapper | None = None
        self._receiver = Receiver()
        self._thread = threading.Thread(target=self._run, name="store-log", daemon=True)
        self._thread.start()

    def subscribe(self, from_revision: int, kinds: Kinds = None, *, longest_lag: int | None = None) -> Subscription:
        """Follow the changes after `from_revision`. With `longest_lag`, lagging by more revisions raises Behind."""
        subscription = Subscription(self, from_revision, kinds, longest_lag)
        with self._lock:
            for kind in kinds if kinds is not None else (None,):
                self._subscriptions.setdefault(kind, set()).add(subscription)
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        with self._lock:
            for subscribers in self._subscriptions.values():
                subscribers.discard(subscription)

    @property
    def ready(self) -> bool:
        """Whether the thread has looked at the log yet."""
        return self._floor is not None

    def take(self, position: int, kinds: Kinds) -> tuple[list[Change], int] | None:
        """Return up to BATCH changes after `position` and the revision they reach; None when the ring has moved on."""
        with self._lock:
            if self._stopped:
                raise StoreError("the log reader has ended")
            if self._floor is None or position < self._known_from(kinds):
                return None
            found = self._after(position, kinds)
            if len(found) > BATCH:
                found = found[:BATCH]
                return found, found[-1].revision
            return found, max(position, self.revision)

    def _known_from(self, kinds: Kinds) -> int:
        """The revision after which the ring holds every change of these kinds."""
        evicted = self._evicted.values() if kinds is None else (self._evicted.get(kind, 0) for kind in kinds)
        return max(self._floor or 0, *evicted, 0)

    def _after(self, position: int, kinds: Kinds) -> list[Change]:
        if kinds is None:
            return _newer(self._ring, position)
        found = [change for kind in kinds for change in _newer(self._by_kind.get(kind, ()), position)]
        return sorted(found, key=lambda change: change.revision) if len(kinds) > 1 else found

    # The thread

    def _run(self) -> None:
        while not self._stopped:
            try:
                while self._look():
                    pass
            except (DatabaseError, InterfaceError) as error:
                logger.warning("the log cannot be read, trying again: %s", error)
                self._disconnect()
            self._receiver.wait(LOOK_EVERY)
        self._disconnect()
        self._receiver.close()

    def _look(self) -> bool:
        """Read what is new; say whether there may be more."""
        if self._floor is None:
            self._start()
        changes = self._read_new()
        if not changes:
            self._check_rewound()
            return False
        with self._lock:
            for change in changes:
                self._keep_change(change)
            self.revision = changes[-1].revision
            woken = self._interested({change.kind for change in changes})
        wake(woken)
        return len(changes) == BATCH

    def _start(self) -> None:
        newest = read.current_revision()
        with self._lock:
            self.revision = self._floor = newest
        wake(self._everybody())

    def _read_new(self) -> list[Change]:
        if self._connection is None:
            self._connection = pool.open_connection()
        with self._connection.cursor() as cursor:
            cursor.execute(
                f"SELECT {CHANGE_COLUMNS} FROM store_revision WHERE number > %s ORDER BY number LIMIT %s",
                [self.revision, BATCH],
            )
            return [change_from_row(row) for row in cursor.fetchall()]

    def _check_rewound(self) -> None:
        """A database restored from a copy starts again below us: forget everything and let subscribers list anew."""
        newest = read.current_revision()
        if newest >= self.revision:
            return
        with self._lock:
            self._ring.clear()
            self._by_kind.clear()
            self._evicted.clear()
            self._bytes, self._floor = 0, None
        logger.warning("the log is older than before: was the database restored?")
        everybody = self._everybody()
        for subscription in everybody:
            subscription.rewind(newest)
        wake(everybody)

    def _keep_change(self, change: Change) -> None:
        self._ring.append(change)
        self._by_kind.setdefault(change.kind, deque()).append(change)
        self._bytes += len(change.raw)
        while len(self._ring) > self._keep[0] or (self._bytes > self._keep[1] and len(self._ring) > 1):
            oldest = self._ring.popleft()
            self._by_kind[oldest.kind].popleft()
            self._bytes -= len(oldest.raw)
            self._evicted[oldest.kind] = oldest.revision

    def _interested(self, kinds: Iterable[str]) -> set[Subscription]:
        empty: set[Subscription] = set()
        woken = set(self._subscriptions.get(None, empty))
        return woken.union(*(self._subscriptions.get(kind, empty) for kind in kinds))

    def _everybody(self) -> set[Subscription]:
        with self._lock:
            return set().union(*self._subscriptions.values())

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def close(self) -> None:
        """End the thread; subscriptions raise StoreError from now on."""
        self._stopped = True
        self._receiver.wake()
        self._thread.join()
        wake(self._everybody())


def _newer(changes: Reversible[Change], position: int) -> list[Change]:
    found = list(takewhile(lambda change: change.revision > position, reversed(changes)))
    found.reverse()
    return found


def watch_verb(change: Change, labels: Selector | None, fields: FieldSelector | None) -> Verb | None:
    """Say how a change looks to a watch with these selectors: an object that leaves them is DELETED."""
    now = change.verb != "DELETED" and _selected(change, labels, fields, change.raw_labels, change.raw_fields)
    before = change.verb != "ADDED" and _selected(
        change, labels, fields, change.raw_previous_labels, change.raw_previous_fields
    )
    if now:
        return "MODIFIED" if before else "ADDED"
    return "DELETED" if before else None


def _selected(
    change: Change, labels: Selector | None, fields: FieldSelector | None, raw_labels: str, raw_fields: str
) -> bool:
    if labels is not None and not labels.matches(read_map(raw_labels)):
        return False
    if fields is None or not fields.requirements:
        return True
    names = {"metadata.name": change.name, "metadata.namespace": change.namespace}
    return fields.matches({**read_map(raw_fields), **names})


_reader: LogReader | None = None
_start_lock = threading.Lock()


def log_reader() -> LogReader:
    """The reader of this process; its thread starts with the first call."""
    global _reader
    if _reader is None:
        with _start_lock:
            if _reader is None:
                _reader = LogReader()
    return _reader


def close() -> None:
    """End the reader's thread; a later call starts a new one (tests, shutdown)."""
    global _reader
    with _start_lock:
        if _reader is not None:
            _reader.close()
            _reader = None


def _forget() -> None:
    # A forked child has no such thread.
    global _reader, _start_lock
    _reader, _start_lock = None, threading.Lock()


os.register_at_fork(after_in_child=_forget)
