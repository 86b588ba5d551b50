"""Reading a container's log files: tail, since, from a line, follow across rotation. For the streaming endpoint."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


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
    """Yield the lines of one attempt. With `follow` it ends when the container has ended or `stop` is set."""
    raise NotImplementedError
