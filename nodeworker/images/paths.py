"""Paths inside an unpacked layer: every name from an archive is resolved by the kernel, below a directory, never
above it.

Called by nodeworker.images.unpack. openat2(RESOLVE_IN_ROOT) treats the directory as `/`: `..`, absolute names and
links of any length end inside it, races included. RESOLVE_NO_MAGICLINKS closes /proc/self/fd and its like.
"""

import ctypes
import errno
import os
import stat
import struct

_SYS_OPENAT2 = 437  # the same on every architecture
_RESOLVE_NO_MAGICLINKS, _RESOLVE_IN_ROOT = 0x02, 0x10
_libc = ctypes.CDLL(None, use_errno=True)
_syscall = _libc.syscall
_syscall.restype = ctypes.c_long
_how = struct.pack("QQQ", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, 0, _RESOLVE_IN_ROOT | _RESOLVE_NO_MAGICLINKS)

MAX_DEPTH = 255
MAX_COMPONENT = 255
_KEPT_OPEN = 64


class PathError(ValueError):
    """A name that no honest layer holds; the text says what is wrong with it."""


def open_directory(root: int, path: bytes) -> int:
    """openat2(2): open the directory `path` below `root`, following links inside `root` only."""
    descriptor = _syscall(
        ctypes.c_long(_SYS_OPENAT2), ctypes.c_int(root), ctypes.c_char_p(path), _how, ctypes.c_size_t(len(_how))
    )
    if descriptor < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), path)
    return int(descriptor)


def components(name: bytes) -> list[bytes]:
    """Split a name of an archive; `.` and empty parts fall away, `..` is refused: only attacks hold it."""
    parts = [part for part in name.split(b"/") if part not in (b"", b".")]
    if b".." in parts:
        raise PathError("its name contains '..'")
    if len(parts) > MAX_DEPTH:
        raise PathError(f"its name is {len(parts)} directories deep, more than {MAX_DEPTH}")
    if any(len(part) > MAX_COMPONENT for part in parts):
        raise PathError(f"a part of its name has more than {MAX_COMPONENT} bytes")
    return parts


class Directories:
    """Descriptors of directories below `root`, made on demand, the latest used ones kept open."""

    def __init__(self, root: int) -> None:
        self.root = root
        self._open: dict[tuple[bytes, ...], int] = {}

    def get(self, parts: list[bytes]) -> int:
        """Return the descriptor of a directory; what is missing of its path is created as root's, mode 0755."""
        if not parts:
            return self.root
        key = tuple(parts)
        descriptor = self._open.pop(key, None)
        if descriptor is None:
            descriptor = self._find(parts)
            if len(self._open) >= _KEPT_OPEN:
                os.close(self._open.pop(next(iter(self._open))))
        self._open[key] = descriptor
        return descriptor

    def _find(self, parts: list[bytes]) -> int:
        try:
            return open_directory(self.root, b"/".join(parts))
        except (FileNotFoundError, NotADirectoryError):
            return self._make(parts)
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise PathError("its directory is a link that leads in a circle") from error
            raise

    def _make(self, parts: list[bytes]) -> int:
        parent = self.get(parts[:-1])
        was_deleted = remove_whiteout(parent, parts[-1])
        try:
            os.mkdir(parts[-1], 0o755, dir_fd=parent)
        except FileExistsError as error:
            raise PathError("a parent of it is not a directory, or a link that leads nowhere") from error
        descriptor = open_directory(parent, parts[-1])
        if was_deleted:
            set_opaque(descriptor)
        return descriptor

    def forget(self) -> None:
        """Close all: after a directory or a link was replaced, a kept descriptor would lead to what is gone."""
        for descriptor in self._open.values():
            os.close(descriptor)
        self._open.clear()


def is_whiteout(status: os.stat_result) -> bool:
    """Tell whether this is overlay's mark for "deleted": a character device 0:0, which archives may not bring."""
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0


def lstat(directory: int, name: bytes) -> os.stat_result | None:
    """Return the status of an entry without following it, or None."""
    try:
        return os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return None


def remove_whiteout(directory: int, name: bytes) -> bool:
    """Remove the mark that `name` was deleted, because this layer brings it anew; tell whether there was one."""
    status = lstat(directory, name)
    if status is None or not is_whiteout(status):
        return False
    os.unlink(name, dir_fd=directory)
    return True


def make_whiteout(directory: int, name: bytes) -> None:
    """Mark `name` of the layers below as deleted."""
    os.mknod(name, stat.S_IFCHR, os.makedev(0, 0), dir_fd=directory)


def set_opaque(directory: int) -> None:
    """Hide everything that the layers below have in this directory."""
    os.setxattr(directory, "trusted.overlay.opaque", b"y")
