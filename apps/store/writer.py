"""The one thread of a process that writes: it takes the works that wait and makes one commit of them.

Each work has a savepoint of its own, so one that fails takes nothing of the others with it. Dense revisions come
from the row `revision` of `Counter`: it is locked before anything is read (SQLite: BEGIN IMMEDIATE; PostgreSQL:
SELECT FOR UPDATE, READ COMMITTED), counted up in memory, written back before the commit. A work may be run a second
time when the connection was lost before its commit, so it must do nothing but use its transaction.
"""

import asyncio
import contextlib
import logging
import os
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from django.db import DatabaseError, InterfaceError, OperationalError, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from apps.store.errors import CommitFailed, StoreError, StoreUnavailable
from apps.store.guard import writing
from apps.store.hints import Sender
from apps.store.rows import Origin

logger = logging.getLogger(__name__)
GROUP = 64
_WAITS = (0.05, 0.3, 1.0)  # seconds before the database is tried again

# What a work needs of its surroundings: (connection, newest revision, origin) -> its Transaction.
MakeTransaction = Callable[[BaseDatabaseWrapper, int, Origin], Any]


@dataclass(slots=True)
class Pending:
    """A work that waits for its commit, and whom to tell."""

    work: Callable[[Any], Any]
    origin: Origin
    future: "Future[Any] | asyncio.Future[Any]"
    loop: asyncio.AbstractEventLoop | None
    result: Any = None
    error: BaseException | None = None

    def settle(self) -> None:
        if self.future.done():
            return  # the caller was cancelled; the write stands
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)


class _BrokenError(Exception):
    """The transaction of the whole group is lost (connection, full disk)."""


class Writer:
    """The queue and its thread."""

    def __init__(self, make_transaction: MakeTransaction) -> None:
        self._make_transaction = make_transaction
        self._queue: queue.SimpleQueue[Pending | None] = queue.SimpleQueue()
        self._hints = Sender()
        self._committing = False
        self._gate, self._closed = threading.Lock(), False
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._thread.start()

    def submit(self, pending: Pending) -> None:
        if threading.current_thread() is self._thread:
            raise StoreError("commit() inside a work: use the work's own transaction")
        with self._gate:
            if self._closed:
                # Behind the end mark nobody would ever take it, and its caller would wait for ever.
                raise StoreError("the store of this process has been closed")
            self._queue.put(pending)

    def close(self) -> None:
        """Finish what waits and end the thread."""
        with self._gate:
            self._closed = True
            self._queue.put(None)
        self._thread.join()
        self._hints.close()

    def _run(self) -> None:
        while (group := self._next_group()) is not None:
            self._commit_group(group)
            _tell(group)
            # Drop the references now: while the thread waits they would keep the last bodies alive.
            del group
        connections["default"].close()

    def _next_group(self) -> list[Pending] | None:
        first = self._queue.get()
        if first is None:
            return None
        group = [first]
        with contextlib.suppress(queue.Empty):
            while len(group) < GROUP:
                following = self._queue.get_nowait()
                if following is None:
                    self._queue.put(None)  # end after this group
                    break
                group.append(following)
        return group

    def _commit_group(self, group: list[Pending]) -> None:
        for wait in (*_WAITS, None):
            try:
                self._attempt(group)
                return
            except (DatabaseError, InterfaceError, _BrokenError) as error:
                cause = error.__cause__ if isinstance(error, _BrokenError) and error.__cause__ else error
                # After COMMIT was sent nobody knows whether it counted: only before it is a second try safe.
                again = wait is not None and not self._committing and _may_heal(cause)
                connections["default"].close()
                if not again:
                    self._fail(group, cause)
                    return
                logger.warning("the database connection was lost, connecting again: %s", cause)
                time.sleep(wait or 0)
            except Exception as error:  # the edge of the loop: the thread must live on
                logger.exception("the writer failed")
                connections["default"].close()
                self._fail(group, error)
                return

    def _attempt(self, group: list[Pending]) -> None:
        connection = connections["default"]
        self._committing = False
        with writing(), transaction.atomic(durable=True):
            before = _lock_revision(connection)
            revision = before
            for pending in group:
                revision = self._run_one(connection, pending, revision)
            if revision != before:
                with connection.cursor() as cursor:
                    cursor.execute("UPDATE store_counter SET value = %s WHERE name = 'revision'", [revision])
            self._committing = True
        self._committing = False
        if revision != before:
            self._hints.send(revision)

    def _run_one(self, connection: BaseDatabaseWrapper, pending: Pending, revision: int) -> int:
        """Run one work in its savepoint; return the newest revision after it."""
        pending.result = pending.error = None
        made = self._make_transaction(connection, revision, pending.origin)
        try:
            with transaction.atomic():
                pending.result = pending.work(made)
        except Exception as error:
            if _transaction_lost(connection):
                raise _BrokenError from error
            pending.error = error
            return revision
        return int(made.revision)

    def _fail(self, group: list[Pending], cause: BaseException) -> None:
        for pending in group:
            error: StoreError
            if self._committing:
                error = CommitFailed(
                    f"the database did not confirm the commit, read again before repeating it: {cause}"
                )
            else:
                error = StoreUnavailable(f"the database cannot be written: {cause}")
            error.__cause__ = cause
            pending.error = error
        self._committing = False


