"""Capabilities: names, capset(2), the bounding and the ambient set."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from nodeworker.kernel.calls import syscall
from nodeworker.kernel.prctl import prctl

_PR_CAPBSET_READ, _PR_CAPBSET_DROP, _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL = 23, 24, 47, 4
_VERSION_3 = 0x20080522

_NAMES = """
CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE
NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN
SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE
MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE
"""
CAPABILITIES = {f"CAP_{name}": number for number, name in enumerate(_NAMES.split())}


@cache
def last_capability() -> int:
    """The highest capability that this kernel knows."""
    return int(Path("/proc/sys/kernel/cap_last_cap").read_text())


def mask(names: Iterable[str]) -> int:
    """The bit mask of capabilities given as "CAP_CHOWN"; KeyError on an unknown name."""
    return sum(1 << number for number in {CAPABILITIES[name] for name in names})


def drop_bounding(keep: int) -> None:
    """Drop every capability outside `keep` from the bounding set."""
    dropped = bounding() & ~keep
    for number in range(last_capability() + 1):
        if dropped >> number & 1:
            prctl(_PR_CAPBSET_DROP, number, call="prctl(PR_CAPBSET_DROP)")


@cache
def bounding() -> int:
    """The bounding set that this process began with, or the zygote above it: no container gets more than this."""
    return sum(1 << number for number in range(last_capability() + 1) if prctl(_PR_CAPBSET_READ, number))


def clear_ambient() -> None:
    """Empty the ambient set."""
    prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, call="prctl(PR_CAP_AMBIENT_CLEAR_ALL)")


def capset(effective: int, permitted: int, inheritable: int) -> None:
    """capset(2) for this process."""
    header = struct.pack("Ii", _VERSION_3, 0)
    low, high = 0xFFFFFFFF, 32
    data = struct.pack(
        "6I",
        *(value & low for value in (effective, permitted, inheritable)),
        *(value >> high for value in (effective, permitted, inheritable)),
    )
    syscall("capset", header, data, about=f"{effective:#x}")
