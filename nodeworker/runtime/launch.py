"""Starts and replaces the zygote. Called by `runtime.py` only; kept apart because it is all about other processes."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import select
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from nodeworker.kernel import sockets
from nodeworker.runtime.errors import RuntimeUnavailable

_PACKAGE_ROOT = Path(__file__).resolve().parents[2]
_BOOTSTRAP = (
    "import sys; sys.path.insert(0, sys.argv.pop(1)); from nodeworker.runtime import zygote; zygote.main(sys.argv[1:])"
)
_ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}
_START_TIMEOUT = 15.0


@cache
def code_version() -> str:
    """Changes with every file that a zygote or shim could have imported."""
    digest = hashlib.sha256(sys.version.encode())
    for folder in ("kernel", "runtime"):
        for path in sorted((_PACKAGE_ROOT / "nodeworker" / folder).rglob("*.py")):
            if "tests" not in path.parts:
                digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:16]


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Two agents (or tests) that start at once make one zygote."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def ask(socket_path: Path, request: dict[str, Any], timeout: float) -> dict[str, Any]:
    """One question to the zygote."""
    with sockets.connect(socket_path, timeout) as connection:
        sockets.send(connection, request)
        return sockets.receive(connection)[0]


def running_version(socket_path: Path) -> str | None:
    """The version of the zygote that answers there, or None."""
    try:
        return str(ask(socket_path, {"op": "version"}, 5)["version"])
    except (OSError, EOFError, KeyError, ValueError):
        return None


def ensure(socket_path: Path, home: Path, cgroup_parent: str) -> None:
    """Have a zygote of our version answer at `socket_path`."""
    with _locked(socket_path.with_suffix(".lock")):
        version = running_version(socket_path)
        if version == code_version():
            return
        if version is not None:
            quit_zygote(socket_path)
        _start(socket_path, home, cgroup_parent)


def quit_zygote(socket_path: Path) -> None:
    """Ask the zygote to end. Its shims go on."""
    with contextlib.suppress(OSError, EOFError), sockets.connect(socket_path, 5) as connection:
        sockets.send(connection, {"op": "quit"})
        # The other end closes when it has read this; then the path is free for the next one.
        with contextlib.suppress(EOFError):
            sockets.receive(connection)


def _start(socket_path: Path, home: Path, cgroup_parent: str) -> None:
    read, write = os.pipe2(os.O_CLOEXEC)
    interpreter = os.path.realpath(sys.executable)
    log_path = socket_path.with_suffix(".log")
    # fmt: off
    command = [
        interpreter, "-I", "-S", "-c", _BOOTSTRAP, str(_PACKAGE_ROOT),
        "first", interpreter, str(socket_path), str(home), cgroup_parent, code_version(), str(write),
    ]
    # fmt: on
    descriptor = os.open(log_path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        # The shell of an intermediate process would be one more to wait for: this one is simply left behind.
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=descriptor,
            stderr=descriptor,
            cwd="/",
            env=_ENVIRONMENT,
            start_new_session=True,
            pass_fds=(write,),
        )
    finally:
        os.close(descriptor)
        os.close(write)
    try:
        ready, _, _ = select.select([read], [], [], _START_TIMEOUT)
        if not ready or os.read(read, 16) != b"ready":
            said = log_path.read_text(errors="replace").strip().splitlines()
            raise RuntimeUnavailable(f"the zygote did not start: {said[-1] if said else 'it said nothing'}")
    finally:
        os.close(read)
    _left_behind.append(process)


# Kept, so that subprocess reaps a zygote that was replaced and does not warn about one that runs.
_left_behind: list[subprocess.Popen[bytes]] = []
