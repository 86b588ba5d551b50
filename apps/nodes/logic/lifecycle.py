"""The life of a node as the control plane sees it: alive, silent, cordoned; what that does to its taints and pods.

Called by `controllers.py`; pure. Times and reasons are Kubernetes': a Lease older than 40 s makes Ready unknown, a pod
leaves after its toleration of the NoExecute taint (300 s unless it says otherwise), nobody leaves while 55 % of the
nodes are silent, because then it is the network and not the nodes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from nodeworker.wire.time import format_time, parse_time

GRACE = timedelta(seconds=40)
DEFAULT_TOLERATION_SECONDS = 300
MASS_LOSS = 0.55
NOT_READY = "node.kubernetes.io/not-ready"
UNREACHABLE = "node.kubernetes.io/unreachable"
UNSCHEDULABLE = "node.kubernetes.io/unschedulable"
MANAGED = (NOT_READY, UNREACHABLE, UNSCHEDULABLE)
PRESSURES = {
    "MemoryPressure": "node.kubernetes.io/memory-pressure",
    "DiskPressure": "node.kubernetes.io/disk-pressure",
    "PIDPressure": "node.kubernetes.io/pid-pressure",
}
CONDITIONS = ("Ready", *PRESSURES)
SILENT = "NodeStatusUnknown"


@dataclass(frozen=True)
class SetConditions:
    conditions: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True)
class SetTaints:
    taints: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True)
class MarkPodsNotReady:
    """Nobody knows whether these pods answer any more."""

    pods: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Evict:
    namespace: str
    name: str
    uid: str
    taint: str


Action = SetConditions | SetTaints | MarkPodsNotReady | Evict


@dataclass(frozen=True)
class Plan:
    actions: tuple[Action, ...] = ()
    look_at: datetime | None = None


def decide(
    node: Mapping[str, Any],
    renewed: datetime | None,
    pods: Sequence[Mapping[str, Any]],
    now: datetime,
    lost_fraction: float = 0.0,
) -> Plan:
    """Return what to do about a node whose lease was `renewed` last then; `lost_fraction` is that of all nodes."""
    actions: list[Action] = []
    silent_from = last_sign(node, renewed) + GRACE
    silent = silent_from <= now
    conditions = list((node.get("status") or {}).get("conditions") or ())
    if silent:
        told = unknown_conditions(conditions, now)
        if told != conditions:
            actions.append(SetConditions(tuple(told)))
            conditions = told
        wrong = tuple(_key(pod) for pod in pods if shows_ready(pod))
        if wrong:
            actions.append(MarkPodsNotReady(wrong))
    elif any(c.get("reason") == SILENT for c in conditions):
        conditions = heard_again(conditions, now)
        actions.append(SetConditions(tuple(conditions)))
    before = list((node.get("spec") or {}).get("taints") or ())
    taints = taints_of(node, conditions, now)
    if taints != before:
        actions.append(SetTaints(tuple(taints)))
    looks = [] if silent else [silent_from]
    evictions, next_look = evict(pods, taints, now, held=lost_fraction >= MASS_LOSS)
    actions += evictions
    if next_look:
        looks.append(next_look)
    return Plan(tuple(actions), min(looks, default=None))


def last_sign(node: Mapping[str, Any], renewed: datetime | None) -> datetime:
    """Return when the node was last heard of: its lease, or the heartbeat in its status, or its registration."""
    signs = [parse_time(node["metadata"]["creationTimestamp"])]
    for condition in (node.get("status") or {}).get("conditions") or ():
        if condition.get("type") == "Ready" and condition.get("lastHeartbeatTime"):
            signs.append(parse_time(condition["lastHeartbeatTime"]))
    if renewed:
        signs.append(renewed)
    return max(signs)


def unknown_conditions(conditions: Sequence[Mapping[str, Any]], now: datetime) -> list[Mapping[str, Any]]:
    """Return the conditions of a node that says nothing any more."""
    by_type = {c["type"]: c for c in conditions}
    told = list(conditions)
    for type in CONDITIONS:
        present = by_type.get(type)
        if present is not None and present.get("status") == "Unknown":
            continue
        if present is None and type != "Ready":
            continue
        unknown = {
            **(present or {}),
            "type": type,
            "status": "Unknown",
            "reason": SILENT if present else "NodeStatusNeverUpdated",
            "message": "Kubelet stopped posting node status." if present else "Kubelet never posted node status.",
            "lastTransitionTime": format_time(now),
        }
        told = [unknown if c["type"] == type else c for c in told] if present else [*told, unknown]
    return told


def heard_again(conditions: Sequence[Mapping[str, Any]], now: datetime) -> list[Mapping[str, Any]]:
    """Return the conditions of a node whose lease is renewed again: those that we made unknown are as they were.

    The node writes its status only when something of its own changed, so it would not take them back by itself.
    """
    return [
        {
            **c,
            "status": "True" if c["type"] == "Ready" else "False",
            "reason": "KubeletReady" if c["type"] == "Ready" else "KubeletHasNoPressure",
            "message": "the node's lease is renewed again",
            "lastTransitionTime": format_time(now),
        }
        if c.get("reason") == SILENT
        else c
        for c in conditions
    ]


def taints_of(
    node: Mapping[str, Any], conditions: Sequence[Mapping[str, Any]], now: datetime
) -> list[Mapping[str, Any]]:
    """Return the taints that the node should have: the user's own, and those that follow from its conditions."""
    spec = node.get("spec") or {}
    before = list(spec.get("taints") or ())
    ready = next((c.get("status") for c in conditions if c.get("type") == "Ready"), None)
    wanted: list[tuple[str, str]] = []
    if ready == "Unknown":
        wanted += [(UNREACHABLE, "NoSchedule"), (UNREACHABLE, "NoExecute")]
    elif ready != "True":
        wanted += [(NOT_READY, "NoSchedule"), (NOT_READY, "NoExecute")]
    if spec.get("unschedulable"):
        wanted.append((UNSCHEDULABLE, "NoSchedule"))
    statuses = {c.get("type"): c.get("status") for c in conditions}
    wanted += [(taint, "NoSchedule") for type, taint in PRESSURES.items() if statuses.get(type) == "True"]
    managed = {*MANAGED, *PRESSURES.values()}
    kept = [t for t in before if t["key"] not in managed or (t["key"], t["effect"]) in wanted]
    present = {(t["key"], t["effect"]) for t in kept}
    return kept + [_taint(key, effect, now) for key, effect in wanted if (key, effect) not in present]


