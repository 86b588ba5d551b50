"""Writes a container's output as CRI log lines, numbered and rotated. Called by the shim with whatever a pipe gave.

    2006-01-02T15:04:05.000000000Z stdout F message      F: a whole line or its end, P: a part of a longer one

A file is called <attempt>.<number of its first line>.log, so a line's number is that plus its place in the file. When
an attempt has ended, <attempt>.end says so to readers that follow. Memory is bounded: what has no newline yet is
written as a part at 16 KiB. Nothing here ever waits for a reader.
"""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

PART = 16 * 1024
STREAMS = {"stdout": b"stdout", "stderr": b"stderr"}


def file_name(attempt: int, first: int) -> str:
    """Zero-padded, so that names sort by number."""
    return f"{attempt}.{first:012d}.log"


def end_name(attempt: int) -> str:
    """The marker of an attempt that writes no more."""
    return f"{attempt}.end"


def timestamp() -> bytes:
    """Now, as RFC 3339 with nanoseconds."""
    seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)).encode() + b".%09dZ" % nanoseconds


class LogWriter:
    """The log of one attempt of one container."""

    def __init__(self, directory: Path | str, attempt: int, max_bytes: int, max_files: int) -> None:
        # Strings, as all on the shim's way: pathlib costs every shim 0.1 MB.
        self._directory, self._attempt = os.fspath(directory), attempt
        self._max_bytes, self._max_files = max(max_bytes, 4096), max(max_files, 1)
        self._next = 1
        self._files: list[str] = []
        self._pending: dict[str, bytes] = {}
        self._descriptor = -1
        self._size = 0
        os.makedirs(self._directory, 0o700, exist_ok=True)  # noqa: PTH103
        self._open()

    def _open(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
        path = f"{self._directory}/{file_name(self._attempt, self._next)}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        self._descriptor = os.open(path, flags, 0o600)
        self._size = 0
        self._files.append(path)
        while len(self._files) > self._max_files:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._files.pop(0))  # noqa: PTH108

    def write(self, stream: str, data: bytes) -> None:
        """Take what a stream has given; whole lines go to disk at once, one write a chunk."""
        pending = self._pending.get(stream, b"")
        if pending:
            data = pending + data
        end = data.rfind(b"\n") + 1
        rest = data[end:]
        prefix = timestamp() + b" " + STREAMS[stream] + b" "
        if end:
            self._write_lines(prefix, data[: end - 1])
        while len(rest) >= PART:
            self._append(prefix + b"P " + rest[:PART] + b"\n", 1)
            rest = rest[PART:]
        self._pending[stream] = rest

    def _write_lines(self, prefix: bytes, text: bytes) -> None:
        """`text` is lines joined by newlines, without the last one's."""
        full = prefix + b"F "
        lines = text.split(b"\n")
        if max(map(len, lines)) < PART:
            self._append(full + text.replace(b"\n", b"\n" + full) + b"\n", len(lines))
            return
        for line in lines:
            while len(line) >= PART:
                self._append(prefix + b"P " + line[:PART] + b"\n", 1)
                line = line[PART:]
            self._append(full + line + b"\n", 1)

    def _append(self, records: bytes, count: int) -> None:
        if self._size >= self._max_bytes:
            with contextlib.suppress(OSError):
                self._open()
        try:
            written = os.write(self._descriptor, records)
        except OSError:
            return  # a full disk loses lines, it never stops the container
        if written < len(records):
            # Take the half line away, so that readers count whole ones only.
            whole = records.rfind(b"\n", 0, written) + 1
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, self._size + whole)
            count, written = records.count(b"\n", 0, whole), whole
        self._size += written
        self._next += count

    def close(self) -> None:
        """Write what has no newline as a last line and mark the end."""
        for stream, rest in self._pending.items():
            if rest:
                self._append(timestamp() + b" " + STREAMS[stream] + b" F " + rest + b"\n", 1)
        self._pending.clear()
        os.close(self._descriptor)
        with contextlib.suppress(OSError):
            flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC
            os.close(os.open(f"{self._directory}/{end_name(self._attempt)}", flags, 0o600))
