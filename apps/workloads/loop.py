"""The controller process around the tasks: the tailer that turns the log into keys, the timer, the publisher.

Started and stopped by `dashboard/celery.py` with the worker. A key goes through the broker, so that any worker may take
it. While the broker is away it runs here instead: a dead broker costs speed and nothing else.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from apps.scheduling.controller import forget_placements, waiting_pods
from apps.store import compaction, delays, garbage, pool, read
from apps.store.rows import Change
from apps.store.tailer import Tailer
from apps.workloads import causes, keys, tasks
from apps.workloads.keys import Key
from apps.workloads.routes import keys_of
from apps.workloads.world import Cluster

logger = logging.getLogger(__name__)
TICK = 1.0
UNSETTLED_EVERY = 30.0
EVERYTHING_EVERY = 600.0
# How long the broker is left alone after it refused a key; doubled each time, for a hanging one costs a time-out a try.
BROKER_PAUSE, LONGEST_BROKER_PAUSE = 3.0, 30.0
LOCAL_THREADS = 2
# A controller that was away for longer than the log is kept looks at everything instead.
EVERYTHING = ("Deployment", "ReplicaSet", "Service", "Node")

Publish = Callable[[Key], None]


class Dispatcher:
    """Sends keys through the broker; runs them here for a while after the broker refused one."""

    def __init__(self, publish: Publish, run: Callable[[Key], None] = tasks.run) -> None:
        self._publish, self._run = publish, run
        self._away_until, self._pause = 0.0, BROKER_PAUSE
        self._pool = ThreadPoolExecutor(LOCAL_THREADS, thread_name_prefix="keys")
        self._queued: set[Key] = set()
        self._lock = threading.Lock()

    def wake(self, woken: Iterable[Key]) -> None:
        """Have each key looked at soon."""
        for key in dict.fromkeys(woken):
            if not self._sent(key) and not key.node:
                self._run_here(key)

    def _sent(self, key: Key) -> bool:
        if time.monotonic() < self._away_until:
            return False
        try:
            self._publish(key)
        except Exception as error:  # whatever the transport raises
            logger.warning("the broker is away, keys run here: %s", error)
            self._away_until = time.monotonic() + self._pause
            self._pause = min(2 * self._pause, LONGEST_BROKER_PAUSE)
            return False
        self._pause = BROKER_PAUSE
        return True

    def _run_here(self, key: Key) -> None:
        with self._lock:
            if key in self._queued:
                return
            self._queued.add(key)
        self._pool.submit(self._run_queued, key)

    def _run_queued(self, key: Key) -> None:
        with self._lock:
            self._queued.discard(key)
        self._run(key)

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)


class Loop:
    """The tailer's thread and the timer's thread."""

    def __init__(self, publish: Publish) -> None:
        self._dispatcher = Dispatcher(publish)
        self._cluster = Cluster()
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._tail, name="tailer", daemon=True),
            threading.Thread(target=self._tick, name="timer", daemon=True),
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(5)
        self._dispatcher.close()

    def _tail(self) -> None:
        Tailer("controllers", self.handle, resync=self._look_at_everything).run(self._stop)

    def handle(self, changes: Sequence[Change]) -> None:
        """Wake what the changes wake; a key that several of them wake is sent once."""
        woken: dict[Key, None] = {}
        for change in changes:
            self._cluster.note(change)
            for key in keys_of(change.kind, change, self._cluster):
                woken[key] = None
                causes.remember(key, change.revision)
            for text in garbage.keys(change):
                woken[Key("Garbage", text)] = None
        self._dispatcher.wake(woken)

    # The timer: delayed looks, the resync, compaction. One thread instead of Celery beat, which would be a process.

    def _tick(self) -> None:
        unsettled = everything = time.monotonic()
        self._guarded(self._look_at_unsettled)
        while not self._stop.wait(TICK):
            now = time.monotonic()
            self._guarded(self._look_at_due)
            if now - unsettled >= UNSETTLED_EVERY:
                unsettled = now
                self._guarded(self._look_at_unsettled)
                self._guarded(compaction.compact)
            if now - everything >= EVERYTHING_EVERY:
                everything = now
                self._guarded(self._look_at_everything)
                self._guarded(forget_placements)

    def _guarded(self, step: Callable[[], object]) -> None:
        try:
            step()
        except Exception:  # the edge of the loop: the next tick tries again
            logger.exception("the timer's step %s failed", getattr(step, "__name__", step))

    def _look_at_due(self) -> None:
        due = [keys.parse(text) for _, text in delays.due(datetime.now(UTC))]
        for key in due:
            causes.looked(key)
        self._dispatcher.wake(due)

    def _look_at_unsettled(self) -> None:
        self._dispatcher.wake(unsettled_keys())

    def _look_at_everything(self) -> None:
        woken = [Key("Pod", name) for name in waiting_pods()]
        for kind in EVERYTHING:
            woken += [Key(kind, _name(stored.namespace, stored.name)) for stored in read.list_objects(kind).items]
        self._dispatcher.wake(woken)


def unsettled_keys() -> list[Key]:
    """Return what is not as it should be: rollouts under way, pods nobody scheduled, silent nodes, garbage."""
    found: list[Key] = []
    with pool.snapshot() as cursor:
        for kind, table in (("Deployment", "workloads_deployment"), ("ReplicaSet", "workloads_replicaset")):
            cursor.execute(f"SELECT namespace, name FROM {table} WHERE settled = %s", [False])
            found += [Key(kind, _name(*row)) for row in cursor.fetchall()]
        cursor.execute(
            "SELECT namespace, name FROM workloads_pod WHERE node_name = '' AND unschedulable = %s"
            " AND phase = 'Pending' AND terminating = %s",
            [False, False],
        )
        found += [Key("Pod", _name(*row)) for row in cursor.fetchall()]
        # A node's silence is noticed by a delayed look; this finds it also when that row was lost.
        cursor.execute("SELECT name FROM nodes_node")
        found += [Key("Node", row[0]) for row in cursor.fetchall()]
    return found + [Key("Garbage", text) for text in garbage.sweep()]


def _name(namespace: str, name: str) -> str:
    return f"{namespace}/{name}" if namespace else name
