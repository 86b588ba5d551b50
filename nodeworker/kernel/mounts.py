"""Mounts: the classic calls, and the newer ones that make a mount first and attach it to a descriptor afterwards.

Nothing here takes a path inside a container: targets are descriptors from `paths.py`.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Mapping

from nodeworker.kernel.calls import libc, os_error, syscall

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 0x1, 0x2, 0x4, 0x8
MS_REMOUNT, MS_BIND, MS_REC = 0x20, 0x1000, 0x4000
MS_PRIVATE, MS_SLAVE, MS_SHARED = 1 << 18, 1 << 19, 1 << 20
MNT_DETACH = 2

MOUNT_ATTR_RDONLY, MOUNT_ATTR_NOSUID, MOUNT_ATTR_NODEV, MOUNT_ATTR_NOEXEC = 0x1, 0x2, 0x4, 0x8

AT_FDCWD = -100
AT_EMPTY_PATH = 0x1000
AT_RECURSIVE = 0x8000
AT_SYMLINK_NOFOLLOW = 0x100

_OPEN_TREE_CLONE = 1
_MOVE_MOUNT_F_EMPTY_PATH = 0x4
_MOVE_MOUNT_T_EMPTY_PATH = 0x40
_FSCONFIG_SET_FLAG, _FSCONFIG_SET_STRING, _FSCONFIG_CMD_CREATE = 0, 1, 6


def mount(source: str, target: str, kind: str, flags: int = 0, data: str = "") -> None:
    """mount(2)."""
    result = libc.mount(
        os.fsencode(source), os.fsencode(target), kind.encode(), ctypes.c_ulong(flags), data.encode() or None
    )
    if result != 0:
        raise os_error("mount", target)


def umount2(target: str, flags: int = 0) -> None:
    """umount2(2)."""
    if libc.umount2(os.fsencode(target), flags) != 0:
        raise os_error("umount2", target)


def pivot_root(new_root: str, put_old: str) -> None:
    """pivot_root(2)."""
    syscall("pivot_root", os.fsencode(new_root), os.fsencode(put_old), about=new_root)


def open_tree(directory: int, path: str, *, recursive: bool = False) -> int:
    """open_tree(2) with OPEN_TREE_CLONE: a detached bind mount of `path` (of the descriptor itself when empty)."""
    flags = _OPEN_TREE_CLONE | os.O_CLOEXEC | (AT_RECURSIVE if recursive else 0) | (0 if path else AT_EMPTY_PATH)
    return syscall("open_tree", directory, os.fsencode(path), flags, about=path or f"descriptor {directory}")


def move_mount(mount_descriptor: int, target: int) -> None:
    """move_mount(2): attach a detached mount on what the descriptor `target` names."""
    flags = _MOVE_MOUNT_F_EMPTY_PATH | _MOVE_MOUNT_T_EMPTY_PATH
    syscall("move_mount", mount_descriptor, b"", target, b"", flags)


def mount_setattr(descriptor: int, attributes: int, *, recursive: bool = False, propagation: int = 0) -> None:
    """mount_setattr(2): add attributes (MOUNT_ATTR_*) to a mount and, if asked, to all below it."""
    structure = struct.pack("QQQQ", attributes, 0, propagation, 0)
    flags = AT_EMPTY_PATH | (AT_RECURSIVE if recursive else 0)
    syscall("mount_setattr", descriptor, b"", flags, structure, len(structure))


def new_filesystem(
    kind: str, options: Mapping[str, str | None], attributes: int = 0, *, read_only: bool = False
) -> int:
    """fsopen, fsconfig, fsmount: a new, detached file system. An option without value is a flag."""
    context = syscall("fsopen", kind.encode(), 1, about=kind)
    try:
        for key, value in {"source": kind, **options}.items():
            command = _FSCONFIG_SET_FLAG if value is None else _FSCONFIG_SET_STRING
            content = None if value is None else value.encode()
            syscall("fsconfig", context, command, key.encode(), content, 0, about=f"{kind}, option {key}")
        if read_only:
            syscall("fsconfig", context, _FSCONFIG_SET_FLAG, b"ro", None, 0, about=kind)
        syscall("fsconfig", context, _FSCONFIG_CMD_CREATE, None, None, 0, about=kind)
        return syscall("fsmount", context, 1, attributes, about=kind)
    finally:
        os.close(context)
