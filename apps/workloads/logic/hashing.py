"""Short, stable names from content: the pod-template-hash of replica sets and the suffix of endpoint slices' names."""

from collections.abc import Mapping
from typing import Any

import msgspec

# Kubernetes' alphabet: no vowels and no look-alikes, so that a hash never spells a word.
ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
FNV_OFFSET = 2166136261
FNV_PRIME = 16777619
_ENCODER = msgspec.json.Encoder(order="deterministic")


def fnv32a(data: bytes) -> int:
    """Return the 32-bit FNV-1a hash of `data`."""
    value = FNV_OFFSET
    for byte in data:
        value = ((value ^ byte) * FNV_PRIME) & 0xFFFFFFFF
    return value


def short_hash(value: object) -> str:
    """Return a hash of `value` that is the same whatever the order of its keys."""
    return "".join(ALPHABET[ord(digit) % len(ALPHABET)] for digit in str(fnv32a(_ENCODER.encode(value))))


def template_hash(template: Mapping[str, Any], collisions: int = 0) -> str:
    """Return the pod-template-hash of a deployment's template; `collisions` gives another name to the same template."""
    return short_hash([template, collisions] if collisions else [template])
