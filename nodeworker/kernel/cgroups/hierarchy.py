"""Which cgroup version serves which controller here, and the calls that hide it. Used by the shim, zygote and agent.

A group is named by one relative path, "gantry-1f2e3d/pod<uid>/web-0", and exists in every hierarchy that we use.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nodeworker.kernel.cgroups import device_filter, v1, v2
from nodeworker.kernel.cgroups.files import read, write
from nodeworker.kernel.cgroups.limits import Limits

# hugetlb and blkio are left out: nothing limits them, and every hierarchy costs a start 0.2 ms.
WANTED = ("cpu", "cpuacct", "memory", "pids", "devices", "freezer", "cpuset")


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """One mounted tree and the controllers that we use of it."""

    version: int
    root: Path
    controllers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Usage:
    """What a group has used: CPU nanoseconds, bytes now, bytes without what the kernel could drop, processes."""

    cpu_nanoseconds: int
    memory_bytes: int
    working_set_bytes: int
    pids: int


def _unescape(field: str) -> str:
    """mountinfo writes a space as \\040. (The codec "unicode_escape" would be a module more in every shim.)"""
    for character in " \t\n\\":
        field = field.replace(f"\\{ord(character):03o}", character)
    return field


def parse_mountinfo(text: str) -> list[Hierarchy]:
    """The hierarchies that serve our controllers, from /proc/self/mountinfo."""
    found: list[Hierarchy] = []
    taken: set[str] = set()
    unified: Path | None = None
    for line in text.splitlines():
        before, _, after = line.partition(" - ")
        kind, _source, options = [*after.split(" "), "", ""][:3]
        root = Path(_unescape(before.split(" ")[4]))
        if kind == "cgroup2":
            unified = unified or root
        elif kind == "cgroup":
            controllers = tuple(name for name in WANTED if name in options.split(",") and name not in taken)
            if controllers:
                found.append(Hierarchy(1, root, controllers))
                taken.update(controllers)
    if unified:
        available = read(unified / "cgroup.controllers").split()
        rest = [name for name in WANTED if name in available and name not in taken]
        # Without a version 1 beside it, version 2 has no devices and freezer controllers but does their work.
        implied = [name for name in ("devices", "freezer") if rest and name not in taken]
        if rest:
            found.append(Hierarchy(2, unified, (*rest, *implied)))
    return found


class Cgroups:
    """The groups of this machine."""

    def __init__(self, hierarchies: list[Hierarchy] | None = None) -> None:
        if hierarchies is None:
            hierarchies = parse_mountinfo(Path("/proc/self/mountinfo").read_text())
        self.hierarchies = hierarchies
        # Names are put together as strings: these are on the way of every start.
        self._roots = [(tree, str(tree.root)) for tree in hierarchies]
        self._by_controller = {name: tree for tree in hierarchies for name in tree.controllers}

    def directory(self, controller: str, path: str) -> Path | None:
        """The group's directory where `controller` lives; None where nothing serves it."""
        tree = self._by_controller.get(controller)
        return tree.root / path if tree else None

    def _groups(self, path: str) -> Iterator[tuple[Hierarchy, str]]:
        for tree, root in self._roots:
            yield tree, f"{root}/{path}"

    def create(self, path: str, *, cpuset: bool = True) -> None:
        """Make the group and its parents, ready for processes (version 2: only in groups without children).

        Without `cpuset` the group is left out of a hierarchy that serves only this controller: nobody asked to limit
        the processors, and the processes may use those of the group that they come from.
        """
        for tree, root in self._roots:
            if tree.version == 1 and tree.controllers == ("cpuset",) and not cpuset:
                continue
            try:
                if tree.version == 1:
                    self._make(tree, f"{root}/{path}")
                    continue
            except FileNotFoundError:
                pass
            directory = root
            for part in path.split("/"):
                if tree.version == 2:
                    v2.enable(directory, tree.controllers)
                directory = f"{directory}/{part}"
                self._make(tree, directory)

    @staticmethod
    def _make(tree: Hierarchy, directory: str) -> None:
        try:
            os.mkdir(directory)  # noqa: PTH102 - hot path
        except FileExistsError:
            return
        if tree.version == 1 and "cpuset" in tree.controllers:
            v1.prepare("cpuset", directory)

    def apply(self, path: str, limits: Limits) -> None:
        """Write the limits of a group."""
        for tree, directory in self._groups(path):
            version = v1 if tree.version == 1 else v2
            for controller in tree.controllers:
                version.apply(controller, directory, limits)
            if tree.version == 2 and limits.devices:
                device_filter.attach(directory, limits.devices)

    def join(self, path: str) -> None:
        """Move this (single-threaded) process into the group: "0" written by itself costs a tenth of a pid written by
        its parent."""
        for tree, directory in self._groups(path):
            try:
                write(f"{directory}/{'tasks' if tree.version == 1 else 'cgroup.procs'}", "0")
            except FileNotFoundError:
                if tree.controllers != ("cpuset",):
                    raise

    def processes(self, path: str) -> list[int]:
        """The pids in a group (not in its children)."""
        found: set[int] = set()
        for _tree, directory in self._groups(path):
            found.update(int(line) for line in read(f"{directory}/cgroup.procs").split())
        return sorted(found)

    def kill(self, path: str, timeout: float = 5.0) -> bool:
        """SIGKILL all processes of a group until it is empty; False if some would not go in time."""
        deadline = time.monotonic() + timeout
        for tree, directory in self._groups(path):
            if tree.version == 2 and v2.kill(directory):
                break
        while members := self.processes(path):
            # No fork can outrun this: a child appears in the list before its parent's signal is handled, and we repeat.
            for pid in members:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            if time.monotonic() > deadline:
                return False
            time.sleep(0.002)
        return True

    def freeze(self, path: str, frozen: bool) -> None:
        """Stop or continue every process of a group."""
        tree = self._by_controller.get("freezer")
        if tree and tree.version == 1:
            write(tree.root / path / "freezer.state", "FROZEN" if frozen else "THAWED")
        elif tree:
            write(tree.root / path / "cgroup.freeze", "1" if frozen else "0")

    def oom_kills(self, path: str) -> int:
        """How many processes of the group the kernel killed for memory."""
        tree = self._by_controller.get("memory")
        if tree is None:
            return 0
        return v1.oom_kills(tree.root / path) if tree.version == 1 else v2.oom_kills(tree.root / path)

    def usage(self, path: str) -> Usage | None:
        """What the group uses, or None when it is gone."""
        memory = self._by_controller.get("memory")
        if memory is None or not (memory.root / path).exists():
            return None
        return Usage(self._cpu(path), *self._memory(memory, memory.root / path), self._pids(path))

    def _cpu(self, path: str) -> int:
        if directory := self.directory("cpuacct", path):
            return int(read(directory / "cpuacct.usage") or 0)
        directory = self.directory("cpu", path)
        statistics = _pairs(read(directory / "cpu.stat")) if directory else {}
        return statistics.get("usage_usec", 0) * 1000

    @staticmethod
    def _memory(tree: Hierarchy, directory: Path) -> tuple[int, int]:
        names = (
            ("memory.usage_in_bytes", "total_inactive_file")
            if tree.version == 1
            else ("memory.current", "inactive_file")
        )
        used = int(read(directory / names[0]) or 0)
        return used, max(0, used - _pairs(read(directory / "memory.stat")).get(names[1], 0))

    def _pids(self, path: str) -> int:
        directory = self.directory("pids", path)
        return int(read(directory / "pids.current") or 0) if directory else 0

    def remove(self, path: str, timeout: float = 2.0) -> None:
        """Remove the group and its children. A group is busy for a moment after its last process was reaped."""
        deadline = time.monotonic() + timeout
        for _tree, directory in self._groups(path):
            for found, _directories, _files in os.walk(directory, topdown=False):
                _remove_directory(found, deadline)


def _remove_directory(directory: str, deadline: float) -> None:
    while True:
        try:
            os.rmdir(directory)  # noqa: PTH106 - hot path
        except FileNotFoundError:
            return
        except OSError as error:
            if error.errno != errno.EBUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.001)
        else:
            return


def _pairs(text: str) -> dict[str, int]:
    lines = (line.split() for line in text.splitlines())
    return {words[0]: int(words[1]) for words in lines if len(words) == 2}
