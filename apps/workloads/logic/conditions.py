"""Conditions of an object's status, with Kubernetes' rule for the time of the last transition."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from nodeworker.wire.time import format_time

Condition = dict[str, Any]


def find(conditions: Iterable[Mapping[str, Any]], type: str) -> Condition | None:
    """Return the condition of this type, or None."""
    return next((dict(c) for c in conditions if c.get("type") == type), None)


def without(conditions: Iterable[Mapping[str, Any]], type: str) -> list[Condition]:
    """Return the conditions but for the one of this type."""
    return [dict(c) for c in conditions if c.get("type") != type]


def condition(type: str, status: str, reason: str, message: str, now: datetime, *, updates: bool = False) -> Condition:
    """Return a condition; `updates` adds the lastUpdateTime that conditions of Deployments have."""
    made = {
        "type": type,
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": format_time(now),
    }
    if updates:
        made["lastUpdateTime"] = format_time(now)
    return made


def with_condition(conditions: Iterable[Mapping[str, Any]], new: Condition) -> list[Condition]:
    """Return the conditions with `new` set: unchanged if status and reason are the same, else replaced in its place."""
    before = [dict(c) for c in conditions]
    current = find(before, new["type"])
    if current is None:
        return [*before, new]
    if (current["status"], current.get("reason")) == (new["status"], new["reason"]):
        return before
    if current["status"] == new["status"] and current.get("lastTransitionTime"):
        new = {**new, "lastTransitionTime": current["lastTransitionTime"]}
    return [new if c["type"] == new["type"] else c for c in before]
