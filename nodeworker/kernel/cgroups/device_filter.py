"""cgroup version 2 has no device files: a small BPF program attached to the group says yes or no.

The kernel hands the program {access_type: u32 (access << 16 | kind), major: u32, minor: u32}; it returns 1 to allow.
The last rule that matches decides, as in the OCI specification, so the program tests the rules from the last to the
first and allows nothing else.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Sequence

from nodeworker.kernel.calls import syscall
from nodeworker.kernel.cgroups.files import Name
from nodeworker.kernel.cgroups.limits import DeviceRule

_BPF_PROG_LOAD, _BPF_PROG_ATTACH = 5, 8
_PROG_TYPE_CGROUP_DEVICE, _ATTACH_CGROUP_DEVICE, _ALLOW_MULTI = 15, 6, 2
_KINDS = {"b": 1, "c": 2}
_ACCESS = {"m": 1, "r": 2, "w": 4}

_LOAD_WORD, _MOVE, _AND, _SHIFT_RIGHT, _JUMP_NOT_EQUAL, _EXIT, _MOVE_REGISTER = 0x61, 0xB7, 0x57, 0x77, 0x55, 0x95, 0xBF


def _instruction(code: int, destination: int = 0, source: int = 0, offset: int = 0, immediate: int = 0) -> bytes:
    return struct.pack("=BBhi", code, destination | source << 4, offset, immediate)


def program(rules: Sequence[DeviceRule]) -> bytes:
    """The filter: r2 kind, r3 access, r4 major, r5 minor."""
    code = [
        _instruction(_LOAD_WORD, 2, 1, 0),
        _instruction(_MOVE_REGISTER, 3, 2),
        _instruction(_AND, 2, immediate=0xFFFF),
        _instruction(_SHIFT_RIGHT, 3, immediate=16),
        _instruction(_LOAD_WORD, 4, 1, 4),
        _instruction(_LOAD_WORD, 5, 1, 8),
    ]
    for rule in reversed(rules):
        instructions = _rule(rule)
        code += instructions
        if len(instructions) == 2:
            # It holds for everything: rules before it never count, and the verifier refuses what cannot be reached.
            return b"".join(code)
    code += [_instruction(_MOVE, 0, immediate=0), _instruction(_EXIT)]
    return b"".join(code)


def _rule(rule: DeviceRule) -> list[bytes]:
    tests: list[tuple[int, int]] = []
    if rule.kind in _KINDS:
        tests.append((2, _KINDS[rule.kind]))
    for register, number in ((4, rule.major), (5, rule.minor)):
        if number is not None:
            tests.append((register, number))
    granted = sum(_ACCESS[letter] for letter in set(rule.access))
    checks: list[bytes] = []
    # An allowing rule must grant every access asked for; a refusing one holds if any of them is named.
    access_checks = 0 if granted == 7 else 3
    length = len(tests) + access_checks + 2
    for position, (register, number) in enumerate(tests):
        checks.append(_instruction(_JUMP_NOT_EQUAL, register, offset=length - position - 1, immediate=number))
    if access_checks:
        asked_outside, jump_equal = (7 & ~granted, _JUMP_NOT_EQUAL) if rule.allow else (granted, 0x15)
        checks += [
            _instruction(_MOVE_REGISTER, 1, 3),
            _instruction(_AND, 1, immediate=asked_outside),
            _instruction(jump_equal, 1, offset=2, immediate=0),
        ]
    return [*checks, _instruction(_MOVE, 0, immediate=int(rule.allow)), _instruction(_EXIT)]


def attach(directory: Name, rules: Sequence[DeviceRule]) -> None:
    """Load the program and attach it to the group; the group keeps it."""
    code = ctypes.create_string_buffer(program(rules))
    licence = ctypes.create_string_buffer(b"GPL")
    attributes = struct.pack(
        "=IIQQIIQII",
        _PROG_TYPE_CGROUP_DEVICE,
        (len(code) - 1) // 8,
        ctypes.addressof(code),
        ctypes.addressof(licence),
        0, 0, 0, 0, 0,
    )  # fmt: skip
    loaded = syscall("bpf", _BPF_PROG_LOAD, attributes, len(attributes), about="device filter")
    group = os.open(directory, os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        attributes = struct.pack("=IIII", group, loaded, _ATTACH_CGROUP_DEVICE, _ALLOW_MULTI)
        syscall("bpf", _BPF_PROG_ATTACH, attributes, len(attributes), about=str(directory))
    finally:
        os.close(group)
        os.close(loaded)