def evict(
    pods: Sequence[Mapping[str, Any]], taints: Sequence[Mapping[str, Any]], now: datetime, *, held: bool
) -> tuple[list[Action], datetime | None]:
    """Return the evictions that are due, and when the next one will be."""
    actions: list[Action] = []
    next_look: datetime | None = None
    executing = [t for t in taints if t.get("effect") == "NoExecute"]
    for pod in pods:
        if not executing or pod["metadata"].get("deletionTimestamp"):
            continue
        due, taint = min(((leaves_at(pod, t, now), t["key"]) for t in executing), key=_due)
        if due is None:
            continue
        if due > now:
            next_look = min(next_look or due, due)
        elif held and taint in (NOT_READY, UNREACHABLE):
            next_look = min(next_look or now + GRACE, now + GRACE)
        else:
            namespace, name = _key(pod)
            actions.append(Evict(namespace, name, pod["metadata"]["uid"], taint))
    return actions, next_look


def leaves_at(pod: Mapping[str, Any], taint: Mapping[str, Any], now: datetime) -> datetime | None:
    """Return when the taint drives the pod away; None if never."""
    since = parse_time(taint["timeAdded"]) if taint.get("timeAdded") else now
    tolerations = [t for t in (pod.get("spec") or {}).get("tolerations") or () if _tolerates(t, taint)]
    if not tolerations:
        waits = DEFAULT_TOLERATION_SECONDS if taint["key"] in (NOT_READY, UNREACHABLE) else 0
        return since + timedelta(seconds=waits)
    seconds = [t["tolerationSeconds"] for t in tolerations if t.get("tolerationSeconds") is not None]
    return since + timedelta(seconds=max(0, min(seconds))) if seconds else None


def shows_ready(pod: Mapping[str, Any]) -> bool:
    """Whether the pod's status says Ready=True."""
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(c.get("type") == "Ready" and c.get("status") == "True" for c in conditions)


def is_ready(node: Mapping[str, Any]) -> bool:
    """Whether the node's condition Ready is True."""
    return shows_ready(node)


def not_ready_status(status: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """Return a pod's status with Ready=False, because its node is silent."""
    conditions = [
        {**c, "status": "False", "reason": "NodeNotReady", "lastTransitionTime": format_time(now)}
        if c.get("type") == "Ready"
        else c
        for c in status.get("conditions") or ()
    ]
    return {**status, "conditions": conditions}


def _due(entry: tuple[datetime | None, str]) -> tuple[bool, float]:
    return entry[0] is None, entry[0].timestamp() if entry[0] else 0.0


def _tolerates(toleration: Mapping[str, Any], taint: Mapping[str, Any]) -> bool:
    if toleration.get("effect") and toleration["effect"] != taint["effect"]:
        return False
    if toleration.get("key") and toleration["key"] != taint["key"]:
        return False
    exists = toleration.get("operator") == "Exists"
    return exists or (toleration.get("value") or "") == (taint.get("value") or "")


def _taint(key: str, effect: str, now: datetime) -> dict[str, Any]:
    return {"key": key, "effect": effect, "timeAdded": format_time(now)}


def _key(pod: Mapping[str, Any]) -> tuple[str, str]:
    return pod["metadata"]["namespace"], pod["metadata"]["name"]
