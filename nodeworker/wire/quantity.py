"""Kubernetes' quantities ("500m", "128Mi", "1e3"): parsed, compared and written in the canonical form.

Called by the schema of apps.kinds (every quantity is stored canonically), the scheduler (what is asked and free) and
the node (cgroup limits).
"""

import re
from decimal import ROUND_CEILING, Decimal, localcontext
from functools import lru_cache
from typing import Literal

Notation = Literal["decimal", "binary", "exponent"]

PATTERN = "^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$"
_NUMBER = re.compile(r"([+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+))([a-zA-Z]{0,2}|[eE][+-]?[0-9]{1,3})")
_BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_DECIMAL_SUFFIX = {exponent: suffix for suffix, exponent in _DECIMAL.items()}
_BINARY_SUFFIX = {power: suffix for suffix, power in _BINARY.items()}
_NANO = Decimal("1e-9")
_LARGEST = Decimal(2**63 - 1)  # Kubernetes caps larger numbers instead of refusing them; so do we
_LONGEST = 64


class QuantityError(ValueError):
    """The text is no quantity; the message says what one looks like."""


def parse_quantity(text: str) -> Decimal:
    """Return the value of `text`, rounded up to a billionth as Kubernetes does."""
    return _parse(text)[0]


def cpu_millis(text: str) -> int:
    """Return a CPU quantity in thousandths of a core, rounded up."""
    return int((parse_quantity(text) * 1000).to_integral_value(ROUND_CEILING))


def memory_bytes(text: str) -> int:
    """Return a memory or storage quantity in bytes, rounded up."""
    return int(parse_quantity(text).to_integral_value(ROUND_CEILING))


@lru_cache(maxsize=4096)
def canonical_quantity(text: str) -> str:
    """Return `text` as the Kubernetes API would give it back: "0.5" is "500m", "1024Mi" is "1Gi"."""
    value, notation = _parse(text)
    return format_quantity(value, notation)


def format_quantity(value: Decimal | int, notation: Notation = "decimal") -> str:
    """Write `value` with the largest suffix that keeps it exact."""
    number = Decimal(value)
    if number == 0:
        return "0"
    whole = number == number.to_integral_value()
    if notation == "binary" and whole and abs(number) >= 1024:
        return _format_binary(int(number))
    return _format_decimal(number, "exponent" if notation == "exponent" else "decimal")


def _format_binary(number: int) -> str:
    power = 0
    while number % 1024 == 0 and power < 6:
        number //= 1024
        power += 1
    return f"{number}{_BINARY_SUFFIX[power]}" if power else str(number)


def _format_decimal(number: Decimal, notation: Notation) -> str:
    with localcontext() as context:
        context.prec = 60
        exponent = -9
        mantissa = int((number / _NANO).to_integral_value(ROUND_CEILING))
    while mantissa % 1000 == 0 and exponent < 18:
        mantissa //= 1000
        exponent += 3
    if notation == "exponent":
        return f"{mantissa}e{exponent}" if exponent else str(mantissa)
    return f"{mantissa}{_DECIMAL_SUFFIX[exponent]}"


@lru_cache(maxsize=4096)
def _parse(text: str) -> tuple[Decimal, Notation]:
    match = _NUMBER.fullmatch(text) if len(text) <= _LONGEST else None
    if match is None:
        raise QuantityError(f"quantities must match the regular expression '{PATTERN}'")
    number, suffix = match.groups()
    with localcontext() as context:
        context.prec = 100
        if suffix in _DECIMAL:
            value, notation = Decimal(number).scaleb(_DECIMAL[suffix]), _as_notation("decimal")
        elif suffix in _BINARY:
            value, notation = Decimal(number) * 1024 ** _BINARY[suffix], _as_notation("binary")
        elif len(suffix) > 1 and suffix[0] in "eE" and suffix[-1].isdigit():
            value, notation = Decimal(number).scaleb(int(suffix[1:])), _as_notation("exponent")
        else:
            raise QuantityError(
                f"unable to parse quantity's suffix {suffix!r}: write a plain number or one of "
                "n, u, m, k, M, G, T, P, E, Ki, Mi, Gi, Ti, Pi, Ei (as in 500m or 128Mi)"
            )
        capped = max(-_LARGEST, min(_LARGEST, value))
        return capped.quantize(_NANO, ROUND_CEILING).normalize() + 0, notation


def _as_notation(notation: Notation) -> Notation:
    return notation
