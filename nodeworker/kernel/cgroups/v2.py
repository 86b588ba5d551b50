"""The files of cgroup version 2. Called by `hierarchy.py` with the group's directory in the unified tree."""

from __future__ import annotations

import os
from collections.abc import Iterable

from nodeworker.kernel.cgroups.files import Name, read, write
from nodeworker.kernel.cgroups.limits import Limits


def enable(parent: Name, controllers: Iterable[str]) -> None:
    """Hand controllers down to the children of `parent`. It must hold no process itself unless it is the root."""
    available = set(read(f"{parent}/cgroup.controllers").split())
    enabled = set(read(f"{parent}/cgroup.subtree_control").split())
    wanted = [name for name in controllers if name in available and name not in enabled]
    if wanted:
        write(f"{parent}/cgroup.subtree_control", " ".join(f"+{name}" for name in wanted))


def weight(shares: int) -> int:
    """cpu.shares (2..262144, 1024 is one CPU) as cpu.weight (1..10000), the way runc and the kubelet translate."""
    shares = min(max(shares, 2), 262144)
    return 1 + ((shares - 2) * 9999) // 262142


def apply(controller: str, directory: Name, limits: Limits) -> None:
    """Write what `limits` says about this controller."""
    if controller == "cpu":
        if limits.cpu_shares:
            write(f"{directory}/cpu.weight", str(weight(limits.cpu_shares)))
        if limits.cpu_quota:
            quota = str(limits.cpu_quota) if limits.cpu_quota > 0 else "max"
            write(f"{directory}/cpu.max", f"{quota} {limits.cpu_period or 100_000}")
    elif controller == "memory":
        _apply_memory(directory, limits)
    elif controller == "pids" and limits.pids is not None:
        write(f"{directory}/pids.max", str(limits.pids) if limits.pids > 0 else "max")
    elif controller == "cpuset":
        for name, value in (("cpuset.cpus", limits.cpuset_cpus), ("cpuset.mems", limits.cpuset_mems)):
            if value:
                write(f"{directory}/{name}", value)


def _has(directory: Name, name: str) -> bool:
    return os.path.exists(f"{directory}/{name}")  # noqa: PTH110


def _apply_memory(directory: Name, limits: Limits) -> None:
    if not limits.memory:
        return
    write(f"{directory}/memory.max", str(limits.memory))
    if limits.memory_swap and _has(directory, "memory.swap.max"):
        write(f"{directory}/memory.swap.max", str(max(0, limits.memory_swap - limits.memory)))
    if _has(directory, "memory.oom.group"):
        # One process of a container out of memory ends them all, as the kubelet has it since 1.28.
        write(f"{directory}/memory.oom.group", "1")


def oom_kills(directory: Name) -> int:
    """How many processes the kernel killed in this group for memory."""
    for line in read(f"{directory}/memory.events").splitlines():
        name, _, value = line.partition(" ")
        if name == "oom_kill":
            return int(value)
    return 0


def kill(directory: Name) -> bool:
    """cgroup.kill (kernel 5.14): SIGKILL everything in the group at once; False where there is none."""
    if not _has(directory, "cgroup.kill"):
        return False
    write(f"{directory}/cgroup.kill", "1")
    return True
