"""Keys that must be looked at, one worker a key at a time; duplicates coalesce. And the times at which to look again.

`SyncQueue.add` is the only way into a pod's reconcile step, whoever noticed something: the watch, Celery, an exit, a
probe, a finished pull, a timer.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from nodeworker.agent.loop import LoopThread

log = logging.getLogger(__name__)
RETRY_AFTER = 5.0  # a step that raised is tried again


class SyncQueue:
    """Runs `work(key)` in a few threads."""

    def __init__(self, loop: LoopThread, work: Callable[[str], None], workers: int = 8) -> None:
        self._loop, self._work = loop, work
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="sync")
        self._lock = threading.Lock()
        self._queued: set[str] = set()
        self._running: dict[str, bool] = {}  # key -> asked for again while it ran
        self._timers: dict[str, tuple[float, asyncio.TimerHandle]] = {}  # only touched in the loop's thread

    def add(self, key: str) -> None:
        """Look at `key` soon. From any thread."""
        with self._lock:
            if key in self._running:
                self._running[key] = True
                return
            if key in self._queued:
                return
            self._queued.add(key)
        self._pool.submit(self._run, key)

    def add_at(self, key: str, moment: float) -> None:
        """Look at `key` at `moment` (seconds since the epoch); the earliest time asked for counts."""
        self._loop.call(self._set_timer, key, moment)

    def run_now(self, key: str) -> None:
        """Look at `key` in this thread, unless a worker is just doing it: then that one looks again."""
        with self._lock:
            if key in self._running:
                self._running[key] = True
                return
            self._queued.add(key)
        self._run(key)

    def close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _run(self, key: str) -> None:
        with self._lock:
            if key not in self._queued or key in self._running:
                return
            self._queued.discard(key)
            self._running[key] = False
        while True:
            try:
                self._work(key)
            except Exception:
                log.exception("looking at pod %s", key)
                self.add_at(key, time.time() + RETRY_AFTER)
            with self._lock:
                if not self._running[key]:
                    del self._running[key]
                    return
                self._running[key] = False

    def _set_timer(self, key: str, moment: float) -> None:
        known = self._timers.get(key)
        if known is not None:
            if known[0] <= moment:
                return
            known[1].cancel()
        handle = self._loop.loop.call_later(max(moment - time.time(), 0.0), self._fire, key)
        self._timers[key] = (moment, handle)

    def _fire(self, key: str) -> None:
        self._timers.pop(key, None)
        self.add(key)