def _lock_revision(connection: BaseDatabaseWrapper) -> int:
    """Take the writers' lock and return the newest revision."""
    lock = "" if connection.vendor == "sqlite" else " FOR UPDATE"
    with connection.cursor() as cursor:
        for _ in range(2):
            cursor.execute(f"SELECT value FROM store_counter WHERE name = 'revision'{lock}")
            row = cursor.fetchone()
            if row is not None:
                return int(row[0])
            cursor.execute("INSERT INTO store_counter (name, value) VALUES ('revision', 0) ON CONFLICT DO NOTHING")
    raise StoreError("the revision counter could not be made")


def _transaction_lost(connection: BaseDatabaseWrapper) -> bool:
    """Say whether the outer transaction is gone too: no way back to the savepoint, or ended by the database."""
    raw = connection.connection
    if connection.needs_rollback or raw is None:
        return True
    if connection.vendor == "sqlite":
        return not raw.in_transaction  # a full disk makes SQLite roll everything back
    return bool(raw.closed)


def _may_heal(cause: BaseException) -> bool:
    """Say whether a new connection may help. A file is never disconnected: locked and full do not heal by it."""
    # The driver may still call a connection usable that the server has just ended, so it is not asked.
    return connections["default"].vendor != "sqlite" and isinstance(cause, (OperationalError, InterfaceError))


def _tell(group: list[Pending]) -> None:
    """Give each caller its answer, with one wake-up for each event loop."""
    loops: dict[asyncio.AbstractEventLoop, list[Pending]] = {}
    for pending in group:
        if pending.loop is None:
            pending.settle()
        else:
            loops.setdefault(pending.loop, []).append(pending)
    for loop, settled in loops.items():
        with contextlib.suppress(RuntimeError):  # the loop has ended: nobody is left to tell
            loop.call_soon_threadsafe(_settle_all, settled)


def _settle_all(settled: list[Pending]) -> None:
    for pending in settled:
        pending.settle()


_writer: Writer | None = None
_lock = threading.Lock()


def writer(make_transaction: MakeTransaction) -> Writer:
    """The writer of this process; its thread starts with the first write."""
    global _writer
    if _writer is None:
        with _lock:
            if _writer is None:
                _writer = Writer(make_transaction)
    return _writer


def close() -> None:
    """End the writer thread after what waits; a later write starts a new one (tests, shutdown)."""
    global _writer
    with _lock:
        if _writer is not None:
            _writer.close()
            _writer = None


def _forget() -> None:
    # A forked child has no such thread.
    global _writer, _lock
    _writer, _lock = None, threading.Lock()


os.register_at_fork(after_in_child=_forget)
