"""Talk to an instance's supervisor: is it there, what state are its children in, stop.

The lock that the supervisor's starter holds cannot go stale: an instance runs when its socket accepts.
"""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from launcher import systemd
from launcher.environment import CHECKOUT
from launcher.errors import LauncherError
from launcher.processes import supervisor_environment

START_PATIENCE = 60.0
STOP_PATIENCE = 45.0


@dataclass(frozen=True)
class ChildState:
    """What the supervisor says of one process."""

    state: str
    pid: int
    restarts: int
    last_exit: str


def is_running(home: Path) -> bool:
    """Whether a supervisor answers on this home's socket."""
    return _connect(home) is not None


def states(home: Path, timeout: float) -> Iterator[dict[str, ChildState]]:
    """Yield the state of all processes now and at each change; end when the supervisor does."""
    connection = _connect(home)
    if connection is None:
        return
    with connection, connection.makefile("rb") as lines:
        deadline = time.monotonic() + timeout
        while True:
            connection.settimeout(max(0.01, deadline - time.monotonic()))
            try:
                line = lines.readline()
            except TimeoutError:
                return
            if not line:
                return
            children = json.loads(line)["children"]
            yield {name: ChildState(**child) for name, child in children.items()}


def start(home: Path, unit: str) -> None:
    """Start the supervisor in the background: as a systemd unit when `unit` names one, else as a daemon."""
    if unit:
        systemd.start(unit)
    else:
        _daemonise(home)
    await_ready(home)


def stop(home: Path, unit: str) -> None:
    """Stop all processes of the instance; its pods run on."""
    if unit and systemd.is_active(unit):
        systemd.stop(unit)
    connection = _connect(home)
    if connection is None:
        return
    with connection:
        connection.settimeout(STOP_PATIENCE)
        connection.sendall(b"stop\n")
        try:
            while connection.recv(65536):
                pass
        except TimeoutError:
            raise LauncherError(f"the processes did not end within {STOP_PATIENCE:.0f} s; see {home}/log") from None


def tail(path: Path, lines: int) -> str:
    """Return the last lines of a log file."""
    try:
        with path.open("rb") as stream:
            stream.seek(max(0, stream.seek(0, os.SEEK_END) - 64_000))
            return "\n".join(stream.read().decode(errors="replace").splitlines()[-lines:])
    except FileNotFoundError:
        return f"({path} does not exist)"


def _connect(home: Path) -> socket.socket | None:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.connect(str(home / "run" / "supervisor.sock"))
    except OSError:
        connection.close()
        return None
    return connection


def _daemonise(home: Path) -> None:
    with (home / "log" / "supervisor.log").open("ab") as log:
        subprocess.Popen(
            [sys.executable, "-m", "launcher.supervisor", "--home", str(home)],
            cwd=CHECKOUT,
            env=supervisor_environment(home),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def await_ready(home: Path) -> None:
    """Return when every process is ready; LauncherError with the log's last lines when one does not get there."""
    deadline = time.monotonic() + START_PATIENCE
    while not is_running(home):
        if time.monotonic() > deadline:
            raise LauncherError(f"the supervisor did not start:\n{tail(home / 'log' / 'supervisor.log', 10)}")
        time.sleep(0.02)  # nothing announces the first bind of a socket that does not exist yet
    seen: dict[str, ChildState] = {}
    for seen in states(home, deadline - time.monotonic()):
        if all(child.state == "ready" for child in seen.values()):
            return
        for name, child in seen.items():
            if child.restarts >= 3:
                raise LauncherError(f"{name} does not start ({child.last_exit}):\n{_log_tail(home, name)}")
    waiting = [name for name, child in seen.items() if child.state != "ready"] or ["the supervisor"]
    raise LauncherError(f"{', '.join(waiting)} did not get ready in time:\n{_log_tail(home, waiting[0])}")


def _log_tail(home: Path, name: str) -> str:
    return tail(home / "log" / f"{name}.log", 15)
