"""inotify(7): be woken by a change in a directory. Used by the runtime's watch and by following readers of logs."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator

from nodeworker.kernel.calls import libc, os_error

IN_MODIFY = 0x2
IN_CLOSE_WRITE = 0x8
IN_MOVED_TO = 0x80
IN_CREATE = 0x100
IN_DELETE = 0x200
IN_Q_OVERFLOW = 0x4000
_HEADER = struct.Struct("iIII")


class Inotify:
    """One inotify descriptor; `fileno()` is readable when events wait."""

    def __init__(self) -> None:
        self._descriptor: int = libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
        if self._descriptor < 0:
            raise os_error("inotify_init1")

    def fileno(self) -> int:
        return self._descriptor

    def add(self, path: str | os.PathLike[str], mask: int) -> int:
        """Watch a path; the watch's number."""
        number: int = libc.inotify_add_watch(self._descriptor, os.fsencode(path), mask)
        if number < 0:
            raise os_error("inotify_add_watch", os.fspath(path))
        return number

    def read(self) -> Iterator[tuple[int, int, str]]:
        """The events that wait: (watch, mask, name in the directory)."""
        try:
            data = os.read(self._descriptor, 64 * 1024)
        except BlockingIOError:
            return
        position = 0
        while position < len(data):
            watch, mask, _cookie, length = _HEADER.unpack_from(data, position)
            position += _HEADER.size
            yield watch, mask, os.fsdecode(data[position : position + length].rstrip(b"\0"))
            position += length

    def close(self) -> None:
        os.close(self._descriptor)
