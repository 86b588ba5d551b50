"""What a DELETE means, decided without touching anything: refuse, leave as it is, mark, or remove.

`transaction.Transaction.delete` observes and applies. Rules as in Kubernetes: a pod bound to a node gets its grace
period and is removed by its node; finalizers hold everything; `Foreground` waits for the children, `Orphan` lets
them go.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from nodeworker.wire.time import format_time, parse_time

Propagation = Literal["Background", "Foreground", "Orphan"]
Json = dict[str, Any]
FOREGROUND = "foregroundDeletion"
KEPT_NAMESPACES = ("default", "kube-system", "kube-public")


@dataclass(frozen=True, slots=True)
class Remove:
    """The object goes at once."""


@dataclass(frozen=True, slots=True)
class Keep:
    """It is on its way out already; nothing changes."""


@dataclass(frozen=True, slots=True)
class Mark:
    """It stays, with a deletion time, until its node or its finalizers let it go."""

    object: Json


Decision = Remove | Keep | Mark


def decide(
    kind: str, stored: Json, *, grace: int | None, propagation: Propagation, children: bool, now: datetime
) -> Decision:
    """Decide a DELETE of `stored`; the object of a `Mark` is a new one."""
    metadata = stored["metadata"]
    seconds = grace_period(kind, stored, grace)
    finalizers = list(metadata.get("finalizers") or ())
    if propagation == "Foreground" and children and FOREGROUND not in finalizers:
        finalizers.append(FOREGROUND)
    held = bool(finalizers) or (kind == "Namespace" and bool((stored.get("spec") or {}).get("finalizers")))
    if seconds == 0 and not held:
        return Remove()
    if "deletionTimestamp" in metadata and not _sooner(metadata, seconds, finalizers):
        return Keep()
    return Mark(_marked(kind, stored, seconds, finalizers, now))


def grace_period(kind: str, stored: Json, asked: int | None) -> int:
    """Return the seconds that the object has: only pods on a node that have not ended get any."""
    spec, status = stored.get("spec") or {}, stored.get("status") or {}
    if kind != "Pod" or not spec.get("nodeName") or status.get("phase") in ("Succeeded", "Failed"):
        return 0
    seconds = spec.get("terminationGracePeriodSeconds", 30) if asked is None else asked
    return 1 if seconds < 0 else int(seconds)


def _sooner(metadata: Json, seconds: int, finalizers: list[str]) -> bool:
    before = metadata.get("deletionGracePeriodSeconds") or 0
    return seconds < before or len(finalizers) > len(metadata.get("finalizers") or ())


def _marked(kind: str, stored: Json, seconds: int, finalizers: list[str], now: datetime) -> Json:
    metadata = dict(stored["metadata"])
    begun = _begun(metadata, now)
    metadata["deletionTimestamp"] = format_time(begun + timedelta(seconds=seconds))
    metadata["deletionGracePeriodSeconds"] = seconds
    if finalizers:
        metadata["finalizers"] = finalizers
    if metadata.get("generation"):
        metadata["generation"] += 1
    marked = {**stored, "metadata": metadata}
    if kind == "Pod":
        marked["status"] = not_ready(stored.get("status") or {}, now)
    if kind == "Namespace":
        marked["status"] = {**(stored.get("status") or {}), "phase": "Terminating"}
    return marked


def _begun(metadata: Json, now: datetime) -> datetime:
    """When the deletion was first asked for: a shorter grace period counts from there."""
    if "deletionTimestamp" not in metadata:
        return now
    return parse_time(metadata["deletionTimestamp"]) - timedelta(
        seconds=metadata.get("deletionGracePeriodSeconds") or 0
    )


def not_ready(status: Json, now: datetime) -> Json:
    """Return a pod's status with Ready=False, so that Services leave it before SIGTERM is sent."""
    conditions = [_not_ready_condition(condition, now) for condition in status.get("conditions") or ()]
    return {**status, "conditions": conditions} if conditions else status


def _not_ready_condition(condition: Json, now: datetime) -> Json:
    if condition.get("type") != "Ready" or condition.get("status") != "True":
        return condition
    changed = {"status": "False", "reason": "Terminating", "lastTransitionTime": format_time(now)}
    return {**condition, **changed, "message": "the pod is being deleted"}


def released(kind: str, changed: Json) -> bool:
    """Say whether an object that is being deleted has lost its last hold by this update, so that it goes."""
    metadata = changed["metadata"]
    if "deletionTimestamp" not in metadata or metadata.get("finalizers"):
        return False
    if kind == "Namespace":
        return not (changed.get("spec") or {}).get("finalizers")
    return not metadata.get("deletionGracePeriodSeconds")
