"""Hints between the processes of a machine: "the log has grown", as datagrams on Unix sockets in HOME/run/hints.

The writer sends the newest revision to every socket after each commit and never waits; a log reader owns one socket.
A hint that is lost costs its reader at most the second until it looks by itself.
"""

import contextlib
import itertools
import logging
import os
import select
import socket
import time
from pathlib import Path

from django.conf import settings

logger = logging.getLogger(__name__)
_numbers = itertools.count(1)
_LIST_AGAIN = 1.0


def folder() -> Path:
    """Where the sockets are."""
    return Path(settings.GANTRY_HOME) / "run" / "hints"


class Sender:
    """The writer's side. It lists the folder anew when it has changed, or once a second."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._paths: list[str] = []
        self._listed = (0, 0.0)

    def send(self, revision: int) -> None:
        message = str(revision).encode()
        for path in self._targets():
            try:
                self._socket.sendto(message, path)
            except BlockingIOError:
                continue  # its queue is full of hints already
            except OSError:
                self._forget(path)

    def _targets(self) -> list[str]:
        try:
            changed = folder().stat().st_mtime_ns
        except OSError:
            return []
        now = time.monotonic()
        if changed != self._listed[0] or now - self._listed[1] > _LIST_AGAIN:
            self._paths = [entry.path for entry in os.scandir(folder()) if entry.name.endswith(".sock")]
            self._listed = (changed, now)
        return self._paths

    def _forget(self, path: str) -> None:
        """Remove the socket of a process that is gone."""
        with contextlib.suppress(OSError):
            Path(path).unlink()
        self._paths = [known for known in self._paths if known != path]

    def close(self) -> None:
        self._socket.close()


class Receiver:
    """A log reader's side: a socket of its own that `wait` sleeps on."""

    def __init__(self) -> None:
        self.path = folder() / f"{os.getpid()}-{next(_numbers)}.sock"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._wake_read, self._wake_write = os.pipe()
        self._bind()

    def _bind(self) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.unlink(missing_ok=True)  # a former process with our number
            self._socket.bind(str(self.path))
        except OSError as error:
            logger.warning("no hints at %s, changes are seen once a second: %s", self.path, error)

    def wait(self, seconds: float) -> None:
        """Sleep until a hint, `wake` or the end of `seconds`."""
        ready, _, _ = select.select([self._socket.fileno(), self._wake_read], [], [], seconds)
        if self._socket.fileno() in ready:
            with contextlib.suppress(OSError):
                while self._socket.recv(64):
                    pass

    def wake(self) -> None:
        os.write(self._wake_write, b"x")

    def close(self) -> None:
        self._socket.close()
        os.close(self._wake_read)
        os.close(self._wake_write)
        self.path.unlink(missing_ok=True)
