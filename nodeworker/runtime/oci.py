"""Builds a container's OCI config.json from its image's configuration and what its pod asks for. For the agent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nodeworker.kernel.capabilities import CAPABILITIES
from nodeworker.runtime.errors import StartError
from nodeworker.runtime.process import DEFAULT_PATH, NON_ROOT_ANNOTATION
from nodeworker.runtime.seccomp_cache import DEFAULT_CAPABILITIES
from nodeworker.runtime.seccomp_profile import default_profile


@dataclass(frozen=True, slots=True)
class Bind:
    """A file or directory of the host, shown at `destination` in the container."""

    source: Path
    destination: str
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class ContainerOptions:
    """What the pod says about one container, beyond its image. Units: millicores and bytes."""

    command: Sequence[str] | None = None  # replaces the image's Entrypoint (and drops its Cmd)
    arguments: Sequence[str] | None = None  # replaces the image's Cmd
    environment: Sequence[tuple[str, str]] = ()
    working_directory: str = ""
    hostname: str = ""
    run_as_user: int | None = None
    run_as_group: int | None = None
    run_as_non_root: bool = False
    supplementary_groups: Sequence[int] = ()
    binds: Sequence[Bind] = ()
    memory_volumes: Mapping[str, int] = field(default_factory=dict)  # destination -> bytes, a tmpfs each
    cpu_request: int | None = None
    cpu_limit: int | None = None
    memory_limit: int | None = None
    pids_limit: int | None = None
    capabilities_add: Sequence[str] = ()  # "NET_ADMIN", "ALL"
    capabilities_drop: Sequence[str] = ()
    privileged: bool = False
    allow_privilege_escalation: bool = False
    read_only_root: bool = False
    seccomp: str = "RuntimeDefault"  # or "Unconfined"
    terminal: bool = False
    oom_score_adjustment: int | None = None


# What a container may not see or not write, beyond what its capabilities forbid anyway.
MASKED_PATHS = """
/proc/acpi /proc/asound /proc/interrupts /proc/kcore /proc/keys /proc/latency_stats /proc/sched_debug /proc/scsi
/proc/timer_list /proc/timer_stats /sys/devices/virtual/powercap /sys/firmware
"""
READ_ONLY_PATHS = "/proc/bus /proc/fs /proc/irq /proc/sys /proc/sysrq-trigger"

_NONE = ["nosuid", "noexec", "nodev"]
_ALLOWED_DEVICES = ((1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 2), (136, None))


def default_config(image_config: Mapping[str, Any], options: ContainerOptions) -> dict[str, Any]:
    """The config.json of one container. `image_config` is the OCI image configuration (with its "config" part).

    Raises StartError with reason CreateContainerConfigError for what no container could be given.
    """
    image = image_config.get("config") or {}
    capabilities = _capabilities(options)
    config: dict[str, Any] = {
        "ociVersion": "1.0.2",
        "process": _process(image, options, capabilities),
        "root": {"path": "root", "readonly": options.read_only_root},
        "hostname": options.hostname,
        "mounts": _mounts(options),
        "annotations": {NON_ROOT_ANNOTATION: "true"} if options.run_as_non_root else {},
        "linux": {
            "namespaces": [{"type": kind} for kind in ("pid", "network", "ipc", "uts", "mount", "cgroup")],
            "resources": _resources(options),
            "maskedPaths": [] if options.privileged else MASKED_PATHS.split(),
            "readonlyPaths": [] if options.privileged else READ_ONLY_PATHS.split(),
        },
    }
    if not options.privileged and options.seccomp != "Unconfined":
        config["linux"]["seccomp"] = default_profile(capabilities)
    return config


def _process(image: Mapping[str, Any], options: ContainerOptions, capabilities: list[str]) -> dict[str, Any]:
    process: dict[str, Any] = {
        "terminal": options.terminal,
        "args": command_line(image, options.command, options.arguments),
        "env": _environment(image, options.environment),
        "cwd": options.working_directory or image.get("WorkingDir") or "/",
        "user": _user(image, options),
        "capabilities": {"bounding": capabilities, "effective": capabilities, "permitted": capabilities},
        "noNewPrivileges": not (options.allow_privilege_escalation or options.privileged),
    }
    if options.oom_score_adjustment is not None:
        process["oomScoreAdj"] = options.oom_score_adjustment
    return process


def command_line(image: Mapping[str, Any], command: Sequence[str] | None, arguments: Sequence[str] | None) -> list[str]:
    """Kubernetes' rule: `command` replaces Entrypoint and drops Cmd; `args` replaces Cmd."""
    entrypoint = list(image.get("Entrypoint") or [])
    default = list(image.get("Cmd") or [])
    if command:
        return [*command, *(arguments or [])]
    return entrypoint + (list(arguments) if arguments else default)


