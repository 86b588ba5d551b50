"""Builds a pod in a process of its own, which hands the finished namespaces to the shim and ends. Forked by `shim.py`.

Each function that runs for the first time after a fork makes some pages private (reference counts, specialised byte
code, caches). A pod is built once, its shim stays for the pod's life: so what is needed only for building runs here,
and 1.3 MB of every shim's memory stay shared with the zygote.

    shim                          builder                                    caller (Runtime.create_pod)
    fork                       -> control group, namespaces, network, files
    setns <- {flags}, listener <-
    {} or {"error"}            -> pod.json, announcement
                                  answer or error                         -> pod's state
"""

from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path
from typing import Any, NoReturn

from nodeworker.kernel import mounts, namespaces, pidfd, sockets
from nodeworker.kernel.cgroups.hierarchy import Cgroups
from nodeworker.runtime import pod, state
from nodeworker.runtime.errors import ContainerRuntimeError, from_message, is_error, to_message
from nodeworker.runtime.init import Steps
from nodeworker.runtime.specs import READY, PodSpec, pod_spec_from_dict

_OUT_OF_MEMORY_SCORE = b"-998"


def run(
    directory: Path, home: Path, cgroup_parent: str, cgroups: Cgroups, shim: socket.socket, caller: socket.socket
) -> NoReturn:
    """Build, hand over, answer the caller: also with the sentence of an error, after which nothing is left."""
    try:
        answer = _build(directory, home, cgroup_parent, cgroups, shim)
    except Exception as error:  # the edge: the caller gets the sentence, and this process ends
        answer = to_message(error)
    with contextlib.suppress(OSError):
        sockets.send(caller, answer)
    os._exit(0)


def _build(directory: Path, home: Path, cgroup_parent: str, cgroups: Cgroups, shim: socket.socket) -> dict[str, Any]:
    steps = Steps()
    data = state.read_json(directory / "spec.json")
    if data is None:
        raise ContainerRuntimeError("the pod's spec.json is missing or damaged")
    spec = pod_spec_from_dict(data)
    group = state.pod_group(cgroup_parent, spec.uid)
    keeper = os.getppid()
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
            "uid": spec.uid,
            "namespaces": flags,
            "host_pid": spec.host_pid,
            "share_pid": spec.share_process_namespace,
        }
        sockets.send(shim, message, [listener.fileno()])
    try:
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
