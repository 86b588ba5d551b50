"""Lives through the life of a pod in the zygote, so that every shim finds done what the first time costs.

Python 3.11 writes into a function's byte code while it warms up, fills caches of types and methods, and makes codecs,
names and free lists when they are first wanted. Done in the zygote before it forks, the pages stay shared by all
shims; done in a shim, they are its own for the pod's life (0.6 MB each), and its first start is slower by it.

No container is started: a child of ours, in a PID namespace of its own, stands in for one. Nothing is mounted and no
control group is made.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import sys
from pathlib import Path
from typing import Any, NoReturn

from nodeworker.kernel import sockets
from nodeworker.kernel.cgroups.hierarchy import Cgroups
from nodeworker.runtime import state
from nodeworker.runtime.shim import Shim

# Byte code is specialised from the ninth call of a function on.
ROUNDS = 12
_TIMEOUT = 5.0


def rehearse(home: Path, cgroup_parent: str, cgroups: Cgroups) -> None:
    """Create, start, run, end and remove a few containers that are none. A failure costs memory later, nothing else."""
    directory = home / f"rehearsal-{os.getpid()}"
    before = signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    try:
        _Rehearsal(directory, cgroup_parent, cgroups).run()
    except Exception as error:  # the edge: pods can be started without it
        sys.stderr.write(f"the rehearsal failed: {error}\n")
    finally:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, before)
        shutil.rmtree(directory, ignore_errors=True)


class _Rehearsal:
    """A shim in our own process, and the connection of a caller to it."""

    def __init__(self, directory: Path, cgroup_parent: str, cgroups: Cgroups) -> None:
        for name in ("pod/containers", "changes"):
            (directory / name).mkdir(parents=True)
        self._pod = directory / "pod"
        self._shim = Shim(str(self._pod), str(directory), cgroup_parent, cgroups, first=_stand_in)

    def run(self) -> None:
        listener = sockets.listen(self._pod / "shim.sock")
        made = {"uid": "rehearsal", "namespaces": 0, "host_pid": False, "share_pid": False}
        self._shim.take_over(os.getpid(), made, listener.detach())
        state.write_json(self._pod / "pod.json", {"phase": "ready"})
        for attempt in range(ROUNDS):
            self._live(attempt)
        self._ask({"op": "stop"})

    def _live(self, attempt: int) -> None:
        container = {"name": "none", "attempt": attempt}
        directory = state.container_directory(self._pod, "none", attempt)
        directory.mkdir()
        spec = {"lower_directories": [], "log": {"max_bytes": 1, "max_files": 1}, "terminal": False, "stdin": False}
        state.write_json(directory / "spec.json", spec)
        self._ask({"op": "create", **container})
        self._ask({"op": "start", **container})
        self._ask({"op": "remove", **container})

    def _ask(self, request: dict[str, Any]) -> None:
        with sockets.connect(self._pod / "shim.sock", _TIMEOUT) as connection:
            sockets.send(connection, request)
            connection.setblocking(False)
            while True:
                self._shim.turn(_TIMEOUT)
                with contextlib.suppress(BlockingIOError):
                    sockets.receive(connection)
                    break
        self._shim.turn(0)


def _stand_in(
    directory: str, layers: list[str], group: str, cgroups: Cgroups, shim: socket.socket, streams: tuple[int, int, int]
) -> NoReturn:
    """In the place of `init.run`: says what a container says, and waits for its end."""
    try:
        os.write(streams[1], b"a line\n")
        sockets.send(shim, {"ready": True, "steps": [("step", 0.1)]})
        sockets.receive(shim)
        shim.close()
        signal.pause()
    finally:
        os._exit(0)
