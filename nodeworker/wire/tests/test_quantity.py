"""Quantities are read, rounded and written as Kubernetes does."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodeworker.wire.quantity import (
    QuantityError,
    canonical_quantity,
    cpu_millis,
    format_quantity,
    memory_bytes,
    parse_quantity,
)

SUFFIXES = st.sampled_from(["", "n", "u", "m", "k", "M", "G", "T", "Ki", "Mi", "Gi", "Ti", "e3", "E-2"])


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("0.5", "500m"),
        ("1000m", "1"),
        ("1024Mi", "1Gi"),
        ("1536Ki", "1536Ki"),
        ("1.5Gi", "1536Mi"),
        ("0.1Ki", "102400m"),
        ("1000", "1k"),
        ("1e3", "1e3"),
        ("1E", "1E"),
        ("0Mi", "0"),
        ("-5", "-5"),
        (".5", "500m"),
        ("+1", "1"),
        ("128974848", "128974848"),
        ("129e6", "129e6"),
        ("0.1n", "1n"),
    ],
)
def test_a_quantity_is_given_back_in_canonical_form(text: str, canonical: str) -> None:
    assert canonical_quantity(text) == canonical


@pytest.mark.parametrize(
    "text", ["", "abc", "1.2.3", "1KiB", "1 Gi", "--1", "0x10", "1mm", "1i", "e3", "1e9999", "9" * 65, "１"]
)
def test_what_is_no_quantity_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(QuantityError, match="quantit"):
        parse_quantity(text)


def test_cpu_and_memory_are_rounded_up() -> None:
    assert (cpu_millis("0.0001"), cpu_millis("2"), memory_bytes("1.5"), memory_bytes("128Mi")) == (1, 2000, 2, 2**27)


def test_a_number_too_large_is_capped_as_kubernetes_does() -> None:
    assert parse_quantity("100E") == Decimal(2**63 - 1)


@given(st.integers(-(10**9), 10**9), SUFFIXES)
def test_the_canonical_form_means_the_same_and_is_stable(number: int, suffix: str) -> None:
    text = f"{number}{suffix}"
    canonical = canonical_quantity(text)
    assert parse_quantity(canonical) == parse_quantity(text)
    assert canonical_quantity(canonical) == canonical


@given(st.integers(0, 2**62), st.sampled_from(["decimal", "binary"]))
def test_what_is_formatted_is_parsed_back(number: int, notation: str) -> None:
    assert parse_quantity(format_quantity(number, notation)) == number  # type: ignore[arg-type]
