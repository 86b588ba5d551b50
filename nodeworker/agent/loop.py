"""The agent's event loop: one thread for everything that waits on many things (watches, timers, probes, streaming)."""

import asyncio
import concurrent.futures
import contextlib
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class LoopThread:
    """An asyncio loop in a daemon thread, with calls into it from other threads."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="loop", daemon=True)
        self._tasks: set[asyncio.Task[Any]] = set()

    def start(self) -> None:
        self.loop.set_default_executor(concurrent.futures.ThreadPoolExecutor(8, thread_name_prefix="loop-worker"))
        self._thread.start()

    def stop(self) -> None:
        """Cancel what runs in the loop and end its thread."""
        if not self._thread.is_alive():
            return
        with contextlib.suppress(concurrent.futures.TimeoutError):
            self.wait_for(self._cancel_all(), 5)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(5)

    def spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        """Run a coroutine until it ends; from any thread."""
        self.loop.call_soon_threadsafe(self._spawn, work)

    def wait_for(self, work: Coroutine[Any, Any, T], timeout: float | None = None) -> T:
        """Run a coroutine and wait for its result; never from the loop's own thread."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(timeout)

    def call(self, work: Callable[..., object], *arguments: Any) -> None:
        self.loop.call_soon_threadsafe(work, *arguments)

    async def _cancel_all(self) -> None:
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        task = self.loop.create_task(work)
        self._tasks.add(task)  # the loop itself keeps only a weak reference
        task.add_done_callback(self._tasks.discard)

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()
