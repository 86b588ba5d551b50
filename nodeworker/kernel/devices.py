"""Device nodes, and the proof that /dev/null is /dev/null (CVE-2025-31133)."""

from __future__ import annotations

import os
import stat


def make_device(directory: int, name: str, major: int, minor: int, mode: int = 0o666) -> None:
    """A character device in a directory given by descriptor."""
    os.mknod(name, stat.S_IFCHR | mode, os.makedev(major, minor), dir_fd=directory)
    os.chmod(name, mode, dir_fd=directory)


def open_null(flags: int = os.O_PATH) -> int:
    """The host's /dev/null, verified to be character device 1:3."""
    descriptor = os.open("/dev/null", flags | os.O_CLOEXEC | os.O_NOFOLLOW)
    status = os.fstat(descriptor)
    if not stat.S_ISCHR(status.st_mode) or status.st_rdev != os.makedev(1, 3):
        os.close(descriptor)
        raise OSError("/dev/null of this machine is not the null device (character device 1:3)")
    return descriptor
