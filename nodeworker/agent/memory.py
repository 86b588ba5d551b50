"""What the agent remembers of each pod, as one small JSON file a pod: HOME/node/agent/<uid>.json.

Everything that can be seen (what runs, its address) is asked of the runtime; here is what cannot: restart back-off,
deadlines of a termination, the last end of a container whose sandbox is gone. Written at the end of a sync.
"""

import contextlib
import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from nodeworker.agent.logic.observed import Memory


class MemoryStore:
    """The memories of all pods; safe from several threads, each pod's is changed by one at a time."""

    def __init__(self, home: Path) -> None:
        self._home = home / "agent"
        self._home.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._memories: dict[str, Memory] = {}
        self._dirty: set[str] = set()
        for path in self._home.glob("*.json"):
            with contextlib.suppress(msgspec.MsgspecError, OSError):
                self._memories[path.stem] = msgspec.json.decode(path.read_bytes(), type=Memory)

    def get(self, uid: str) -> Memory:
        return self._memories.get(uid) or Memory()

    def known(self) -> list[str]:
        with self._lock:
            return list(self._memories)

    def change(self, uid: str, **changes: Any) -> None:
        """Replace fields of a pod's memory."""
        with self._lock:
            memory = self._memories.get(uid) or Memory()
            changed = replace(memory, **changes)
            if changed != memory or uid not in self._memories:
                self._memories[uid] = changed
                self._dirty.add(uid)

    def put(self, uid: str, field: str, key: str, value: Any) -> None:
        """Set one entry of a field that is a mapping; None removes it."""
        entries: Mapping[str, Any] = getattr(self.get(uid), field)
        if value is None:
            if key in entries:
                self.change(uid, **{field: {name: entry for name, entry in entries.items() if name != key}})
        else:
            self.change(uid, **{field: {**entries, key: value}})

    def forget(self, uid: str) -> None:
        with self._lock:
            self._memories.pop(uid, None)
            self._dirty.discard(uid)
        (self._home / f"{uid}.json").unlink(missing_ok=True)

    def flush(self, uid: str) -> None:
        """Write what has changed."""
        with self._lock:
            if uid not in self._dirty:
                return
            self._dirty.discard(uid)
            memory = self._memories[uid]
        path = self._home / f"{uid}.json"
        scratch = path.with_suffix(".new")
        scratch.write_bytes(msgspec.json.encode(memory))
        scratch.replace(path)
