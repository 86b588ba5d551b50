"""What a container sees as its file system, built from `mounts`, `linux.maskedPaths` and so on of its config.json.

Called by `init.py` between the overlay mount and pivot_root. Everything is attached to descriptors that were resolved
inside the new root; /proc, /sys and /dev must be real directories of it (CVE-2019-19921, CVE-2023-28642,
CVE-2026-41579).
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Mapping, Sequence
from typing import Any

from nodeworker.kernel import devices, mounts, paths
from nodeworker.kernel.cgroups.hierarchy import Cgroups
from nodeworker.runtime.errors import StartError

_PROC_MAGIC, _SYSFS_MAGIC = 0x9FA0, 0x62656572
_ATTRIBUTES = {
    "ro": mounts.MOUNT_ATTR_RDONLY,
    "nosuid": mounts.MOUNT_ATTR_NOSUID,
    "nodev": mounts.MOUNT_ATTR_NODEV,
    "noexec": mounts.MOUNT_ATTR_NOEXEC,
}
# Words of /etc/fstab that need no action here: defaults, or made so by the private mount namespace.
_IGNORED = {
    "rw",
    "bind",
    "rbind",
    "private",
    "rprivate",
    "slave",
    "rslave",
    "relatime",
    "suid",
    "dev",
    "exec",
    "defaults",
}
_DEVICES = (("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0))
_LINKS = (
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
)


def _refuse(message: str) -> StartError:
    return StartError(message, "CreateContainerConfigError")


class RootFilesystem:
    """The new root, by its descriptor, while it is being furnished."""

    def __init__(self, root: int, cgroups: Cgroups, group: str) -> None:
        self.root = root
        self._cgroups, self._group = cgroups, group
        self.devpts: int | None = None

    def mount_all(self, entries: Sequence[Mapping[str, Any]]) -> None:
        """Attach every mount of the config.json, in its order."""
        for entry in entries:
            self.mount(entry)

    def mount(self, entry: Mapping[str, Any]) -> None:
        """Attach one entry of `mounts`."""
        destination = os.path.normpath("/" + entry["destination"].lstrip("/"))
        attributes, data, read_only = _split_options(entry.get("options", ()))
        kind = entry.get("type") or "bind"
        if kind in ("bind", "none"):
            self._bind(entry["source"], destination, attributes, recursive="bind" not in entry.get("options", ()))
            return
        if kind in ("cgroup", "cgroup2"):
            self._mount_cgroups(destination, attributes)
            return
        target = self._directory(destination)
        made = mounts.new_filesystem(kind, data, attributes, read_only=read_only and kind != "sysfs")
        mounts.move_mount(made, target)
        os.close(target)
        if kind == "devpts":
            self.devpts = made
        else:
            os.close(made)
        if destination == "/dev":
            self._furnish_dev()

    def _directory(self, destination: str) -> int:
        """The mount point, made if missing. Those of the kernel's file systems are no links and lie on the root."""
        special = destination.split("/")[1] in ("proc", "sys", "dev")
        try:
            return paths.make_directory_in_root(self.root, destination, follow=not special)
        except OSError as error:
            if special and error.errno in (errno.ELOOP, errno.ENOTDIR, errno.EEXIST):
                raise _refuse(
                    f"{destination} of the image must be an ordinary directory, not a link or file"
                ) from error
            raise _refuse(f'cannot make the mount point "{destination}": {error.strerror}') from error

    def _bind(self, source: str, destination: str, attributes: int, *, recursive: bool) -> None:
        if destination in ("/", "/dev") or destination.split("/")[1] in ("proc", "sys"):
            raise _refuse(f'a volume cannot be mounted on "{destination}"')
        try:
            tree = mounts.open_tree(mounts.AT_FDCWD, source, recursive=recursive)
        except FileNotFoundError:
            raise _refuse(f'the source of the mount on "{destination}" does not exist') from None
        try:
            target = self._bind_target(tree, destination)
            if attributes:
                mounts.mount_setattr(tree, attributes, recursive=recursive)
            mounts.move_mount(tree, target)
            os.close(target)
        finally:
            os.close(tree)

    def _bind_target(self, tree: int, destination: str) -> int:
        is_directory = stat.S_ISDIR(os.fstat(tree).st_mode)
        make = paths.make_directory_in_root if is_directory else paths.make_file_in_root
        try:
            target = make(self.root, destination)
        except OSError as error:
            raise _refuse(f'cannot make the mount point "{destination}": {error.strerror}') from error
        # A link in the image may lead to /proc or /sys by another name.
        if paths.filesystem_type(target) in (_PROC_MAGIC, _SYSFS_MAGIC):
            raise _refuse(f'the mount point "{destination}" leads into /proc or /sys')
        if stat.S_ISDIR(os.fstat(target).st_mode) != is_directory:
            kind = "directory" if is_directory else "file"
            raise _refuse(f'the mount point "{destination}" of the image is not a {kind}, but what is mounted there is')
        return target

    def _mount_cgroups(self, destination: str, attributes: int) -> None:
        """The container's own groups, read-only, at the places where programs look for them."""
        target = self._directory(destination)
        trees = self._cgroups.hierarchies
        if len(trees) == 1 and trees[0].version == 2:
            made = mounts.new_filesystem("cgroup2", {}, attributes)
            mounts.move_mount(made, target)
            os.close(made)
            return
        top = mounts.new_filesystem("tmpfs", {"mode": "755", "size": "64k"}, attributes & ~mounts.MOUNT_ATTR_RDONLY)
        mounts.move_mount(top, target)
        for tree in trees:
            if not os.path.exists(f"{tree.root}/{self._group}"):  # noqa: PTH110
                continue  # a controller that nothing limits here (cgroups.create)
            name = tree.root.name
            os.mkdir(name, dir_fd=top)
            place = os.open(name, os.O_PATH | os.O_CLOEXEC, dir_fd=top)
            group = mounts.open_tree(mounts.AT_FDCWD, f"{tree.root}/{self._group}")
            mounts.mount_setattr(group, attributes)
            mounts.move_mount(group, place)
            os.close(group)
            os.close(place)
        mounts.mount_setattr(top, attributes)
        os.close(top)
        os.close(target)

    def _furnish_dev(self) -> None:
        dev = paths.open_in_root(self.root, "/dev", os.O_RDONLY | os.O_DIRECTORY, follow=False)
        for name, major, minor in _DEVICES:
            devices.make_device(dev, name, major, minor)
        for name, target in _LINKS:
            os.symlink(target, name, dir_fd=dev)
        os.close(dev)

    def bind_console(self, slave: int) -> None:
        """/dev/console is the container's terminal, bound by descriptor (CVE-2025-52565)."""
        target = paths.make_file_in_root(self.root, "/dev/console")
        tree = mounts.open_tree(slave, "")
        mounts.move_mount(tree, target)
        os.close(tree)
        os.close(target)

    def mask(self, masked: Sequence[str]) -> None:
        """Hide paths: files behind the verified null device, directories behind an empty read-only tmpfs."""
        null = devices.open_null()
        empty: int | None = None
        for path in masked:
            try:
                target = paths.open_in_root(self.root, path, follow=False)
            except (FileNotFoundError, NotADirectoryError):
                continue
            if stat.S_ISDIR(os.fstat(target).st_mode):
                if empty is None:
                    empty = mounts.new_filesystem("tmpfs", {"size": "4k", "mode": "555"}, mounts.MOUNT_ATTR_RDONLY)
                tree = mounts.open_tree(empty, "")  # one empty directory shows in the place of all of them
                mounts.move_mount(tree, target)
                os.close(tree)
            else:
                tree = mounts.open_tree(null, "")
                mounts.move_mount(tree, target)
                os.close(tree)
            os.close(target)
        os.close(null)
        if empty is not None:
            os.close(empty)

    def make_read_only(self, read_only: Sequence[str]) -> None:
        """Bind each path on itself, read-only."""
        for path in read_only:
            try:
                target = paths.open_in_root(self.root, path, follow=False)
            except (FileNotFoundError, NotADirectoryError):
                continue
            tree = mounts.open_tree(target, "", recursive=True)
            mounts.mount_setattr(tree, mounts.MOUNT_ATTR_RDONLY, recursive=True)
            mounts.move_mount(tree, target)
            os.close(tree)
            os.close(target)

    def make_working_directory(self, path: str, uid: int, gid: int) -> None:
        """Make a missing working directory, as Docker does, and give it to the user."""
        try:
            os.close(paths.open_in_root(self.root, path))
            return
        except OSError as error:
            if error.errno != errno.ENOENT:
                return  # entering it will say what is wrong
        with contextlib.suppress(OSError):
            made = paths.make_directory_in_root(self.root, path)
            os.chown(f"/proc/self/fd/{made}", uid, gid)
            os.close(made)


def _split_options(options: Sequence[str]) -> tuple[int, dict[str, str | None], bool]:
    """Mount attributes, options of the file system itself, and whether it is read-only."""
    attributes, data = 0, dict[str, str | None]()
    for option in options:
        if option in _ATTRIBUTES:
            attributes |= _ATTRIBUTES[option]
        elif option not in _IGNORED:
            key, equals, value = option.partition("=")
            data[key] = value if equals else None
    return attributes, data, "ro" in options
