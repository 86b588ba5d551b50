"""The zygote: a small interpreter with everything imported that a shim needs, from which shims are forked.

Started by `Runtime.ensure_zygote` as `python -I -S` in a session, a control group and an environment of its own. It
survives whoever started it; another version of this code replaces it, and the shims that it made do not notice.

Its own program file is what containers could reach through /proc/<pid>/exe (CVE-2019-5736), so the first thing it does
is to execute itself anew from a detached read-only mount of the interpreter: writing to it fails with EROFS for all.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import select
import signal
import socket
import sys
from pathlib import Path
from typing import Any

from nodeworker.kernel import capabilities, mounts, pidfd, prctl, sockets
from nodeworker.kernel.cgroups.hierarchy import Cgroups
from nodeworker.runtime import log_writer, rehearsal, seccomp_cache, shim
from nodeworker.runtime.specs import ContainerState, container_state_to_dict

_READ_ONLY_STAGE = "read-only"


def main(arguments: list[str]) -> None:
    """`arguments`: stage, interpreter, socket, home, cgroup parent, version, descriptor to report readiness on."""
    if arguments[0] != _READ_ONLY_STAGE:
        _execute_read_only(arguments)
    _stage, _interpreter, socket_path, home, cgroup_parent, version, report = arguments
    serve(Path(socket_path), Path(home), cgroup_parent, version, int(report))


def _execute_read_only(arguments: list[str]) -> None:
    interpreter = arguments[1]
    program = mounts.open_tree(mounts.AT_FDCWD, interpreter)
    mounts.mount_setattr(program, mounts.MOUNT_ATTR_RDONLY)
    os.set_inheritable(int(arguments[6]), True)
    # argv[0] keeps the interpreter's real path: Python finds its library by it.
    command = [interpreter, *sys.orig_argv[1 : len(sys.orig_argv) - len(arguments)], _READ_ONLY_STAGE, *arguments[1:]]
    os.execve(program, command, dict(os.environ))


def serve(socket_path: Path, home: Path, cgroup_parent: str, version: str, report: int) -> None:
    """Fork a child for each request, which answers it or becomes a shim, until told to quit."""
    cgroups = Cgroups()
    group = f"{cgroup_parent}/runtime"
    cgroups.create(group)
    cgroups.join(group)
    prctl.set_name("gantry-zygote")
    os.umask(0o077)
    seccomp_cache.warm()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # shims are reaped by the kernel
    listener = sockets.listen(socket_path)
    os.write(report, b"ready")
    os.close(report)
    _warm_up()
    rehearsal.rehearse(home, cgroup_parent, cgroups)
    gc.collect()
    # What is alive now is never looked at by the collector again, so a shim shares these pages for its whole life.
    gc.freeze()
    # What this process writes to after a fork is no longer shared with the shim, so it does nothing but fork: the child
    # reads the request and answers the caller itself.
    zygote = os.pidfd_open(os.getpid())
    while True:
        connection, _address = listener.accept()
        if _fork() == 0:
            listener.close()
            try:
                _answer(connection, zygote, version, home, cgroup_parent, cgroups)
            finally:
                os._exit(0)
        connection.close()


def _fork() -> int:
    """fork(2). Without room for a process the caller finds the connection closed."""
    try:
        return os.fork()
    except OSError:
        return -1


def _answer(
    connection: socket.socket, zygote: int, version: str, home: Path, cgroup_parent: str, cgroups: Cgroups
) -> None:
    request = _request(connection)
    operation = request.get("op")
    if operation == "version":
        _send(connection, {"version": version, "pid": os.getppid()})
    elif operation == "quit":
        # The connection closes with this process: after the zygote has gone.
        pidfd.send_signal(zygote, signal.SIGKILL)
        select.select([zygote], [], [], 5)
    elif operation == "pod":
        os.close(zygote)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        connection.settimeout(None)
        shim.main(Path(request["pod_directory"]), home, cgroup_parent, cgroups, connection)


def _warm_up() -> None:
    """Do once what every shim does first, so that caches, codecs and late imports are shared and not its own."""
    pidfd.boot_id()
    pidfd.start_time(os.getpid())
    log_writer.timestamp()
    capabilities.last_capability()
    json.loads(json.dumps(container_state_to_dict(ContainerState("name", 0, "created"))))


def _request(connection: socket.socket) -> dict[str, Any]:
    """What our own user asks; empty for anybody else."""
    if sockets.peer(connection)[1] != os.getuid():
        return {}
    connection.settimeout(2)
    try:
        return sockets.receive(connection)[0]
    except (EOFError, OSError, ValueError):
        return {}


def _send(connection: socket.socket, message: dict[str, Any]) -> None:
    with contextlib.suppress(OSError):
        sockets.send(connection, message)


if __name__ == "__main__":
    main(sys.argv[1:])
