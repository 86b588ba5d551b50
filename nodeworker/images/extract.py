"""Write the entries of one layer into a directory, by the rules of the OCI's layer specification and of overlayfs.

Called by nodeworker.images.unpack, in a process of its own that has made the directory its root. Read
`LayerWriter.write`: every entry goes through it. Each write names its place by a directory's descriptor and one
plain name that is never followed.
"""

import contextlib
import os
import stat
from dataclasses import dataclass

from nodeworker.images.paths import (
    Directories,
    PathError,
    components,
    is_whiteout,
    lstat,
    make_whiteout,
    set_opaque,
)
from nodeworker.wire.tar import (
    BLOCK_DEVICE,
    CHARACTER,
    DIRECTORY,
    FIFO,
    HARD_LINK,
    REGULAR,
    SYMLINK,
    Entry,
    TarError,
    TarReader,
)

WHITEOUT, META, OPAQUE = b".wh.", b".wh..wh.", b".wh..wh..opq"
_XATTR = "SCHILY.xattr."
_LATEST_TIME = 1 << 34  # seconds; ext4 and xfs end there or later
_HIGHEST_ID = (1 << 32) - 2


@dataclass(slots=True)
class Written:
    """What a layer came to; devices are counted, not made."""

    entries: int = 0
    bytes: int = 0
    devices: int = 0


