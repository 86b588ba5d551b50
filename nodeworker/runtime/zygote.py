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
import signal
import socket
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from nodeworker.kernel import capabilities, mounts, pidfd, prctl, sockets
from nodeworker.kernel.cgroups.hierarchy import Cgroups
from nodeworker.runtime import log_writer, seccomp_cache, shim
from nodeworker.runtime.errors import to_message
from nodeworker.runtime.specs import ContainerState

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
    """Fork a shim for each request, until told to quit."""
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
    gc.collect()
    _warm_up()
    # What is alive now is never looked at by the collector again, so a shim shares these pages for its whole life.
    gc.freeze()
    while True:
        connection, _address = listener.accept()
        with connection:
            request = _request(connection)
            if request.get("op") == "quit":
                return
            if request.get("op") == "version":
                _send(connection, {"version": version, "pid": os.getpid()})
            elif request.get("op") == "pod":
                _fork_shim(listener, connection, Path(request["pod_directory"]), home, cgroup_parent, cgroups)


def _warm_up() -> None:
    """Do once what every shim does first, so that caches, codecs and late imports are shared and not its own."""
    pidfd.boot_id()
    pidfd.start_time(os.getpid())
    log_writer.timestamp()
    capabilities.last_capability()
    json.loads(json.dumps(asdict(ContainerState("name", 0, "created"))))


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


def _fork_shim(
    listener: socket.socket,
    connection: socket.socket,
    pod_directory: Path,
    home: Path,
    cgroup_parent: str,
    cgroups: Cgroups,
) -> None:
    """The child answers the caller itself, so the next request need not wait for it."""
    try:
        child = os.fork()
    except OSError as error:
        _send(connection, to_message(error))
        return
    if child != 0:
        return
    try:
        listener.close()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        connection.settimeout(None)
        shim.main(pod_directory, home, cgroup_parent, cgroups, connection)
    finally:
        os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
