"""Keys: what there is to look at. A key runs in one thread of a process at a time; a second call makes it run again.

Called by `tasks.py` and `loop.py`. Across processes nothing is locked: the checks of each transaction decide.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from nodeworker.wire.messages import CONTROLLERS, SCHEDULER, node_queue


@dataclass(frozen=True, order=True)
class Key:
    """One object to look at: `kind` says by which controller, `name` is "namespace/name" or "name"."""

    kind: str
    name: str
    # Set for the agent of a node, which is told in its own queue.
    node: str = ""

    @property
    def queue(self) -> str:
        if self.node:
            return node_queue(self.node)
        return SCHEDULER if self.kind == "Pod" else CONTROLLERS

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"


def parse(text: str) -> Key:
    """Return the key that `str` wrote, as rows of delayed looks hold it."""
    kind, _, name = text.partition("/")
    return Key(kind, name)


@dataclass
class OneAtATime:
    """Runs a key at once, or has the thread that is at it run it once more."""

    _running: dict[Key, bool] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self, key: Key, work: Callable[[Key], None]) -> bool:
        """Run `work(key)`; False if another thread is at this key and will run it again."""
        with self._lock:
            if key in self._running:
                self._running[key] = True
                return False
            self._running[key] = False
        while True:
            try:
                work(key)
            except BaseException:
                with self._lock:
                    self._running.pop(key, None)
                raise
            with self._lock:
                if not self._running[key]:
                    del self._running[key]
                    return True
                self._running[key] = False
