"""Compiled seccomp filters. The zygote compiles the default one before it forks, so that a start finds it ready."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nodeworker.kernel.seccomp import compile_profile
from nodeworker.runtime.seccomp_profile import default_profile

# Docker's fourteen.
_FOURTEEN = """
CHOWN DAC_OVERRIDE FOWNER FSETID KILL SETGID SETUID SETPCAP NET_BIND_SERVICE NET_RAW SYS_CHROOT MKNOD AUDIT_WRITE
SETFCAP
"""
DEFAULT_CAPABILITIES = tuple(f"CAP_{name}" for name in _FOURTEEN.split())

_compiled: list[tuple[Mapping[str, Any], bytes]] = []


def warm() -> None:
    """Compile the default profile."""
    profile = default_profile(DEFAULT_CAPABILITIES)
    _compiled.append((profile, compile_profile(profile)))


def filter_program(profile: Mapping[str, Any]) -> bytes:
    """The program of a profile; comparing two profiles costs a hundredth of compiling one."""
    for known, program in _compiled:
        if known == profile:
            return program
    return compile_profile(profile)
