"""Events: told by controllers, scheduler and verbs with one call that never waits.

A thread writes them in batches. What was told before is counted up instead of written again; an event that cannot be
written (its namespace is going, the database is away) is dropped, for an event is for people and decides nothing.
"""

import atexit
import hashlib
import logging
import queue
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from apps.kinds.status import ApiError
from apps.store.rows import Origin
from apps.store.transaction import Transaction, commit
from nodeworker.wire.time import format_time

logger = logging.getLogger(__name__)
MOST_WAITING = 2000
MOST_AT_ONCE = 200
GATHER_SECONDS = 0.2
LONGEST_MESSAGE = 1024


@dataclass(frozen=True)
class Told:
    """One event that waits to be written; equal ones are counted."""

    namespace: str
    involved: tuple[tuple[str, str], ...]
    type: str
    reason: str
    message: str
    source: str

    @property
    def name(self) -> str:
        """The same for the same thing told again, by whatever process."""
        object = dict(self.involved)
        text = "\0".join((object.get("uid", ""), self.type, self.reason, self.message, self.source))
        return f"{object['name'][:200]}.{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def emit(kind: str, object: Mapping[str, Any], type: str, reason: str, message: str, source: str) -> None:
    """Tell of something that happened to `object`; `type` is Normal or Warning. Returns at once."""
    metadata = object["metadata"]
    involved = {
        "kind": kind,
        "apiVersion": object.get("apiVersion") or "v1",
        "namespace": metadata.get("namespace") or "",
        "name": metadata["name"],
        "uid": metadata.get("uid") or "",
    }
    filled = tuple((key, value) for key, value in involved.items() if value)
    _recorder.tell(Told(involved["namespace"] or "default", filled, type, reason, message[:LONGEST_MESSAGE], source))


def flush(seconds: float = 5.0) -> bool:
    """Wait until everything told so far is written (tests, the end of a process)."""
    return _recorder.flush(seconds)


class Recorder:
    """The queue and its thread, which starts with the first event."""

    def __init__(self) -> None:
        self._queue: queue.Queue[Told] = queue.Queue(MOST_WAITING)
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._dropped = 0

    def tell(self, told: Told) -> None:
        try:
            self._queue.put_nowait(told)
        except queue.Full:
            self._dropped += 1
            if self._dropped % 100 == 1:
                logger.warning("too many events at once: %d dropped", self._dropped)
            return
        if self._thread is None or not self._thread.is_alive():
            self._start()

    def flush(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        with self._queue.all_tasks_done:
            while self._queue.unfinished_tasks and (left := deadline - time.monotonic()) > 0:
                self._queue.all_tasks_done.wait(left)
            return not self._queue.unfinished_tasks

    def _start(self) -> None:
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="events", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            batch = [self._queue.get()]
            # Others usually follow: one commit for all of them costs what one event costs.
            time.sleep(GATHER_SECONDS)
            while len(batch) < MOST_AT_ONCE and not self._queue.empty():
                batch.append(self._queue.get_nowait())
            try:
                write(batch)
            except Exception:  # the edge of the loop: events never take their process down
                logger.exception("%d events could not be written", len(batch))
            for _ in batch:
                self._queue.task_done()


def write(batch: Sequence[Told]) -> None:
    """Write a batch in one commit, equal events counted together."""
    counts: dict[Told, int] = {}
    for told in batch:
        counts[told] = counts.get(told, 0) + 1
    by_source: dict[str, dict[Told, int]] = {}
    for told, count in counts.items():
        by_source.setdefault(told.source, {})[told] = count
    for source, some in by_source.items():
        commit(_writer(some), Origin(f"system:events:{source}"))


def _writer(counts: Mapping[Told, int]) -> Any:
    def work(transaction: Transaction) -> None:
        for told, count in counts.items():
            try:
                _write_one(transaction, told, count)
            except ApiError as error:
                logger.debug("event %s not written: %s", told.name, error)

    return work


def _write_one(transaction: Transaction, told: Told, count: int) -> None:
    now = format_time(datetime.now(UTC))

    def count_up(event: dict[str, Any]) -> dict[str, Any]:
        return {**event, "count": (event.get("count") or 1) + count, "lastTimestamp": now}

    if transaction.get("Event", told.namespace, told.name) is not None:
        transaction.modify("Event", told.namespace, told.name, count_up)
        return
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": told.name, "namespace": told.namespace},
        "involvedObject": dict(told.involved),
        "type": told.type,
        "reason": told.reason,
        "message": told.message,
        "source": {"component": told.source},
        "reportingComponent": told.source,
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": count,
    }
    transaction.create("Event", event)


_recorder = Recorder()
atexit.register(_recorder.flush, 1.0)