class LayerWriter:
    """Writes below `root`; `max_bytes` bounds what a compressed bomb may grow to."""

    def __init__(self, root: int, reader: TarReader, max_bytes: int) -> None:
        self.written = Written()
        self._reader = reader
        self._directories = Directories(root)
        self._max_bytes = max_bytes
        self._directory_times: list[tuple[list[bytes], int]] = []

    def write_all(self) -> Written:
        """Write every entry; raise TarError with the entry's name at the first that may not be."""
        for entry in self._reader:
            self.written.entries += 1
            self.written.bytes += entry.size
            if self.written.bytes > self._max_bytes:
                raise TarError(f"the layer unpacks to more than {self._max_bytes} bytes, far more than its size allows")
            try:
                self.write(entry)
            except PathError as error:
                raise TarError(f"the entry {entry.shown!r} is refused: {error}") from error
        # Last, because each file written into a directory changes its time.
        for parts, mtime in self._directory_times:
            with contextlib.suppress(PathError):  # a later entry may have taken its place
                os.utime(self._directories.get(parts), ns=(mtime, mtime))
        self._directories.forget()
        return self.written

    def write(self, entry: Entry) -> None:
        """Write one entry where its name says, inside the root."""
        parts = components(entry.name)
        if any(part.startswith(WHITEOUT) for part in parts[:-1]):
            return self._check_metadata(parts)
        if parts and parts[-1].startswith(WHITEOUT):
            return self._whiteout(parts)
        if not 0 <= entry.uid <= _HIGHEST_ID or not 0 <= entry.gid <= _HIGHEST_ID:
            raise PathError(f"its owner {entry.uid}:{entry.gid} is not a user that can exist")
        entry.mtime = min(max(entry.mtime, 0), _LATEST_TIME * 1_000_000_000)
        if not parts:
            return self._root(entry)
        parent = self._directories.get(parts[:-1])
        if entry.type == DIRECTORY:
            return self._directory(entry, parts, parent)
        if entry.type in (CHARACTER, BLOCK_DEVICE):
            # A container's /dev is made by the runtime. 0:0 would act as a whiteout, others are of no use inside.
            self.written.devices += 1
            return None
        if entry.type == HARD_LINK:
            return self._hard_link(entry, parts, parent)
        parent = self._make_room(parts)
        if entry.type == REGULAR:
            return self._file(entry, parent, parts[-1])
        return self._link_or_fifo(entry, parent, parts[-1])

    def _check_metadata(self, parts: list[bytes]) -> None:
        # .wh..wh.plnk/ and the like are what AUFS left in old images; nothing reads them.
        if not any(part.startswith(META) for part in parts[:-1]):
            raise PathError("it lies below a whiteout, which is not a directory")

    def _whiteout(self, parts: list[bytes]) -> None:
        name = parts[-1]
        if name == OPAQUE:
            return set_opaque(self._directories.get(parts[:-1]))
        if name.startswith(META):
            return None
        target = name.removeprefix(WHITEOUT)
        if target in (b"", b".", b".."):
            raise PathError("a whiteout must name what it removes")
        parent = self._directories.get(parts[:-1])
        status = lstat(parent, target)
        if status is None:
            return make_whiteout(parent, target)
        # It hides what lies below only: what this layer brings under the same name stays, whatever the order.
        if stat.S_ISDIR(status.st_mode):
            set_opaque(self._directories.get([*parts[:-1], target]))
        return None

    def _root(self, entry: Entry) -> None:
        if entry.type != DIRECTORY:
            raise PathError("the root must be a directory")
        self._set_metadata(entry, self._directories.root)
        self._directory_times.append(([], entry.mtime))

    def _directory(self, entry: Entry, parts: list[bytes], parent: int) -> None:
        name = parts[-1]
        status = lstat(parent, name)
        was_deleted = status is not None and is_whiteout(status)
        if status is None or not stat.S_ISDIR(status.st_mode):
            if status is not None:
                parent = self._make_room(parts)
            os.mkdir(name, 0o700, dir_fd=parent)
        descriptor = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
        try:
            self._set_metadata(entry, descriptor)
            if was_deleted:
                set_opaque(descriptor)
        finally:
            os.close(descriptor)
        self._directory_times.append((parts, entry.mtime))

    def _make_room(self, parts: list[bytes]) -> int:
        """Remove what an earlier entry put at this place: the last one wins, and nothing is written through the
        first.

        Return the descriptor of the parent directory, which may be a new one afterwards.
        """
        parent, name = self._directories.get(parts[:-1]), parts[-1]
        status = lstat(parent, name)
        if status is None:
            return parent
        if stat.S_ISDIR(status.st_mode):
            try:
                os.rmdir(name, dir_fd=parent)
            except OSError as error:
                raise PathError("it would replace a directory that is not empty") from error
        else:
            os.unlink(name, dir_fd=parent)
        if not stat.S_ISREG(status.st_mode):
            self._directories.forget()
        return self._directories.get(parts[:-1])

    def _file(self, entry: Entry, parent: int, name: bytes) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(name, flags, 0o600, dir_fd=parent)
        try:
            for piece in self._reader.chunks():
                view = piece
                while view:
                    view = view[os.write(descriptor, view) :]
            self._set_metadata(entry, descriptor)
            os.utime(descriptor, ns=(entry.mtime, entry.mtime))
        finally:
            os.close(descriptor)

    def _set_metadata(self, entry: Entry, descriptor: int) -> None:
        os.fchown(descriptor, entry.uid, entry.gid)
        os.fchmod(descriptor, entry.mode)  # after chown, which takes the setuid bit away
        for key, value in entry.pax.items():
            name = key.removeprefix(_XATTR)
            if name != key and _may_keep(name):
                os.setxattr(descriptor, name.encode(), value)

    def _link_or_fifo(self, entry: Entry, parent: int, name: bytes) -> None:
        if entry.type == SYMLINK:
            if not entry.link:
                raise PathError("a link must lead somewhere")
            os.symlink(entry.link, name, dir_fd=parent)
        elif entry.type == FIFO:
            os.mknod(name, stat.S_IFIFO | entry.mode, 0, dir_fd=parent)
        os.chown(name, entry.uid, entry.gid, dir_fd=parent, follow_symlinks=False)
        os.utime(name, ns=(entry.mtime, entry.mtime), dir_fd=parent, follow_symlinks=False)

    def _hard_link(self, entry: Entry, parts: list[bytes], parent: int) -> None:
        target = components(entry.link)
        if not target:
            raise PathError("it links to the root directory")
        if target == parts:
            raise PathError("it links to itself")
        # The directory of the target must be there: a link is no reason to make one.
        status = lstat(self._directories.get(target[:-1]), target[-1])
        if status is None or is_whiteout(status) or stat.S_ISDIR(status.st_mode):
            raise PathError("it links to something that this layer does not hold")
        existing = lstat(parent, parts[-1])
        if existing is not None and (existing.st_dev, existing.st_ino) == (status.st_dev, status.st_ino):
            return
        parent = self._make_room(parts)
        source = self._directories.get(target[:-1])
        # A link to a symbolic link is one more symbolic link: not followed, so it leads nowhere on the host.
        os.link(target[-1], parts[-1], src_dir_fd=source, dst_dir_fd=parent, follow_symlinks=False)


def _may_keep(name: str) -> bool:
    """Attributes that belong to the file; overlay's own would let a layer redirect to any directory of the host."""
    return name == "security.capability" or (name.startswith("user.") and not name.startswith("user.overlay."))
