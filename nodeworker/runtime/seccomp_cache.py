"""Compiled seccomp filters. The zygote compiles the default one before it forks, so that a start finds it ready."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nodeworker.kernel.seccomp import compile_profile
from nodeworker.runtime.errors import StartError
from nodeworker.runtime.seccomp_profile import default_profile

# Docker's fourteen.
_FOURTEEN = """
CHOWN DAC_OVERRIDE FOWNER FSETID KILL SETGID SETUID SETPCAP NET_BIND_SERVICE NET_RAW SYS_CHROOT MKNOD AUDIT_WRITE
SETFCAP
"""
DEFAULT_CAPABILITIES = tuple(f"CAP_{name}" for name in _FOURTEEN.split())

_compiled: list[tuple[Mapping[str, Any], bytes]] = []

# In a config.json on disk the default profile is not written out: 25 KB to encode and decode at every start and exec.
ANNOTATION = "gantry.internal/seccomp"
DEFAULT = "default"


def warm() -> None:
    """Compile the default profile."""
    profile = default_profile(DEFAULT_CAPABILITIES)
    _compiled.append((profile, compile_profile(profile)))


def shorten(config: dict[str, Any]) -> dict[str, Any]:
    """The config.json with the default profile as an annotation; any other stays as it is."""
    linux = config.get("linux", {})
    profile = linux.get("seccomp")
    if profile is None or profile != default_profile(DEFAULT_CAPABILITIES):
        return config
    without = {key: value for key, value in linux.items() if key != "seccomp"}
    annotations = {**(config.get("annotations") or {}), ANNOTATION: DEFAULT}
    return {**config, "linux": without, "annotations": annotations}


def filter_of(config: Mapping[str, Any]) -> bytes | None:
    """The program that a config.json asks for, shortened or not; None when it asks for none."""
    named = (config.get("annotations") or {}).get(ANNOTATION)
    if named is not None:
        if named != DEFAULT:
            raise StartError(f'the seccomp profile "{named}" is not known', "CreateContainerConfigError")
        return filter_program(default_profile(DEFAULT_CAPABILITIES))
    profile = config.get("linux", {}).get("seccomp")
    return filter_program(profile) if profile else None


def filter_program(profile: Mapping[str, Any]) -> bytes:
    """The program of a profile; comparing two profiles costs a hundredth of compiling one."""
    for known, program in _compiled:
        if known == profile:
            return program
    return compile_profile(profile)
