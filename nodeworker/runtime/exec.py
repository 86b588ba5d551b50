"""A process running inside a container, seen by who asked for it (the streaming endpoint, exec probes)."""

from __future__ import annotations

import contextlib
import os
import socket
import threading

from nodeworker.kernel import sockets, terminal
from nodeworker.runtime.specs import ProcessSpec


class ExecSession:
    """A process started by `Runtime.exec`. The descriptors belong to the caller: close them.

    With a terminal `tty` is the master side and the others are None; without one `tty` is None and `stdin` is None
    unless it was asked for.
    """

    def __init__(
        self,
        connection: socket.socket,
        pid: int,
        stdin: int | None,
        stdout: int | None,
        stderr: int | None,
        tty: int | None,
    ) -> None:
        self.pid, self.stdin, self.stdout, self.stderr, self.tty = pid, stdin, stdout, stderr, tty
        self._connection = connection
        self._lock = threading.Lock()
        self._exit_code: int | None = None

    @classmethod
    def from_descriptors(
        cls, connection: socket.socket, pid: int, descriptors: list[int], process: ProcessSpec
    ) -> ExecSession:
        """Sort the shim's descriptors: the master, or (stdin), stdout, stderr."""
        if process.terminal:
            return cls(connection, pid, None, None, None, descriptors[0])
        stdin = descriptors[0] if process.stdin else None
        return cls(connection, pid, stdin, descriptors[-2], descriptors[-1], None)

    def resize(self, width: int, height: int) -> None:
        """Tell the terminal its size."""
        if self.tty is not None:
            terminal.set_size(self.tty, width, height)

    def wait(self, timeout: float | None = None) -> int:
        """Block until the process ended; its exit code (128 + signal). TimeoutError when it takes longer.

        A shim that dies takes the container and this process with it: 137.
        """
        with self._lock:
            if self._exit_code is None:
                self._connection.settimeout(timeout)
                try:
                    message, _descriptors = sockets.receive(self._connection)
                    self._exit_code = int(message["exit_code"])
                except TimeoutError:
                    raise TimeoutError(f"the process did not end within {timeout} s") from None
                except (EOFError, OSError):
                    self._exit_code = 137
            return self._exit_code

    def kill(self) -> None:
        """SIGKILL the process."""
        with contextlib.suppress(OSError):
            sockets.send(self._connection, {"op": "kill"})

    def close(self) -> None:
        """Close every descriptor that is still open, and the line to the shim."""
        for name in ("stdin", "stdout", "stderr", "tty"):
            descriptor = getattr(self, name)
            if descriptor is not None:
                setattr(self, name, None)
                with contextlib.suppress(OSError):
                    os.close(descriptor)
        self._connection.close()
