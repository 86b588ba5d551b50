"""prctl(2): the process attributes that a container's start needs."""

from __future__ import annotations

import ctypes

from nodeworker.kernel.calls import libc, os_error

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_KEEPCAPS = 8
_PR_SET_NAME = 15
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NO_NEW_PRIVS = 38


def prctl(option: int, *arguments: int, call: str = "prctl") -> int:
    """prctl(2) with up to four integers."""
    values = [ctypes.c_ulong(argument) for argument in (*arguments, 0, 0, 0, 0)[:4]]
    result: int = libc.prctl(ctypes.c_int(option), *values)
    if result < 0:
        raise os_error(call)
    return result


def set_parent_death_signal(signal: int) -> None:
    """Send us `signal` when our parent dies (0: nothing). Cleared by a change of user, so it comes after that."""
    prctl(_PR_SET_PDEATHSIG, signal, call="prctl(PR_SET_PDEATHSIG)")


def set_dumpable(dumpable: bool) -> None:
    """Not dumpable: no ptrace and no /proc/<pid>/{fd,mem,root} for those without CAP_SYS_PTRACE (CVE-2016-9962)."""
    prctl(_PR_SET_DUMPABLE, int(dumpable), call="prctl(PR_SET_DUMPABLE)")


def set_keep_capabilities(keep: bool) -> None:
    """Keep the permitted set over the coming setresuid."""
    prctl(_PR_SET_KEEPCAPS, int(keep), call="prctl(PR_SET_KEEPCAPS)")


def set_child_subreaper() -> None:
    """Orphans below us become our children."""
    prctl(_PR_SET_CHILD_SUBREAPER, 1, call="prctl(PR_SET_CHILD_SUBREAPER)")


def set_no_new_privileges() -> None:
    """From now on no execve grants anything (setuid bits, file capabilities)."""
    prctl(_PR_SET_NO_NEW_PRIVS, 1, call="prctl(PR_SET_NO_NEW_PRIVS)")


def set_name(name: str) -> None:
    """The thread's name in ps, 15 bytes."""
    # Bytes as they are: a string buffer would make a new type for its length, at 0.1 MB a shim.
    if libc.prctl(ctypes.c_int(_PR_SET_NAME), name.encode()[:15], 0, 0, 0) != 0:
        raise os_error("prctl(PR_SET_NAME)", name)
