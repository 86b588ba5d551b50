"""How everything in this package reaches the kernel: libc by ctypes, raw system calls by name, errno as OSError.

Python 3.11 has no unshare, setns, mount or openat2; these few lines are the whole bridge.
"""

from __future__ import annotations

import ctypes
import os

from nodeworker.kernel.syscall_numbers import NUMBERS

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long


def os_error(call: str, about: str | bytes = "", code: int | None = None) -> OSError:
    """The OSError of the call that just failed: errno, the call's name, what it was about."""
    number = ctypes.get_errno() if code is None else code
    path = os.fsdecode(about)
    return (
        OSError(number, f"{call}: {os.strerror(number)}", path)
        if path
        else OSError(number, f"{call}: {os.strerror(number)}")
    )


def syscall(name: str, *arguments: object, about: str | bytes = "") -> int:
    """Make a system call by its name. Integers are passed as longs, bytes as pointers; -1 becomes OSError."""
    converted = [ctypes.c_long(argument) if isinstance(argument, int) else argument for argument in arguments]
    result: int = libc.syscall(ctypes.c_long(NUMBERS[name]), *converted)
    if result == -1:
        raise os_error(name, about)
    return result
