"""unshare(2) and setns(2). Called by the shim and the container's init, always in a single-threaded process."""

from __future__ import annotations

import os

from nodeworker.kernel.calls import libc, os_error

CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000


def unshare(flags: int) -> None:
    """unshare(2): leave the namespaces named in `flags`. A new PID namespace holds only children forked later."""
    if libc.unshare(flags) != 0:
        raise os_error("unshare", f"{flags:#x}")


def setns(descriptor: int, flags: int) -> None:
    """setns(2): enter a namespace, or with a pidfd all those of a process that `flags` names."""
    if libc.setns(descriptor, flags) != 0:
        raise os_error("setns", f"{flags:#x}")


def open_namespace(kind: str, pid: int | str = "self") -> int:
    """A descriptor of /proc/<pid>/ns/<kind>; it keeps the namespace alive."""
    return os.open(f"/proc/{pid}/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC)
