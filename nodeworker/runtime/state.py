"""Phases and files: what may follow what, and how it is kept on disk. The shim writes, `runtime.py` reads.

    <home>/pods/<uid>/spec.json, pod.json, shim.sock, etc/, shm/
    <home>/pods/<uid>/containers/<name>.<attempt>/spec.json, config.json, state.json, upper/, work/, root/
    <home>/logs/<uid>/<name>/            (logs.py)
    <home>/changes/<uid>                 written at every change, so that one inotify watch sees all pods
    <home>/trash/                        what is still to be deleted

Every file is written beside its place and renamed into it: a reader sees the old or the new one, never a half.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

from nodeworker.kernel.sockets import encode
from nodeworker.runtime.errors import ContainerRuntimeError, InvalidTransition
from nodeworker.runtime.specs import CREATED, EXITED, RUNNING

CREATE, START, EXIT, REMOVE = "create", "start", "exit", "remove"
NOTHING, CREATING, REMOVED = "nothing", "creating", "removed"
READY_EVENT = "ready"

# (phase, event) -> phase. Whatever is not here does not happen.
NEXT = {
    (NOTHING, CREATE): CREATING,
    (CREATING, READY_EVENT): CREATED,
    (CREATING, EXIT): EXITED,
    (CREATED, START): RUNNING,
    (CREATED, EXIT): EXITED,
    (RUNNING, EXIT): EXITED,
    (EXITED, REMOVE): REMOVED,
}


def advance(phase: str, event: str, history: list[str]) -> str:
    """The phase after `event`; InvalidTransition names what happened before."""
    try:
        following = NEXT[(phase, event)]
    except KeyError:
        before = " > ".join(history) or "nothing"
        message = f'a container in phase "{phase}" cannot take the step "{event}" (before: {before})'
        raise InvalidTransition(message) from None
    history.append(event)
    return following


_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,251}[A-Za-z0-9])?")


def check_name(name: str, what: str) -> str:
    """The name, if it is safe as part of a path and of a control group."""
    if not _NAME.fullmatch(name) or ".." in name:
        raise ContainerRuntimeError(
            f"the {what} {name!r} is not valid: letters, digits, '-', '_' and '.' only, a letter or digit at both ends"
        )
    return name


def container_directory(pod_directory: Path, name: str, attempt: int) -> Path:
    """Where one attempt of a container lives."""
    return pod_directory / container_place(name, attempt)


def container_place(name: str, attempt: int) -> str:
    """The same, below the pod's directory."""
    return f"containers/{check_name(name, 'container name')}.{int(attempt)}"


def container_group(cgroup_parent: str, pod_uid: str, name: str, attempt: int) -> str:
    """The control group of one attempt, relative to each hierarchy's root."""
    return f"{pod_group(cgroup_parent, pod_uid)}/{name}-{attempt}"


def pod_group(cgroup_parent: str, pod_uid: str) -> str:
    """The control group of a pod."""
    return f"{cgroup_parent}/pod{pod_uid}"


def write_json(path: Path | str, data: dict[str, Any]) -> None:
    """Replace a file by rename."""
    temporary = f"{path}.new"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        content = encode(data).encode()
        while content:
            content = content[os.write(descriptor, content) :]
    finally:
        os.close(descriptor)
    os.rename(temporary, path)  # noqa: PTH104 - hot path


def read_json(path: Path | str) -> dict[str, Any] | None:
    """The file's content, or None when it is missing or (after a power failure) damaged."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        data = json.loads(os.read(descriptor, os.fstat(descriptor).st_size).decode())
    except ValueError:
        return None
    finally:
        os.close(descriptor)
    return data if isinstance(data, dict) else None


def announce(home: Path | str, pod_uid: str) -> None:
    """Wake whoever watches `<home>/changes`."""
    os.close(os.open(f"{home}/changes/{pod_uid}", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
