"""What the launcher prints: tables, steps with their time, questions. Standard library only."""

import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

_MARKS = {"ok": ("✓", "32"), "warn": ("!", "33"), "fail": ("✗", "31"), "info": ("·", "36")}


def mark(state: str) -> str:
    """Return the sign of `state` (ok, warn, fail, info), coloured on a terminal; the word stands beside it in text."""
    sign, colour = _MARKS[state]
    return f"\033[{colour}m{sign}\033[0m" if _coloured() else sign


def table(rows: Sequence[tuple[str, str, str]]) -> None:
    """Print rows of (state, subject, sentence) with the subjects aligned."""
    width = max(len(subject) for _, subject, _ in rows)
    for state, subject, sentence in rows:
        print(f"  {mark(state)} {subject.ljust(width)}  {sentence}", flush=True)


@contextmanager
def step(title: str) -> Iterator[None]:
    """Print `title` at once and how long it took when it is done, so that a long step is seen to be at work."""
    started = time.monotonic()
    end = "" if sys.stdout.isatty() else "\n"
    print(f"  {mark('info')} {title} …", end=end, flush=True)
    try:
        yield
    except BaseException:
        print(f"{_rewind()}  {mark('fail')} {title}", flush=True)
        raise
    print(f"{_rewind()}  {mark('ok')} {title} ({time.monotonic() - started:.1f} s)", flush=True)


def ask(question: str) -> bool:
    """Ask a yes-or-no question on the terminal; anything but a no is a yes."""
    answer = input(f"{question} [Y/n] ").strip().lower()
    return not answer.startswith("n")


def size(number: float) -> str:
    """Return a byte count as people read it: `3.6 MB`."""
    for unit in ("bytes", "KB", "MB", "GB"):
        if number < 1000 or unit == "GB":
            return f"{number:.0f} {unit}" if unit == "bytes" else f"{number:.1f} {unit}"
        number /= 1000
    raise AssertionError("unreachable")


def _coloured() -> bool:
    return sys.stdout.isatty() and "NO_COLOR" not in os.environ


def _rewind() -> str:
    return "\r\033[K" if sys.stdout.isatty() else ""
