"""Follows the log from a stored cursor, for a loop that turns changes into work (the controllers' process).

`handle` gets every change at least once, in order, also across crashes: the cursor is stored after handling, so the
changes of up to a second are handled again. A handler that raises is called again with the same changes.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence

from apps.store import pool, read
from apps.store.errors import Compacted
from apps.store.log import log_reader
from apps.store.rows import Change, Origin
from apps.store.transaction import Transaction, commit

logger = logging.getLogger(__name__)
_SAVE_EVERY = 1.0
_RETRY = 1.0
_LOOK_EVERY = 1.0
_SAVE = (
    "INSERT INTO store_cursor (name, revision) VALUES (%s, %s)"
    " ON CONFLICT (name) DO UPDATE SET revision = excluded.revision"
)


class Tailer:
    """`run(stop)` returns soon after `stop` is set. `resync` is called when the log before the cursor is compacted."""

    def __init__(
        self,
        cursor_name: str,
        handle: Callable[[Sequence[Change]], None],
        *,
        resync: Callable[[], None] | None = None,
        kinds: frozenset[str] | None = None,
    ) -> None:
        self._name = cursor_name
        self._handle = handle
        self._resync = resync
        self._kinds = kinds
        self._saved = (-1, 0.0)

    def run(self, stop: threading.Event) -> None:
        while not stop.is_set():
            try:
                self._follow(stop)
            except Compacted as error:
                logger.warning("tailer %s: %s; everything is looked at again", self._name, error)
                self._skip()
            except Exception:  # the edge of the loop: the database may be away
                logger.exception("tailer %s stopped, starting again", self._name)
                stop.wait(_RETRY)

    def _follow(self, stop: threading.Event) -> None:
        subscription = log_reader().subscribe(stored_cursor(self._name), self._kinds)
        try:
            while not stop.is_set():
                changes = subscription.get_batch(_LOOK_EVERY)
                if changes and not self._handle_until_done(changes, stop):
                    return
                self._save(subscription.revision)
            self._save(subscription.revision, now=True)
        finally:
            subscription.close()

    def _handle_until_done(self, changes: Sequence[Change], stop: threading.Event) -> bool:
        while True:
            try:
                self._handle(changes)
                return True
            except Exception:  # at least once: the same changes again
                logger.exception("tailer %s: handling failed, trying again", self._name)
                if stop.wait(_RETRY):
                    return False

    def _save(self, revision: int, *, now: bool = False) -> None:
        """Store the cursor, at most once a second: each time is a commit."""
        due = now or time.monotonic() - self._saved[1] >= _SAVE_EVERY
        if revision == self._saved[0] or not due:
            return
        commit(lambda transaction: _write_cursor(transaction, self._name, revision), Origin(f"tailer:{self._name}"))
        self._saved = (revision, time.monotonic())

    def _skip(self) -> None:
        newest = read.current_revision()
        if self._resync is not None:
            self._resync()
        self._save(newest, now=True)


def stored_cursor(name: str) -> int:
    """Where a tailer of this name would go on; 0 when there never was one."""
    with pool.pool().connection() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT revision FROM store_cursor WHERE name = %s", [name])
        row = cursor.fetchone()
    return int(row[0]) if row else 0


def _write_cursor(transaction: Transaction, name: str, revision: int) -> None:
    transaction.cursor.execute(_SAVE, [name, revision])
