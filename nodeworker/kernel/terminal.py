"""Pseudo-terminals by descriptor: the slave is got from its master, never by a path in a container (CVE-2025-52565)."""

from __future__ import annotations

import ctypes
import fcntl
import os
import struct
import termios

from nodeworker.kernel.calls import libc, os_error

_TIOCGPTPEER = 0x5441
_TIOCSPTLCK = 0x40045431
DEVPTS_MAGIC = 0x1CD1


def open_terminal(multiplexer: int | str, *, directory: int | None = None) -> tuple[int, int]:
    """Open a new terminal at a ptmx file; (master, slave), both close-on-exec."""
    master = os.open(str(multiplexer), os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC, dir_fd=directory)
    fcntl.ioctl(master, _TIOCSPTLCK, struct.pack("i", 0))
    slave: int = libc.ioctl(master, ctypes.c_ulong(_TIOCGPTPEER), ctypes.c_long(os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC))
    if slave < 0:
        error = os_error("ioctl(TIOCGPTPEER)")
        os.close(master)
        raise error
    return master, slave


def set_size(descriptor: int, width: int, height: int) -> None:
    """Tell the terminal how large it is shown; its foreground processes get SIGWINCH."""
    fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))


def make_controlling(slave: int) -> None:
    """Make `slave` the controlling terminal of this new session and its standard streams."""
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
    for stream in (0, 1, 2):
        os.dup2(slave, stream)
