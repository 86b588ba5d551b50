"""What the agent asks of the runtime and what it gets back: plain data, kept on disk as JSON.

The agent builds the specs; `runtime.py`, the zygote and the shim read them. All times are Unix seconds (float).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CREATED, RUNNING, EXITED = "created", "running", "exited"
READY, STOPPED, LOST = "ready", "stopped", "lost"


@dataclass(frozen=True, slots=True)
class PodNetwork:
    """One address on the node's bridge; None in its place means the host's network."""

    address: str  # "10.244.0.5/24"
    gateway: str
    bridge: str
    host_interface: str
    mtu: int = 1500
    mac: str = ""  # derived from the address when empty


@dataclass(frozen=True, slots=True)
class CgroupLimits:
    """Limits of the whole pod; a container's own limits stand in its config.json. None or 0: no limit."""

    cpu_shares: int | None = None
    cpu_quota_microseconds: int | None = None  # of each period of 100 ms
    memory_bytes: int | None = None
    pids: int | None = None


@dataclass(frozen=True, slots=True)
class PodSpec:
    """What a pod needs before its first container."""

    uid: str
    namespace: str
    name: str
    hostname: str = ""
    network: PodNetwork | None = None
    sysctls: dict[str, str] = field(default_factory=dict)
    dns: str = ""  # text of /etc/resolv.conf; empty: the host's is copied
    hosts: str = ""  # text of /etc/hosts; empty: localhost and the pod's own name
    cgroup_limits: CgroupLimits = field(default_factory=CgroupLimits)
    share_process_namespace: bool = False
    host_network: bool = False
    host_ipc: bool = False
    host_pid: bool = False
    labels: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LogLimits:
    """Size and number of a container's log files."""

    max_bytes: int = 10 * 1024 * 1024
    max_files: int = 5


@dataclass(frozen=True, slots=True)
class ContainerSpec:
    """One attempt at running one container: an OCI config.json, its layers (lowest last, as overlayfs wants them)."""

    name: str
    attempt: int
    bundle: dict[str, Any]
    lower_directories: list[Path]
    log: LogLimits = field(default_factory=LogLimits)
    terminal: bool = False
    stdin: bool = False


@dataclass(frozen=True, slots=True)
class ProcessSpec:
    """A process to run in a running container, with the container's own restrictions."""

    arguments: list[str]
    environment: list[str] = field(default_factory=list)  # added to the container's own, KEY=value
    working_directory: str = ""  # empty: the container's
    user: str = ""  # empty: the container's; else as in an image, "name", "uid", "uid:gid"
    terminal: bool = False
    stdin: bool = False
    width: int = 80
    height: int = 24


@dataclass(slots=True)
class ContainerState:
    """What is known of one attempt. `exit_code` is 128 + signal when a signal ended it."""

    name: str
    attempt: int
    phase: str  # created | running | exited
    pid: int | None = None
    created_at: float | None = None
    started_at: float | None = None
    finished_at: float | None = None
    exit_code: int | None = None
    signal: int | None = None
    oom_killed: bool = False
    error: str = ""
    reason: str = ""  # Completed | Error | OOMKilled | ContainerCannotRun | StartError | ContainerStatusUnknown
    steps: list[tuple[str, float]] = field(default_factory=list)  # (step, milliseconds)


@dataclass(slots=True)
class PodState:
    """What is known of one pod. `lost`: its shim died, so its containers are gone too."""

    uid: str
    namespace: str
    name: str
    phase: str  # ready | stopped | lost
    shim_pid: int | None = None
    network: PodNetwork | None = None
    containers: list[ContainerState] = field(default_factory=list)
    error: str = ""
    steps: list[tuple[str, float]] = field(default_factory=list)
    labels: dict[str, str] = field(default_factory=dict)


def pod_spec_to_dict(spec: PodSpec) -> dict[str, Any]:
    """The spec as JSON-ready data."""
    return dataclasses.asdict(spec)


def pod_spec_from_dict(data: dict[str, Any]) -> PodSpec:
    """The inverse of `pod_spec_to_dict`."""
    network = data.get("network")
    return PodSpec(
        **{
            **data,
            "network": PodNetwork(**network) if network else None,
            "cgroup_limits": CgroupLimits(**data.get("cgroup_limits", {})),
        }
    )


def container_state_to_dict(state: ContainerState) -> dict[str, Any]:
    """The state as JSON-ready data. (`dataclasses.asdict` copies deeply and costs a shim time and memory.)"""
    return {name: getattr(state, name) for name in ContainerState.__slots__}


def container_state_from_dict(data: dict[str, Any]) -> ContainerState:
    """A state read from disk; steps come back as tuples."""
    known = {key: value for key, value in data.items() if key in ContainerState.__slots__}
    known["steps"] = [(name, milliseconds) for name, milliseconds in known.get("steps", [])]
    return ContainerState(**known)
