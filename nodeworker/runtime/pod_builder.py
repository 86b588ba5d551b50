"""Takes a request of the zygote's socket and builds the pod, in a process of its own. Forked by `shim.py`.

Each function that runs for the first time after a fork makes some pages private (reference counts, specialised byte
code, caches). A pod is built once, its shim stays for the pod's life: so what is needed only for building runs here,
and more than a megabyte of every shim stays shared with the zygote. The pair waits, ready, for a request:

    shim                          builder                                    caller (Runtime.create_pod)
    fork                       -> accept                                  <- {"op": "pod"}
                                  tell the zygote to fork the next pair
                                  control group, namespaces, network, files
    setns <- {flags}, listener <-
    {} or {"error"}            -> pod.json, announcement
                                  answer or error                         -> pod's state

The other requests, "version" and "quit", are answered here too; then the shim sees the end of file and ends.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from nodeworker.kernel import mounts, namespaces, pidfd, prctl, sockets
from nodeworker.kernel.cgroups.hierarchy import Cgroups
from nodeworker.runtime import pod, state
from nodeworker.runtime.errors import ContainerRuntimeError, from_message, is_error, to_message
from nodeworker.runtime.init import Steps
from nodeworker.runtime.specs import READY, PodSpec, pod_spec_from_dict

_OUT_OF_MEMORY_SCORE = b"-998"


@dataclass(frozen=True, slots=True)
class Request:
    """Where the next request comes from, and what its answer needs."""

    listener: socket.socket
    taken: int  # a byte here: the zygote may fork the next pair
    zygote: int
    version: str


def run(source: Request, home: Path, cgroup_parent: str, cgroups: Cgroups, shim: socket.socket) -> NoReturn:
    """Wait for a request and answer it: also with the sentence of an error, after which nothing is left."""
    keeper = os.getppid()
    prctl.set_parent_death_signal(signal.SIGKILL)
    connection, _address = source.listener.accept()
    prctl.set_parent_death_signal(0)
    request = _receive(connection)
    if request.get("op") == "quit":
        _end_zygote(source.zygote)
        os._exit(0)
    os.write(source.taken, b"\0")
    source.listener.close()
    answer: dict[str, Any] = {}
    try:
        if request.get("op") == "version":
            answer = {"version": source.version, "pid": source.zygote}
        elif request.get("op") == "pod":
            directory = Path(request["pod_directory"])
            answer = _build(directory, home, cgroup_parent, cgroups, shim, keeper)
    except Exception as error:  # the edge: the caller gets the sentence, and this process ends
        answer = to_message(error)
    with contextlib.suppress(OSError):
        sockets.send(connection, answer)
    os._exit(0)


def _receive(connection: socket.socket) -> dict[str, Any]:
    """What our own user asks; empty for anybody else."""
    if sockets.peer(connection)[1] != os.getuid():
        return {}
    connection.settimeout(2)
    try:
        request = sockets.receive(connection)[0]
    except (EOFError, OSError, ValueError):
        return {}
    connection.settimeout(None)
    return request


def _end_zygote(pid: int) -> None:
    """Kill it and wait until it is gone; the caller sees its connection close with this process, after that."""
    with contextlib.suppress(OSError):
        zygote = os.pidfd_open(pid)
        pidfd.send_signal(zygote, signal.SIGKILL)
        select.select([zygote], [], [], 5)


def _build(
    directory: Path, home: Path, cgroup_parent: str, cgroups: Cgroups, shim: socket.socket, keeper: int
) -> dict[str, Any]:
    steps = Steps()
    data = state.read_json(directory / "spec.json")
    if data is None:
        raise ContainerRuntimeError("the pod's spec.json is missing or damaged")
    spec = pod_spec_from_dict(data)
    group = state.pod_group(cgroup_parent, spec.uid)
    try:
        _protect(keeper)
        pod.build(spec, directory, group, cgroups, steps)
        _hand_over(spec, directory, shim)
    except BaseException:
        clean(directory, group, cgroups)
        raise
    steps.done("shim")
    status = {
        "phase": READY,
        "shim_pid": keeper,
        "start_time": pidfd.start_time(keeper),
        "boot_id": pidfd.boot_id(),
        "steps": steps.taken,
    }
    state.write_json(directory / "pod.json", status)
    with contextlib.suppress(OSError):
        state.announce(home, spec.uid)
    return status


def _protect(shim: int) -> None:
    """The kernel shall kill the shim last when memory runs out. Machines in containers may not ask for it."""
    with contextlib.suppress(PermissionError):
        descriptor = os.open(f"/proc/{shim}/oom_score_adj", os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(descriptor, _OUT_OF_MEMORY_SCORE)
        finally:
            os.close(descriptor)


def _hand_over(spec: PodSpec, directory: Path, shim: socket.socket) -> None:
    """The shim enters our namespaces and gets the listening socket."""
    flags = 0 if spec.host_network else namespaces.CLONE_NEWNET | namespaces.CLONE_NEWUTS
    flags |= 0 if spec.host_ipc else namespaces.CLONE_NEWIPC
    with sockets.listen(directory / "shim.sock") as listener:
        message = {
            "directory": str(directory),
            "uid": spec.uid,
            "namespaces": flags,
            "host_pid": spec.host_pid,
            "share_pid": spec.share_process_namespace,
        }
        try:
            sockets.send(shim, message, [listener.fileno()])
            answer, _descriptors = sockets.receive(shim)
        except (EOFError, OSError):
            raise ContainerRuntimeError("the pod's shim ended before the pod was ready") from None
    if is_error(answer):
        raise from_message(answer)


def clean(directory: Path, group: str, cgroups: Cgroups) -> None:
    """Take away what the kernel does not take by itself when the pod's last process ends."""
    with contextlib.suppress(OSError):
        mounts.umount2(str(directory / "shm"), mounts.MNT_DETACH)
    with contextlib.suppress(OSError):
        (directory / "shim.sock").unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        cgroups.remove(group)