def _environment(image: Mapping[str, Any], own: Sequence[tuple[str, str]]) -> list[str]:
    """The image's variables, then the pod's; a later one of the same name wins. Nothing comes from the host."""
    merged: dict[str, str] = {"PATH": DEFAULT_PATH}
    for entry in image.get("Env") or []:
        key, equals, value = str(entry).partition("=")
        if key and equals:  # an image cannot ask for a variable of the host by naming it (CVE-2026-57231)
            merged[key] = value
    merged.update(own)
    return [f"{key}={value}" for key, value in merged.items()]


def _user(image: Mapping[str, Any], options: ContainerOptions) -> dict[str, Any]:
    name = str(image.get("User") or "") if options.run_as_user is None else str(options.run_as_user)
    user: dict[str, Any] = {"uid": options.run_as_user or 0, "username": name}
    if options.run_as_group is not None:
        user["gid"] = options.run_as_group
    if options.supplementary_groups:
        user["additionalGids"] = list(options.supplementary_groups)
    return user


def _capabilities(options: ContainerOptions) -> list[str]:
    if options.privileged:
        return list(CAPABILITIES)
    chosen = set(DEFAULT_CAPABILITIES)
    for name in options.capabilities_drop:
        chosen -= set(CAPABILITIES) if name.upper() == "ALL" else {_capability(name)}
    for name in options.capabilities_add:
        chosen |= set(CAPABILITIES) if name.upper() == "ALL" else {_capability(name)}
    return [name for name in CAPABILITIES if name in chosen]


def _capability(name: str) -> str:
    full = name.upper() if name.upper().startswith("CAP_") else f"CAP_{name.upper()}"
    if full not in CAPABILITIES:
        raise StartError(f'"{name}" is not a capability of Linux', "CreateContainerConfigError")
    return full


def _mounts(options: ContainerOptions) -> list[dict[str, Any]]:
    access = "rw" if options.privileged else "ro"

    def entry(destination: str, kind: str, *own: str) -> dict[str, Any]:
        return {"destination": destination, "type": kind, "source": kind, "options": list(own)}

    entries = [
        entry("/proc", "proc", *_NONE),
        entry("/dev", "tmpfs", "nosuid", "noexec", "mode=755", "size=64k"),
        entry("/dev/pts", "devpts", "nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"),
        entry("/dev/shm", "tmpfs", *_NONE, "mode=1777", "size=64m"),
        entry("/dev/mqueue", "mqueue", *_NONE),
        entry("/sys", "sysfs", *_NONE, access),
        entry("/sys/fs/cgroup", "cgroup", *_NONE, access),
    ]
    for destination, size in options.memory_volumes.items():
        entries.append(entry(destination, "tmpfs", "nosuid", "nodev", "mode=1777", *([f"size={size}"] if size else [])))
    for bind in options.binds:
        flags = ["rbind", "ro" if bind.read_only else "rw"]
        entries.append({"destination": bind.destination, "type": "bind", "source": str(bind.source), "options": flags})
    # Outer mount points come before those inside them.
    return entries[:7] + sorted(entries[7:], key=lambda item: item["destination"].count("/"))


def _resources(options: ContainerOptions) -> dict[str, Any]:
    """The kubelet's translation: a request of CPU is a share, a limit is a quota of each 100 ms."""
    resources: dict[str, Any] = {"devices": _device_rules(options)}
    request = options.cpu_limit if options.cpu_request is None else options.cpu_request
    cpu: dict[str, int] = {"shares": min(262144, max(2, (request or 0) * 1024 // 1000))}
    if options.cpu_limit:
        cpu |= {"quota": max(1000, options.cpu_limit * 100), "period": 100_000}
    resources["cpu"] = cpu
    if options.memory_limit:
        resources["memory"] = {"limit": options.memory_limit, "swap": options.memory_limit}
    if options.pids_limit:
        resources["pids"] = {"limit": options.pids_limit}
    return resources


def _device_rules(options: ContainerOptions) -> list[dict[str, Any]]:
    if options.privileged:
        return [{"allow": True, "access": "rwm"}]
    # Any node may be made (CAP_MKNOD allows it in Docker too), but only these may be opened.
    rules: list[dict[str, Any]] = [
        {"allow": False, "access": "rwm"},
        {"allow": True, "type": "c", "access": "m"},
        {"allow": True, "type": "b", "access": "m"},
    ]
    for major, minor in _ALLOWED_DEVICES:
        rule: dict[str, Any] = {"allow": True, "type": "c", "major": major, "access": "rwm"}
        rules.append(rule if minor is None else {**rule, "minor": minor})
    return rules
