"""Selectors and pages as SQL conditions on the indexes; pure. Used by `read`."""

import base64
from typing import Any

import msgspec

from apps.kinds.status import BadRequest
from nodeworker.wire.selectors import FieldSelector, Requirement, Selector

Condition = tuple[str, list[Any]]
_HAS = (
    "o.id {negation}IN (SELECT l.object_id FROM store_label l"
    " WHERE l.kind = %s AND l.field = %s AND l.key = %s{values})"
)
_COLUMNS = {"metadata.name": "o.name", "metadata.namespace": "o.namespace"}


def conditions(kind: str, namespace: str | None, labels: Selector | None, fields: FieldSelector | None) -> Condition:
    """Return the WHERE clause for the objects of a kind that the selectors choose."""
    parts: list[Condition] = [("o.kind = %s", [kind])]
    if namespace:
        parts.append(("o.namespace = %s", [namespace]))
    if labels is not None:
        if labels.nothing:
            parts.append(("1 = 0", []))
        parts.extend(_label(kind, requirement) for requirement in labels.requirements)
    if fields is not None:
        parts.extend(_field(kind, wanted.field, wanted.value, wanted.equal) for wanted in fields.requirements)
    return " AND ".join(text for text, _ in parts), [value for _, values in parts for value in values]


def _label(kind: str, requirement: Requirement) -> Condition:
    key, values = requirement.key, list(requirement.values)
    match requirement.operator:
        case "In":
            return _has(kind, False, key, values)
        case "NotIn":
            return _has(kind, False, key, values, negation="NOT ")
        case "Exists":
            return _has(kind, False, key, None)
        case "DoesNotExist":
            return _has(kind, False, key, None, negation="NOT ")
    # Gt and Lt compare numbers, which the index cannot: `read` matches these again on the rows found.
    return _has(kind, False, key, None)


def needs_match(labels: Selector | None) -> bool:
    """Say whether rows must be matched again because SQL could only narrow them down."""
    return labels is not None and any(requirement.operator in ("Gt", "Lt") for requirement in labels.requirements)


def _field(kind: str, field: str, value: str, equal: bool) -> Condition:
    if field in _COLUMNS:
        return f"{_COLUMNS[field]} {'=' if equal else '<>'} %s", [value]
    if value:
        return _has(kind, True, field, [value], negation="" if equal else "NOT ")
    # Empty fields have no row: an equal one is a missing one.
    return _has(kind, True, field, None, negation="NOT " if equal else "")


def _has(kind: str, field: bool, key: str, values: list[str] | None, negation: str = "") -> Condition:
    within = "" if values is None else f" AND l.value IN ({', '.join(['%s'] * len(values))})"
    return _HAS.format(negation=negation, values=within), [kind, field, key, *(values or ())]


class _Token(msgspec.Struct, array_like=True):
    revision: int
    namespace: str
    name: str


def write_token(revision: int, namespace: str, name: str) -> str:
    """Make the `continue` token of a page that ended with this object."""
    return base64.urlsafe_b64encode(msgspec.json.encode(_Token(revision, namespace, name))).decode().rstrip("=")


def read_token(text: str) -> tuple[int, str, str]:
    """Read a `continue` token: the listing's revision and the last key."""
    try:
        token = msgspec.json.decode(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), type=_Token)
    except (ValueError, msgspec.DecodeError):
        raise BadRequest("continue key is not valid: use the value that the last page gave, unchanged") from None
    return token.revision, token.namespace, token.name
