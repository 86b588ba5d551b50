"""openat2(2): names of a container's root file system, resolved so that no link in it leads out.

Every path of the host that a container could have had a hand in is resolved here to a descriptor first and used by
that descriptor only (CVE-2021-30465, CVE-2024-45310 and their kin).
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct

from nodeworker.kernel.calls import syscall

RESOLVE_NO_XDEV = 0x01
RESOLVE_NO_MAGICLINKS = 0x02
RESOLVE_NO_SYMLINKS = 0x04
RESOLVE_BENEATH = 0x08
RESOLVE_IN_ROOT = 0x10


def openat2(directory: int, path: str, flags: int, *, mode: int = 0, resolve: int = 0) -> int:
    """openat2(2); the descriptor is close-on-exec."""
    how = struct.pack("QQQ", flags | os.O_CLOEXEC, mode, resolve)
    while True:
        try:
            return syscall("openat2", directory, os.fsencode(path), how, len(how), about=path)
        except OSError as error:
            # A rename elsewhere in the tree made the kernel unsure; it asks us to try again.
            if error.errno != errno.EAGAIN:
                raise


def open_in_root(root: int, path: str, flags: int = os.O_PATH, *, follow: bool = True) -> int:
    """Open `path` as a process chrooted into `root` would; links stay inside, magic links are refused."""
    resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | (0 if follow else RESOLVE_NO_SYMLINKS)
    return openat2(root, path, flags, resolve=resolve)


def make_directory_in_root(root: int, path: str, mode: int = 0o755, *, follow: bool = True) -> int:
    """Open the directory `path` inside `root`, making what is missing; an O_PATH descriptor."""
    flags = os.O_PATH | os.O_DIRECTORY
    try:
        return open_in_root(root, path, flags, follow=follow)
    except FileNotFoundError:
        pass
    current, done = open_in_root(root, "/", flags), ""
    for part in [part for part in path.split("/") if part not in ("", ".")]:
        if part == "..":
            os.close(current)
            raise OSError(errno.EINVAL, 'the path may not contain ".."', path)
        done += "/" + part
        try:
            following = open_in_root(root, done, flags, follow=follow)
        except FileNotFoundError:
            # A dangling link makes mkdirat fail with EEXIST: refused, nothing is made on its far side.
            os.mkdir(part, mode, dir_fd=current)
            following = open_in_root(root, done, flags, follow=follow)
        os.close(current)
        current = following
    return current


def make_file_in_root(root: int, path: str, mode: int = 0o644) -> int:
    """Open the file `path` inside `root` as O_PATH, making it empty (and its directories) when it is missing."""
    try:
        return open_in_root(root, path)
    except FileNotFoundError:
        pass
    parent, _, name = path.rstrip("/").rpartition("/")
    directory = make_directory_in_root(root, parent or "/")
    try:
        made = openat2(directory, name, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW, mode=mode)
        os.close(made)
    finally:
        os.close(directory)
    return open_in_root(root, path)


def filesystem_type(descriptor: int) -> int:
    """fstatfs(2)'s f_type: the magic number of the file system that a descriptor stands on."""
    buffer = ctypes.create_string_buffer(120)
    syscall("fstatfs", descriptor, buffer)
    return int(struct.unpack_from("l", buffer.raw)[0])
