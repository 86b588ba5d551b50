"""What runs inside a container before its command does: the numbered steps from a fork of the shim to execve.

Called by `container.py` in the child, which is process 1 of the new PID namespace (unless the pod shares one). It is
single-threaded, everything it needs is imported already, and after step 7 it opens nothing of the container's but the
user files (as data). It talks to the shim over one socket: "ready" or an error up, "start" down; the socket closes at
execve, which is how the shim learns that it succeeded.
"""

from __future__ import annotations

import os
import signal
import socket
import time
from pathlib import Path
from typing import Any, NoReturn

from nodeworker.kernel import mounts, prctl, sockets, terminal
from nodeworker.kernel.cgroups.hierarchy import Cgroups
from nodeworker.kernel.cgroups.limits import limits_from_resources
from nodeworker.kernel.namespaces import CLONE_NEWCGROUP, CLONE_NEWNS, unshare
from nodeworker.kernel.overlay import mount_overlay
from nodeworker.runtime import process as processes
from nodeworker.runtime.errors import StartError, to_message
from nodeworker.runtime.rootfs import RootFilesystem
from nodeworker.runtime.state import read_json


class Steps:
    """Milliseconds of each named step, for the container's timeline."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, float]] = []
        self._last = time.perf_counter()

    def done(self, name: str) -> None:
        now = time.perf_counter()
        self.taken.append((name, round((now - self._last) * 1000, 3)))
        self._last = now


def run(
    directory: str, layers: list[str], group: str, cgroups: Cgroups, shim: socket.socket, streams: tuple[int, int, int]
) -> NoReturn:
    """Build the container and become its command. Errors go to the shim; never returns."""
    try:
        _run(Path(directory), layers, group, cgroups, shim, streams)
    except StartError as error:
        _report(shim, to_message(error))
    except Exception as error:  # the edge: whatever it is, the caller gets a sentence
        _report(shim, to_message(StartError(f"cannot set up the container: {error}")))
    os._exit(127)


def _report(shim: socket.socket, message: dict[str, Any]) -> None:
    with _silent():
        sockets.send(shim, message)


class _silent:  # noqa: N801 - reads as a word
    def __enter__(self) -> None:
        return

    def __exit__(self, kind: object, error: object, trace: object) -> bool:
        return isinstance(error, OSError)


def _run(
    directory: Path, layers: list[str], group: str, cgroups: Cgroups, shim: socket.socket, streams: tuple[int, int, int]
) -> NoReturn:
    steps = Steps()

    # 1. A session of its own; nobody may look into this process while it still has the shim's powers (CVE-2016-9962);
    #    no descriptor but the ones it needs, so that nothing of the host can leak (CVE-2024-21626).
    os.setsid()
    prctl.set_dumpable(False)
    processes.reset_signals()
    os.umask(0o022)
    close_all_but({0, 1, 2, shim.fileno(), *streams})
    config = read_json(directory / "config.json")
    if config is None:
        raise StartError("the container's config.json is missing or damaged")
    process = processes.process_from_config(config)
    linux = config.get("linux", {})
    steps.done("configuration")

    # 2. The control group comes before its namespace, whose root is the group that we are in when we unshare it.
    limits = limits_from_resources(linux.get("resources", {}))
    cgroups.create(group, cpuset=bool(limits.cpuset_cpus or limits.cpuset_mems))
    cgroups.apply(group, limits)
    _adjust_oom_score(process.oom_score_adjustment)
    cgroups.join(group)
    unshare(CLONE_NEWCGROUP)
    steps.done("cgroup")

    # 3. A mount namespace from which nothing propagates to the host.
    unshare(CLONE_NEWNS)
    mounts.mount("", "/", "", mounts.MS_PRIVATE | mounts.MS_REC)
    steps.done("mount namespace")

    # 4. The root: the image's layers below, a new writable directory on top. No device of an image's layer works.
    root = _mount_root(directory, layers)
    steps.done("overlay")

    # 5. /proc, /sys, /dev, volumes, all attached by descriptors that were resolved inside the root.
    filesystem = RootFilesystem(root, cgroups, group)
    filesystem.mount_all(config.get("mounts", []))
    master = slave = -1
    if process.terminal:
        if filesystem.devpts is None:
            raise StartError("a terminal needs a devpts mount on /dev/pts")
        master, slave = terminal.open_terminal("ptmx", directory=filesystem.devpts)
        filesystem.bind_console(slave)
    filesystem.mask(linux.get("maskedPaths", []))
    filesystem.make_read_only(linux.get("readonlyPaths", []))
    steps.done("mounts")

    # 6. The user, from the image's files, read as data through the root's descriptor.
    user = processes.find_user(process, root)
    filesystem.make_working_directory(process.working_directory, user.uid, user.gid)
    if config.get("root", {}).get("readonly"):
        mounts.mount_setattr(root, mounts.MOUNT_ATTR_RDONLY)

    # 7. The root becomes "/": stacking the old root on the same directory needs no place for it in the image.
    os.fchdir(root)
    mounts.pivot_root(".", ".")
    mounts.umount2(".", mounts.MNT_DETACH)
    os.chdir("/")
    os.close(root)
    steps.done("pivot_root")

    # 8. Standard streams; then everything that the command may not have goes, and its directory and file are checked.
    if process.terminal:
        terminal.make_controlling(slave)
    else:
        for stream, descriptor in enumerate(streams):
            os.dup2(descriptor, stream)
    close_all_but({0, 1, 2, shim.fileno(), master})  # before the working directory: /proc/self/fd/N leads nowhere
    processes.assume(process, user)
    # The change of user has cleared an earlier setting. Without its shim a container has no one to reap it.
    prctl.set_parent_death_signal(signal.SIGKILL)
    processes.enter_directory(process)
    command = processes.find_command(process)
    steps.done("privileges")

    # 9. Created. Wait for "start"; an end of file means that the shim is gone.
    sockets.send(shim, {"ready": True, "steps": steps.taken}, [master] if master >= 0 else [])
    try:
        sockets.receive(shim)
    except EOFError:
        os._exit(0)

    # 10. The filter goes on, the last descriptors are marked, and the command takes over.
    processes.execute(process, user, command)


def close_all_but(kept: set[int]) -> None:
    """Close every other descriptor. (An empty range must not reach os.closerange: it would close everything.)"""
    previous = -1
    for descriptor in sorted(kept - {-1}):
        if descriptor > previous + 1:
            os.closerange(previous + 1, descriptor)
        previous = descriptor
    os.closerange(previous + 1, 1 << 20)


def _adjust_oom_score(value: int | None) -> None:
    if value is None:
        return
    try:
        Path("/proc/self/oom_score_adj").write_text(str(value))
    except PermissionError:
        return  # lowering it needs CAP_SYS_RESOURCE, which machines in containers lack


def _mount_root(directory: Path, layers: list[str]) -> int:
    for name in ("upper", "work", "root"):
        (directory / name).mkdir(mode=0o755)
    target = str(directory / "root")
    try:
        mount_overlay(layers, str(directory / "upper"), str(directory / "work"), target, mounts.MS_NODEV)
    except FileNotFoundError as error:
        raise StartError(f"a layer of the image is missing on this node: {error.filename}") from error
    return os.open(target, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
