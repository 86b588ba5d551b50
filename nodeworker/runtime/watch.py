"""Tells the agent which pod changed: one inotify watch for what shims write, one pidfd for each shim's death."""

from __future__ import annotations

import contextlib
import os
import select
import threading
from collections.abc import Callable
from pathlib import Path

from nodeworker.kernel import pidfd
from nodeworker.kernel.inotify import IN_CLOSE_WRITE, IN_Q_OVERFLOW, Inotify
from nodeworker.runtime import state
from nodeworker.runtime.specs import READY


class Watch:
    """A thread around one poll."""

    def __init__(self, home: Path, on_change: Callable[[str], None]) -> None:
        self._home, self._on_change = home, on_change
        self._inotify = Inotify()
        self._inotify.add(home / "changes", IN_CLOSE_WRITE)
        self._poll = select.poll()
        self._shims: dict[int, str] = {}
        self._stop_read, self._stop_write = os.pipe2(os.O_CLOEXEC)
        self._thread = threading.Thread(target=self._run, name="runtime-watch", daemon=True)

    def start(self) -> None:
        for descriptor in (self._inotify.fileno(), self._stop_read):
            self._poll.register(descriptor, select.POLLIN)
        for path in (self._home / "pods").iterdir():
            self._watch_shim(path.name)
        self._thread.start()

    def stop(self) -> None:
        with contextlib.suppress(OSError):
            os.close(self._stop_write)
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _watch_shim(self, pod_uid: str) -> None:
        if pod_uid in self._shims.values():
            return
        status = state.read_json(self._home / "pods" / pod_uid / "pod.json")
        if status is None or status.get("phase") != READY:
            return
        descriptor = pidfd.open_process(status["shim_pid"], status["start_time"], status["boot_id"])
        if descriptor is not None:
            self._shims[descriptor] = pod_uid
            self._poll.register(descriptor, select.POLLIN)

    def _all(self) -> list[str]:
        return [path.name for path in (self._home / "pods").iterdir()]

    def _run(self) -> None:
        while True:
            changed: dict[str, None] = {}
            for descriptor, _event in self._poll.poll():
                if descriptor == self._stop_read:
                    self._close()
                    return
                if descriptor == self._inotify.fileno():
                    for _watch, mask, name in self._inotify.read():
                        # Too many events to keep: any pod may have changed.
                        names = self._all() if mask & IN_Q_OVERFLOW else [name]
                        changed.update(dict.fromkeys(names))
                elif descriptor in self._shims:
                    self._poll.unregister(descriptor)
                    os.close(descriptor)
                    changed[self._shims.pop(descriptor)] = None
            for pod_uid in changed:
                self._watch_shim(pod_uid)
                self._on_change(pod_uid)

    def _close(self) -> None:
        self._inotify.close()
        for descriptor in (*self._shims, self._stop_read):
            os.close(descriptor)
