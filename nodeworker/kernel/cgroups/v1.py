"""The files of cgroup version 1. Called by `hierarchy.py` with the group's directory in one controller's hierarchy."""

from __future__ import annotations

import os

from nodeworker.kernel.cgroups.files import Name, read, write
from nodeworker.kernel.cgroups.limits import DeviceRule, Limits


def prepare(controller: str, directory: Name) -> None:
    """What a new group needs before it takes a process: an empty cpuset refuses every task with ENOSPC."""
    if controller == "cpuset":
        parent = os.path.dirname(directory)  # noqa: PTH120
        for name in ("cpuset.cpus", "cpuset.mems"):
            if not read(f"{directory}/{name}").strip():
                write(f"{directory}/{name}", read(f"{parent}/{name}").strip())


def apply(controller: str, directory: Name, limits: Limits) -> None:
    """Write what `limits` says about this controller."""
    if controller == "cpu":
        _apply_cpu(directory, limits)
    elif controller == "memory":
        _apply_memory(directory, limits)
    elif controller == "pids" and limits.pids is not None:
        write(f"{directory}/pids.max", str(limits.pids) if limits.pids > 0 else "max")
    elif controller == "devices":
        for rule in limits.devices:
            write(f"{directory}/devices.{'allow' if rule.allow else 'deny'}", device_line(rule))
    elif controller == "cpuset":
        for name, value in (("cpuset.cpus", limits.cpuset_cpus), ("cpuset.mems", limits.cpuset_mems)):
            if value:
                write(f"{directory}/{name}", value)


def _apply_cpu(directory: Name, limits: Limits) -> None:
    if limits.cpu_shares:
        write(f"{directory}/cpu.shares", str(max(2, limits.cpu_shares)))
    if limits.cpu_period:
        write(f"{directory}/cpu.cfs_period_us", str(limits.cpu_period))
    if limits.cpu_quota:
        write(f"{directory}/cpu.cfs_quota_us", str(limits.cpu_quota))


def _has(directory: Name, name: str) -> bool:
    return os.path.exists(f"{directory}/{name}")  # noqa: PTH110


def _apply_memory(directory: Name, limits: Limits) -> None:
    if limits.memory:
        write(f"{directory}/memory.limit_in_bytes", str(limits.memory))
    if limits.memory_swap and _has(directory, "memory.memsw.limit_in_bytes"):
        write(f"{directory}/memory.memsw.limit_in_bytes", str(limits.memory_swap))


def device_line(rule: DeviceRule) -> str:
    """The rule as devices.allow takes it: "c 1:3 rwm"."""
    major, minor = ("*" if number is None else str(number) for number in (rule.major, rule.minor))
    return "a" if rule.kind == "a" and rule.major is None else f"{rule.kind} {major}:{minor} {rule.access}"


def oom_kills(directory: Name) -> int:
    """How many processes the kernel killed in this group for memory."""
    for line in read(f"{directory}/memory.oom_control").splitlines():
        name, _, value = line.partition(" ")
        if name == "oom_kill":
            return int(value)
    return 0
