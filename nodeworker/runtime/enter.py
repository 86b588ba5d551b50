"""A process joins a running container (exec): the numbered steps from a fork of the shim to execve.

Called by `container.py` in a child that the kernel has already put into the container's PID namespace. What restricts
the process afterwards is the code of `process.py`, the same as for the container's first process.
"""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path
from typing import Any, NoReturn

from nodeworker.kernel import paths, prctl, sockets, terminal
from nodeworker.kernel.cgroups.hierarchy import Cgroups
from nodeworker.kernel.namespaces import CLONE_NEWCGROUP, CLONE_NEWNS, setns
from nodeworker.runtime import process as processes
from nodeworker.runtime.errors import StartError, to_message
from nodeworker.runtime.init import close_all_but
from nodeworker.runtime.state import read_json


def run(
    directory: Path,
    group: str,
    cgroups: Cgroups,
    container: int,
    shim: socket.socket,
    streams: tuple[int, int, int],
    asked: dict[str, Any],
) -> NoReturn:
    """Enter the container of the pidfd `container` and become the command. Errors go to the shim; never returns."""
    try:
        _run(directory, group, cgroups, container, shim, streams, asked)
    except StartError as error:
        message = to_message(error)
    except Exception as error:  # the edge: whatever it is, the caller gets a sentence
        message = to_message(StartError(f"cannot enter the container: {error}"))
    try:
        sockets.send(shim, message)
    finally:
        os._exit(127)


def _run(
    directory: Path,
    group: str,
    cgroups: Cgroups,
    container: int,
    shim: socket.socket,
    streams: tuple[int, int, int],
    asked: dict[str, Any],
) -> NoReturn:
    # 1. As in init.py: a session, no onlookers, no descriptors of the host. Dumpable goes before anything is joined.
    os.setsid()
    prctl.set_dumpable(False)
    processes.reset_signals()
    os.umask(0o022)
    close_all_but({0, 1, 2, container, shim.fileno(), *streams})
    config = read_json(directory / "config.json")
    if config is None:
        raise StartError("the container's config.json is missing or damaged")
    process = processes.for_exec(
        processes.process_from_config(config),
        asked["arguments"],
        asked.get("environment", []),
        asked.get("working_directory", ""),
        asked.get("user", ""),
        bool(asked.get("terminal")),
    )

    # 2. The control group, by the host's paths, before the mount namespace changes them.
    cgroups.join(group)

    # 3. The container's mount and cgroup namespace (network, IPC and UTS are the pod's and inherited); "/" is its root.
    setns(container, CLONE_NEWNS | CLONE_NEWCGROUP)
    os.close(container)
    root = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    user = processes.find_user(process, root)
    os.close(root)

    # 4. A terminal comes from the container's own devpts, whose multiplexer is proven to be one.
    master = -1
    if process.terminal:
        master, slave = _open_terminal(asked.get("width", 80), asked.get("height", 24))
        terminal.make_controlling(slave)
    else:
        for stream, descriptor in enumerate(streams):
            os.dup2(descriptor, stream)
    close_all_but({0, 1, 2, shim.fileno(), master})

    # 5. No more than the container itself has; then the command.
    processes.assume(process, user)
    prctl.set_parent_death_signal(signal.SIGKILL)
    processes.enter_directory(process)
    command = processes.find_command(process)
    sockets.send(shim, {"ready": True}, [master] if master >= 0 else [])
    processes.execute(process, user, command)


def _open_terminal(width: int, height: int) -> tuple[int, int]:
    here = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        devpts = paths.open_in_root(here, "/dev/pts", os.O_PATH | os.O_DIRECTORY, follow=False)
    finally:
        os.close(here)
    if paths.filesystem_type(devpts) != terminal.DEVPTS_MAGIC:
        raise StartError("/dev/pts of the container is not a devpts file system")
    master, slave = terminal.open_terminal("ptmx", directory=devpts)
    os.close(devpts)
    terminal.set_size(master, width, height)
    return master, slave
