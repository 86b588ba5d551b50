"""Reading a container's log files: tail, since, from a line, follow across rotation. For the streaming endpoint."""

from __future__ import annotations

import datetime
import os
import select
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nodeworker.kernel.inotify import IN_CREATE, IN_MODIFY, Inotify
from nodeworker.runtime.log_writer import end_name

_CHUNK = 256 * 1024


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line as the shim recorded it: `n` counts from 1 in each attempt, without holes."""

    n: int
    time: str  # RFC 3339 with nanoseconds, UTC
    stream: str  # stdout | stderr
    partial: bool  # the line goes on in the next record of this stream
    text: bytes  # without the newline


def read_log(
    directory: Path,
    attempt: int,
    *,
    follow: bool = False,
    tail: int | None = None,
    since: float | None = None,
    from_line: int | None = None,
    stop: threading.Event | None = None,
) -> Iterator[LogLine]:
    """Yield the lines of one attempt. With `follow` it ends when the container has ended or `stop` is set.

    Lines that rotation has already removed are skipped; a reader sees that by a jump in `n`.
    """
    start = max(from_line or 1, 1)
    if tail is not None:
        start = max(start, _first_of_tail(directory, attempt, tail))
    earliest = None if since is None else _format(since)
    for line in _records(directory, attempt, start, follow, stop):
        if earliest is None or line.time >= earliest:
            earliest = None
            yield line


def attempts(directory: Path) -> list[int]:
    """The attempts that have log files here, oldest first."""
    return sorted({int(path.name.split(".")[0]) for path in directory.glob("*.*.log")})


def parse_record(n: int, record: bytes) -> LogLine:
    """One line of a log file, without its newline."""
    time, stream, flag, text = [*record.split(b" ", 3), b"", b"", b""][:4]
    return LogLine(n, time.decode(errors="replace"), stream.decode(errors="replace"), flag == b"P", text)


def _format(seconds: float) -> str:
    moment = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond:06d}000Z"


def _files(directory: Path, attempt: int) -> list[tuple[int, Path]]:
    """(first line's number, path) of the attempt's files, oldest first."""
    return sorted((int(path.name.split(".")[1]), path) for path in directory.glob(f"{attempt}.*.log"))


def _first_of_tail(directory: Path, attempt: int, count: int) -> int:
    """The number of the first of the last `count` lines."""
    files = _files(directory, attempt)
    if not files:
        return 1
    first, path = files[-1]
    try:
        with path.open("rb") as file:
            lines = sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(_CHUNK), b""))
    except FileNotFoundError:
        lines = 0
    return max(1, first + lines - count)


def _records(
    directory: Path, attempt: int, start: int, follow: bool, stop: threading.Event | None
) -> Iterator[LogLine]:
    waiter = _Waiter(directory) if follow else None
    try:
        position = start
        current: int | None = None
        descriptor = -1
        rest = b""
        while True:
            # The marker is looked at before the files: what was written before it is then surely seen.
            ended = (directory / end_name(attempt)).exists()
            if descriptor < 0:
                opened = _open_file(directory, attempt, position, current)
                if opened is not None:
                    current, descriptor, rest = opened[0], opened[1], b""
                    number = current
            if descriptor >= 0:
                while data := os.read(descriptor, _CHUNK):
                    lines = (rest + data).split(b"\n")
                    rest = lines.pop()
                    for record in lines:
                        if number >= position:
                            yield parse_record(number, record)
                            position = number + 1
                            if stop is not None and stop.is_set():
                                return
                        number += 1
                if _has_later(directory, attempt, current or 0):
                    # The writer is done with this file; once more, for what it wrote between our read and the new file.
                    tail = os.read(descriptor, _CHUNK)
                    if not tail:
                        os.close(descriptor)
                        descriptor = -1
                    else:
                        os.lseek(descriptor, -len(tail), os.SEEK_CUR)
                    continue
            if ended or waiter is None or (stop is not None and stop.is_set()):
                return
            waiter.wait()
    finally:
        if descriptor >= 0:
            os.close(descriptor)
        if waiter is not None:
            waiter.close()


def _has_later(directory: Path, attempt: int, current: int) -> bool:
    return any(first > current for first, _path in _files(directory, attempt))


def _open_file(directory: Path, attempt: int, position: int, after: int | None) -> tuple[int, int] | None:
    """(first line, descriptor) of the file that holds line `position`, or of the next one that still exists."""
    files = [entry for entry in _files(directory, attempt) if after is None or entry[0] > after]
    candidates = [
        entry for index, entry in enumerate(files) if index + 1 == len(files) or files[index + 1][0] > position
    ]
    for first, path in candidates:
        try:
            return first, os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            continue
    return None


class _Waiter:
    """Sleeps until something in the directory changes; half a second at most, so that `stop` is noticed."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._inotify = Inotify()
        self._inotify.add(directory, IN_CREATE | IN_MODIFY)

    def wait(self) -> None:
        select.select([self._inotify], [], [], 0.5)
        for _event in self._inotify.read():
            pass

    def close(self) -> None:
        self._inotify.close()
