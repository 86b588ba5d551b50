"""Process identity that survives reuse of numbers: pidfds, start times, the boot id."""

from __future__ import annotations

import os
import signal
from functools import cache
from pathlib import Path


@cache
def boot_id() -> str:
    """Changes at every boot; a pid noted under another boot id names nothing."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def start_time(pid: int) -> int | None:
    """Clock ticks from boot to the process's start, or None when there is none. A zombie counts as none."""
    try:
        descriptor = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, ProcessLookupError):
        return None
    try:
        fields = os.read(descriptor, 4096).rpartition(b")")[2].split()
    except ProcessLookupError:
        return None
    finally:
        os.close(descriptor)
    return None if fields[0] in (b"Z", b"X") else int(fields[19])


def is_alive(pid: int, started: int, boot: str) -> bool:
    """True while the very process that was noted as (pid, start time, boot id) runs."""
    return boot == boot_id() and start_time(pid) == started


def open_process(pid: int, started: int, boot: str) -> int | None:
    """A pidfd of that very process, or None. The start time is read after opening, so a reused pid cannot slip in."""
    if boot != boot_id():
        return None
    try:
        descriptor = os.pidfd_open(pid)
    except (ProcessLookupError, OSError):
        return None
    if start_time(pid) == started:
        return descriptor
    os.close(descriptor)
    return None


def send_signal(descriptor: int, number: int) -> bool:
    """Signal the process of a pidfd; False when it has ended."""
    try:
        signal.pidfd_send_signal(descriptor, number)
    except ProcessLookupError:
        return False
    return True
