"""One process that starts broker, controller, web and nodeworker, restarts what dies, and stops them in order.

`python -m launcher.supervisor --home HOME`, started by `up` (in the background, in the foreground, or by systemd).
Every child says when it is ready by sd_notify(3); whoever connects to HOME/run/supervisor.sock reads the state of all
children as JSON lines, one now and one at each change, and may send `stop`.

Nothing here knows Django: the supervisor must start, and report, when everything else is broken.
"""

import argparse
import asyncio
import ctypes
import json
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from logging.handlers import RotatingFileHandler
from pathlib import Path

from launcher.processes import Program, programs
from nodeworker.wire.notify import notify

BACK_OFF = (0.2, 1.0, 3.0, 10.0, 30.0)
HEALTHY_AFTER = 60.0
STOP_PATIENCE = 10.0
LAST_WORDS = 1.0
LOG_BYTES = 10_000_000
LOG_FILES = 3
PR_SET_PDEATHSIG = 1

_libc = ctypes.CDLL(None, use_errno=True)
_log = logging.getLogger("supervisor")


@dataclass
class Child:
    """A program and what is known of its process: state is starting, ready, waiting (for its next start) or stopped."""

    program: Program
    state: str = "stopped"
    pid: int = 0
    restarts: int = 0
    last_exit: str = ""
    ready: asyncio.Event = field(default_factory=asyncio.Event)

    def report(self) -> dict[str, object]:
        """Return what `status` shows of this child."""
        return {"state": self.state, "pid": self.pid, "restarts": self.restarts, "last_exit": self.last_exit}


class Supervisor:
    """Runs the children until `stop`; `run` returns when all have ended."""

    def __init__(self, home: Path, started: Sequence[Program]) -> None:
        self._home = home
        self._children = {program.name: Child(program) for program in started}
        self._stopping = asyncio.Event()
        self._watchers: set[asyncio.StreamWriter] = set()
        self._notifications = _bind_datagram(home / "run" / "notify.sock")

    async def run(self) -> None:
        """Start everything, keep it running, stop it in the reverse order."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        loop.add_reader(self._notifications.fileno(), self._on_notification)
        server = await asyncio.start_unix_server(self._serve, str(self._home / "run" / "supervisor.sock"))
        keepers = {child.program.name: asyncio.create_task(self._keep(child)) for child in self._children.values()}
        await self._stopping.wait()
        notify("STOPPING=1")
        for name in reversed(list(self._children)):
            keepers[name].cancel()
            await asyncio.gather(keepers[name], return_exceptions=True)
        self._changed()
        server.close()

    async def _keep(self, child: Child) -> None:
        """Start `child` again and again, after what it needs is ready, with a growing pause between quick deaths."""
        failures = 0
        while True:
            for name in child.program.after:
                await self._children[name].ready.wait()
            started = time.monotonic()
            await self._run_once(child)
            failures = 0 if time.monotonic() - started > HEALTHY_AFTER else failures + 1
            child.restarts += 1
            child.state = "waiting"
            self._changed()
            await asyncio.sleep(BACK_OFF[min(failures, len(BACK_OFF) - 1)])

    async def _run_once(self, child: Child) -> None:
        program = child.program
        child.state = "starting"
        child.ready.clear()
        process = await asyncio.create_subprocess_exec(
            *program.command,
            env={**os.environ, **program.environment, "NOTIFY_SOCKET": str(self._home / "run" / "notify.sock")},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            preexec_fn=_die_with_parent,
        )
        child.pid = process.pid
        self._changed()
        assert process.stdout is not None
        log = asyncio.create_task(_copy_log(process.stdout, self._home / "log" / f"{program.name}.log"))
        if program.ready_socket is not None:
            asyncio.create_task(self._await_socket(child, program.ready_socket))  # noqa: RUF006 - ends with the child
        try:
            code = await process.wait()
            child.last_exit = f"signal {-code}" if code < 0 else f"exit code {code}"
            _log.warning("%s ended: %s", program.name, child.last_exit)
        except asyncio.CancelledError:
            await _stop(process)
            child.state = "stopped"
            raise
        finally:
            child.ready.clear()
            child.pid = 0
            # Its last words are still in the pipe; a grandchild that keeps the pipe open must not hold us up.
            await asyncio.wait([log], timeout=LAST_WORDS)
            log.cancel()

    async def _await_socket(self, child: Child, path: Path) -> None:
        """The broker is not ours and sends no notification: it is ready when its socket accepts."""
        pid = child.pid
        while child.pid == pid and not child.ready.is_set():
            try:
                _, writer = await asyncio.open_unix_connection(str(path))
                writer.close()
                self._became_ready(child)
            except OSError:
                await asyncio.sleep(0.02)

    def _on_notification(self) -> None:
        data, ancillary, _, _ = self._notifications.recvmsg(4096, socket.CMSG_SPACE(12))
        sender = _sender_pid(ancillary)
        for child in self._children.values():
            if child.pid and child.pid == sender and b"READY=1" in data.split(b"\n"):
                self._became_ready(child)

    def _became_ready(self, child: Child) -> None:
        child.ready.set()
        child.state = "ready"
        self._changed()

    def _changed(self) -> None:
        if all(child.state == "ready" for child in self._children.values()):
            notify("READY=1")
        for writer in list(self._watchers):
            self._send_state(writer)

    def _send_state(self, writer: asyncio.StreamWriter) -> None:
        state = {name: child.report() for name, child in self._children.items()}
        writer.write(json.dumps({"pid": os.getpid(), "children": state}).encode() + b"\n")

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._watchers.add(writer)
        try:
            self._send_state(writer)
            while line := await reader.readline():
                if line.strip() == b"stop":
                    self._stopping.set()
        except OSError:
            pass  # the reader went away; nothing is owed to it
        finally:
            self._watchers.discard(writer)
            writer.close()


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        await asyncio.wait_for(process.wait(), STOP_PATIENCE)
    except TimeoutError:
        process.kill()
        await process.wait()


async def _copy_log(stream: asyncio.StreamReader, path: Path) -> None:
    """Write the child's output to its log file, rotated by size, so that no log can fill the disk."""
    handler = RotatingFileHandler(path, maxBytes=LOG_BYTES, backupCount=LOG_FILES - 1)
    try:
        while chunk := await stream.read(65536):
            text = chunk.decode(errors="replace").rstrip("\n")
            handler.emit(logging.LogRecord("", logging.INFO, "", 0, text, None, None))
    finally:
        handler.close()


def _die_with_parent() -> None:
    """A killed supervisor takes its children along (prctl(2), PR_SET_PDEATHSIG); pods are not its children."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


def _bind_datagram(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)
    receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    # The kernel says who sent: a notification counts for the child with that pid and for no other (unix(7)).
    receiver.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    receiver.bind(str(path))
    return receiver


def _sender_pid(ancillary: Sequence[tuple[int, int, bytes]]) -> int:
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_CREDENTIALS:
            return int.from_bytes(data[:4], sys.byteorder)
    return 0


def main(environment: Mapping[str, str] = os.environ) -> None:
    """Run until told to stop."""
    parser = argparse.ArgumentParser(prog="supervisor")
    parser.add_argument("--home", type=Path, required=True)
    home = parser.parse_args().home
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    asyncio.run(Supervisor(home, programs(home, environment)).run())


if __name__ == "__main__":
    main()
