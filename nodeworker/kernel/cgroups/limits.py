"""The limits of one group, read from the `linux.resources` of an OCI config.json."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class DeviceRule:
    """Access to a kind of device; None stands for any."""

    allow: bool
    kind: str = "a"  # a | c | b
    major: int | None = None
    minor: int | None = None
    access: str = "rwm"


@dataclass(frozen=True, slots=True)
class Limits:
    """None means: leave as it is. `memory_swap` is memory and swap together, as in the OCI specification."""

    cpu_shares: int | None = None
    cpu_quota: int | None = None  # microseconds a period
    cpu_period: int | None = None
    cpuset_cpus: str = ""
    cpuset_mems: str = ""
    memory: int | None = None
    memory_swap: int | None = None
    pids: int | None = None
    devices: tuple[DeviceRule, ...] = ()


def limits_from_resources(resources: Mapping[str, Any]) -> Limits:
    """Translate `linux.resources`."""
    cpu, memory, pids = (resources.get(key) or {} for key in ("cpu", "memory", "pids"))
    return Limits(
        cpu_shares=cpu.get("shares"),
        cpu_quota=cpu.get("quota"),
        cpu_period=cpu.get("period"),
        cpuset_cpus=cpu.get("cpus", ""),
        cpuset_mems=cpu.get("mems", ""),
        memory=memory.get("limit"),
        memory_swap=memory.get("swap"),
        pids=pids.get("limit"),
        devices=tuple(
            DeviceRule(
                rule["allow"], rule.get("type", "a"), rule.get("major"), rule.get("minor"), rule.get("access", "rwm")
            )
            for rule in resources.get("devices", [])
        ),
    )
