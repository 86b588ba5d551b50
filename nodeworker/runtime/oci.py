"""Builds a container's OCI config.json from its image's configuration and what its pod asks for. For the agent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


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


def default_config(image_config: Mapping[str, Any], options: ContainerOptions) -> dict[str, Any]:
    """The config.json of one container. `image_config` is the OCI image configuration (with its "config" part).

    Raises StartError with reason CreateContainerConfigError for what no container could be given.
    """
    raise NotImplementedError
