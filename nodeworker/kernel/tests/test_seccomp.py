"""The seccomp compiler, run on an interpreter of classic BPF written for these tests, and the tables of numbers."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodeworker.kernel.seccomp import compile_profile
from nodeworker.kernel.syscall_numbers import numbers

X86_64, I386, AARCH64 = 0xC000003E, 0x40000003, 0xC00000B7
ALLOW, EPERM, ENOSYS, KILL = 0x7FFF0000, 0x00050001, 0x00050026, 0x80000000
WORD = 2**64 - 1


def run(program: bytes, number: int, *arguments: int, architecture: int = X86_64) -> int:
    """What the kernel would answer."""
    values = [*arguments, 0, 0, 0, 0, 0, 0][:6]
    data = struct.pack("=IIQ6Q", number, architecture, 0, *values)
    accumulator, position = 0, 0
    while True:
        code, on_true, on_false, value = struct.unpack_from("=HBBI", program, position * 8)
        position += 1
        if code == 0x20:
            accumulator = struct.unpack_from("=I", data, value)[0]
        elif code == 0x54:
            accumulator &= value
        elif code == 0x05:
            position += value
        elif code == 0x06:
            return int(value)
        else:
            holds = {0x15: accumulator == value, 0x25: accumulator > value, 0x35: accumulator >= value}[code]
            position += on_true if holds else on_false


def profile(*rules: dict[str, Any]) -> bytes:
    return compile_profile({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": list(rules)}, "x86_64")


@pytest.mark.parametrize("architecture", ["x86_64", "i386", "aarch64"])
def test_every_named_call_is_allowed_and_no_other(architecture: str) -> None:
    table = numbers(architecture)
    named = sorted(table)[::3]
    machine = "aarch64" if architecture == "aarch64" else "x86_64"
    audit = {"x86_64": X86_64, "i386": I386, "aarch64": AARCH64}[architecture]
    rules = [{"names": named, "action": "SCMP_ACT_ALLOW"}]
    program = compile_profile({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": rules}, machine)
    allowed = {table[name] for name in named}
    for number in range(600):
        assert run(program, number, architecture=audit) == (ALLOW if number in allowed else EPERM)


OPERATORS = {
    "SCMP_CMP_EQ": lambda argument, value: argument == value,
    "SCMP_CMP_NE": lambda argument, value: argument != value,
    "SCMP_CMP_LT": lambda argument, value: argument < value,
    "SCMP_CMP_LE": lambda argument, value: argument <= value,
    "SCMP_CMP_GT": lambda argument, value: argument > value,
    "SCMP_CMP_GE": lambda argument, value: argument >= value,
}
# Values near each other and near the border of the two halves, where a mistake would show.
VALUES = st.one_of(
    st.integers(0, WORD), st.integers(0, 3), st.integers(2**32 - 2, 2**32 + 2), st.sampled_from([WORD, 2**63, 1 << 33])
)


@given(st.sampled_from(sorted(OPERATORS)), VALUES, VALUES, st.integers(0, 5))
def test_comparisons_are_of_64_bits(operator: str, argument: int, value: int, index: int) -> None:
    rule = {"names": ["read"], "action": "SCMP_ACT_ALLOW", "args": [{"index": index, "value": value, "op": operator}]}
    arguments = [0] * 6
    arguments[index] = argument
    expected = ALLOW if OPERATORS[operator](argument, value) else EPERM
    assert run(profile(rule), numbers("x86_64")["read"], *arguments) == expected


@given(VALUES, VALUES, VALUES)
def test_masked_comparison(argument: int, mask: int, value: int) -> None:
    test = {"index": 0, "value": mask, "valueTwo": value, "op": "SCMP_CMP_MASKED_EQ"}
    program = profile({"names": ["clone"], "action": "SCMP_ACT_ALLOW", "args": [test]})
    expected = ALLOW if argument & mask == value else EPERM
    assert run(program, numbers("x86_64")["clone"], argument) == expected


@given(VALUES, VALUES)
def test_all_tests_of_a_rule_must_hold(first: int, second: int) -> None:
    tests = [{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}, {"index": 1, "value": 2, "op": "SCMP_CMP_GE"}]
    program = profile({"names": ["socket"], "action": "SCMP_ACT_ALLOW", "args": tests})
    expected = ALLOW if first == 1 and second >= 2 else EPERM
    assert run(program, numbers("x86_64")["socket"], first, second) == expected


def test_x32_and_foreign_architectures_are_refused() -> None:
    program = profile({"names": ["read"], "action": "SCMP_ACT_ALLOW"})
    assert run(program, 0x40000000) == ENOSYS
    assert run(program, 0, architecture=AARCH64) == KILL


def test_the_tables_are_those_of_libseccomp() -> None:
    oracle = pytest.importorskip("pyseccomp")
    for architecture, arch in (("x86_64", oracle.Arch.X86_64), ("i386", oracle.Arch.X86)):
        for name, number in numbers(architecture).items():
            try:
                known = oracle.resolve_syscall(arch, name)
            except ValueError:
                continue
            assert known < 0 or known == number
