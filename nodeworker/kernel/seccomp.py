"""Seccomp: a compiler from the `linux.seccomp` of an OCI config.json to a classic BPF program, and its installation.

The program first tells the architectures apart, then finds the system call in a balanced tree of ranges (0.1 ms to
install and about nine comparisons a call; a list of 350 comparisons costs three times that). Arguments are 64 bits
wide and are compared in two halves.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nodeworker.kernel.calls import syscall
from nodeworker.kernel.syscall_numbers import NATIVE, numbers

_LOAD, _AND, _JUMP, _EQUAL, _GREATER, _GREATER_EQUAL, _RETURN = 0x20, 0x54, 0x05, 0x15, 0x25, 0x35, 0x06
_NUMBER_OFFSET, _ARCHITECTURE_OFFSET, _ARGUMENTS_OFFSET = 0, 4, 16
_ALLOW, _ERRNO, _LOG, _KILL_PROCESS, _KILL_THREAD, _TRAP = (
    0x7FFF0000, 0x00050000, 0x7FFC0000, 0x80000000, 0x00000000, 0x00030000,
)  # fmt: skip
_ACTIONS = {
    "SCMP_ACT_ALLOW": _ALLOW,
    "SCMP_ACT_LOG": _LOG,
    "SCMP_ACT_KILL": _KILL_THREAD,
    "SCMP_ACT_KILL_THREAD": _KILL_THREAD,
    "SCMP_ACT_KILL_PROCESS": _KILL_PROCESS,
    "SCMP_ACT_TRAP": _TRAP,
}
_X32_BIT = 0x40000000
_EPERM, _ENOSYS = 1, 38

# (name in OCI, AUDIT_ARCH number, our table of numbers)
_ARCHITECTURES = {
    "x86_64": [("SCMP_ARCH_X86_64", 0xC000003E, "x86_64"), ("SCMP_ARCH_X86", 0x40000003, "i386")],
    "aarch64": [("SCMP_ARCH_AARCH64", 0xC00000B7, "aarch64")],
}


@dataclass(frozen=True, slots=True)
class _Test:
    """One comparison of an argument."""

    index: int
    value: int
    second: int
    operator: str


@dataclass(frozen=True, slots=True)
class _Case:
    """An action that holds when every test does; without tests always."""

    tests: tuple[_Test, ...]
    action: int


_Rule = tuple[_Case, ...]
_Instruction = tuple[int, int, int, int]


def _return(action: int) -> _Instruction:
    return (_RETURN, 0, 0, action)


def action_value(name: str, error: int | None) -> int:
    """The filter's return value for an action's OCI name."""
    if name == "SCMP_ACT_ERRNO":
        return _ERRNO | (_EPERM if error is None else error)
    return _ACTIONS[name]


def _rules(profile: Mapping[str, Any], table: Mapping[str, int]) -> dict[int, _Rule]:
    """System call number -> its cases, the first that holds decides. Unknown names are of other architectures."""
    found: dict[int, list[_Case]] = {}
    for entry in profile.get("syscalls", []):
        action = action_value(entry["action"], entry.get("errnoRet"))
        tests = tuple(
            _Test(test["index"], test["value"], test.get("valueTwo", 0), test["op"]) for test in entry.get("args") or []
        )
        for name in entry["names"]:
            if name in table:
                found.setdefault(table[name], []).append(_Case(tests, action))
    return {number: tuple(cases) for number, cases in found.items()}


def _compare(test: _Test, failed: int) -> list[_Instruction]:
    """Instructions that fall through when the test holds and jump `failed` instructions beyond their end when not."""
    low_offset = _ARGUMENTS_OFFSET + 8 * test.index
    value = test.second if test.operator == "SCMP_CMP_MASKED_EQ" else test.value
    low, high = value & 0xFFFFFFFF, value >> 32
    load_high: _Instruction = (_LOAD, 0, 0, low_offset + 4)
    load_low: _Instruction = (_LOAD, 0, 0, low_offset)
    if test.operator == "SCMP_CMP_EQ":
        return [load_high, (_EQUAL, 0, failed + 2, high), load_low, (_EQUAL, 0, failed, low)]
    if test.operator == "SCMP_CMP_NE":
        return [load_high, (_EQUAL, 0, 2, high), load_low, (_EQUAL, failed, 0, low)]
    if test.operator == "SCMP_CMP_MASKED_EQ":
        mask_low, mask_high = test.value & 0xFFFFFFFF, test.value >> 32
        return [
            load_high, (_AND, 0, 0, mask_high), (_EQUAL, 0, failed + 3, high),
            load_low, (_AND, 0, 0, mask_low), (_EQUAL, 0, failed, low),
        ]  # fmt: skip
    code = {
        "SCMP_CMP_GT": _GREATER,
        "SCMP_CMP_LE": _GREATER,
        "SCMP_CMP_GE": _GREATER_EQUAL,
        "SCMP_CMP_LT": _GREATER_EQUAL,
    }
    jump = code[test.operator]
    holds_when_true = test.operator in ("SCMP_CMP_GT", "SCMP_CMP_GE")
    if holds_when_true:
        return [
            load_high, (_GREATER, 3, 0, high), (_EQUAL, 0, failed + 2, high), load_low, (jump, 0, failed, low),
        ]  # fmt: skip
    return [
        load_high, (_GREATER, failed + 3, 0, high), (_EQUAL, 0, 2, high), load_low, (jump, failed, 0, low),
    ]  # fmt: skip


def _body(rule: _Rule, default: int) -> list[_Instruction]:
    """The code of one system call: its cases in turn, then the default."""
    code: list[_Instruction] = []
    for case in rule:
        tests: list[_Instruction] = []
        # Built from the last to the first, so that the distance to the end of the case is known.
        after = 1
        for test in reversed(case.tests):
            part = _compare(test, after)
            tests = part + tests
            after += len(part)
        code += [*tests, _return(case.action)]
        if not case.tests:
            return code
    return [*code, _return(default)]


def _ranges(rules: Mapping[int, _Rule], default: int) -> list[tuple[int, _Rule]]:
    """(first number, rule) of each run of numbers that are treated alike, from 0 up."""
    fallback: _Rule = (_Case((), default),)
    runs: list[tuple[int, _Rule]] = [(0, rules.get(0, fallback))]
    for number in range(1, max(rules, default=0) + 2):
        rule = rules.get(number, fallback)
        if rule != runs[-1][1]:
            runs.append((number, rule))
    return runs


def _tree(runs: Sequence[tuple[int, _Rule]], default: int) -> list[_Instruction]:
    """A binary search over the runs; the number is in the accumulator."""
    if len(runs) == 1:
        return _body(runs[0][1], default)
    middle = len(runs) // 2
    lower, upper = _tree(runs[:middle], default), _tree(runs[middle:], default)
    if len(lower) < 256:
        return [(_GREATER_EQUAL, len(lower), 0, runs[middle][0]), *lower, *upper]
    # A conditional jump reaches 255 instructions; an unconditional one any distance.
    return [(_GREATER_EQUAL, 0, 1, runs[middle][0]), (_JUMP, 0, 0, len(lower)), *lower, *upper]


def compile_profile(profile: Mapping[str, Any], machine: str = NATIVE) -> bytes:
    """The filter program of an OCI seccomp profile, as the kernel takes it."""
    default = action_value(profile["defaultAction"], profile.get("defaultErrnoRet"))
    asked = profile.get("architectures") or [name for name, _audit, _table in _ARCHITECTURES[machine]]
    code: list[_Instruction] = [(_LOAD, 0, 0, _ARCHITECTURE_OFFSET)]
    for name, audit, table in _ARCHITECTURES[machine]:
        if name not in asked:
            continue
        tree = _tree(_ranges(_rules(profile, numbers(table)), default), default)
        block: list[_Instruction] = [(_LOAD, 0, 0, _NUMBER_OFFSET)]
        if table == "x86_64":
            # The x32 interface shares the architecture's number and would need a table of its own.
            block += [(_GREATER_EQUAL, 0, 1, _X32_BIT), _return(_ERRNO | _ENOSYS)]
        block += tree
        code += [(_EQUAL, 1, 0, audit), (_JUMP, 0, 0, len(block)), *block]
    code.append(_return(_KILL_PROCESS))
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in code)


def install(program: bytes) -> None:
    """seccomp(2): filter this process from now on. Needs no_new_privs or CAP_SYS_ADMIN."""
    code = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("HxxxxxxQ", len(program) // 8, ctypes.addressof(code))
    syscall("seccomp", 1, 0, header, about="SECCOMP_SET_MODE_FILTER")
