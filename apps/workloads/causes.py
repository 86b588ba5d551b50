"""Small memories of this process about keys: which revision woke a key, and when it will be looked at again anyway.

They only save work and tell people more; losing them (another process runs the key) changes no decision.
"""

import threading
from datetime import datetime

from apps.workloads.keys import Key

MOST = 10_000
_causes: dict[Key, int] = {}
_planned: dict[Key, datetime] = {}
_lock = threading.Lock()


def remember(key: Key, revision: int) -> None:
    """Note that `revision` wakes `key`; its next write names it as the cause."""
    with _lock:
        if len(_causes) > MOST:
            _causes.clear()
        _causes[key] = revision


def take(key: Key) -> int | None:
    """Return the revision that woke the key, once."""
    with _lock:
        return _causes.pop(key, None)


def is_news(key: Key, at: datetime) -> bool:
    """Whether a look at `at` is earlier than the one that is planned; if so, it counts as planned now."""
    with _lock:
        if len(_planned) > MOST:
            _planned.clear()
        planned = _planned.get(key)
        if planned is not None and planned <= at:
            return False
        _planned[key] = at
        return True


def looked(key: Key) -> None:
    """Forget the planned look: its time has come."""
    with _lock:
        _planned.pop(key, None)
