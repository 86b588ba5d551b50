"""The zygote: a small interpreter with everything imported that a shim needs, from which shims are forked.

Started by `Runtime.ensure_zygote` as `python -I -S` in a session, a control group and an environment of its own. It
survives whoever started it; another version of this code replaces it, and the shims that it made do not notice.

Its own program file is what containers could reach through /proc/<pid>/exe (CVE-2019-5736), so the first thing it does
is to execute itself anew from a detached read-only mount of the interpreter: writing to it fails with EROFS for all.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from nodeworker.kernel import capabilities, mounts, pidfd, prctl, sockets
from nodeworker.kernel.cgroups.hierarchy import Cgroups
from nodeworker.runtime import log_writer, rehearsal, seccomp_cache, shim
from nodeworker.runtime import process as processes
from nodeworker.runtime.specs import ContainerState, container_state_to_dict

_READ_ONLY_STAGE = "read-only"
_PAUSE = 0.1  # after a shim that ended before it had a request, or for which there was no room


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
    """Fork shims until killed by the one that is told to quit."""
    cgroups = Cgroups()
    group = f"{cgroup_parent}/runtime"
    cgroups.create(group)
    cgroups.join(group)
    prctl.set_name("gantry-zygote")
    os.umask(0o077)
    processes.reset_all_signals()
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
    _fork_shims(lambda taken: shim.main(listener, taken, str(home), cgroup_parent, cgroups, version))


def _fork_shims(become_shim: Callable[[int], None]) -> None:
    """Keep one shim ready, which waits for the next request by itself: no pod waits for a fork.

    What this process writes to after a fork is no longer shared with the shim, so it does as little as it can: it waits
    for a byte that says that the shim has a request, or for an end of file, which says that the shim has ended.
    """
    while True:
        read, taken = os.pipe2(os.O_CLOEXEC)
        child = _fork()
        if child == 0:
            try:
                os.close(read)
                become_shim(taken)
            finally:
                os._exit(0)
        os.close(taken)
        if not os.read(read, 1):
            time.sleep(_PAUSE)
        os.close(read)


def _fork() -> int:
    """fork(2), or -1 while the machine has no room for a process."""
    try:
        return os.fork()
    except OSError:
        return -1


def _warm_up() -> None:
    """Do once what every shim does first, so that caches, codecs and late imports are shared and not its own."""
    pidfd.boot_id()
    pidfd.start_time(os.getpid())
    log_writer.timestamp()
    capabilities.bounding()
    json.loads(json.dumps(container_state_to_dict(ContainerState("name", 0, "created"))))


if __name__ == "__main__":
    main(sys.argv[1:])
