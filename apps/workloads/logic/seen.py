"""Pods and replica sets as the controllers' logic sees them: small, frozen, without the parts that decide nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from nodeworker.wire.time import parse_time

REVISION = "deployment.kubernetes.io/revision"
REVISION_HISTORY = "deployment.kubernetes.io/revision-history"
DESIRED_REPLICAS = "deployment.kubernetes.io/desired-replicas"
MAX_REPLICAS = "deployment.kubernetes.io/max-replicas"
DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
TEMPLATE_HASH = "pod-template-hash"


@dataclass(frozen=True)
class PodSeen:
    name: str
    uid: str
    labels: Mapping[str, str]
    phase: str
    ready: bool
    ready_since: datetime | None
    created: datetime
    terminating: bool
    node_name: str
    restarts: int
    deletion_cost: int
    controller: str | None

    @property
    def active(self) -> bool:
        """Whether the pod counts as a replica: neither finished nor on its way out."""
        return not self.terminating and self.phase not in ("Succeeded", "Failed")


@dataclass(frozen=True)
class ReplicaSetSeen:
    name: str
    uid: str
    created: datetime
    replicas: int
    actual: int
    ready: int
    available: int
    fresh: bool
    terminating: bool
    min_ready_seconds: int
    template: Mapping[str, Any]
    annotations: Mapping[str, str]
    labels: Mapping[str, str]
    controller: str | None
    failure: Mapping[str, Any] | None

    @property
    def revision(self) -> int:
        return _integer(self.annotations.get(REVISION, "0"))


def controller_of(object: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the owner reference that has `controller: true`, if there is one."""
    for owner in object["metadata"].get("ownerReferences") or ():
        if owner.get("controller"):
            return dict(owner)
    return None


def pod_seen(object: Mapping[str, Any]) -> PodSeen:
    """Return what the logic needs of a Pod object."""
    metadata, status = object["metadata"], object.get("status") or {}
    condition: Mapping[str, Any] = next((c for c in status.get("conditions") or () if c.get("type") == "Ready"), {})
    ready = condition.get("status") == "True"
    changed = condition.get("lastTransitionTime")
    owner = controller_of(object)
    return PodSeen(
        name=metadata["name"],
        uid=metadata["uid"],
        labels=metadata.get("labels") or {},
        phase=status.get("phase") or "Pending",
        ready=ready,
        ready_since=parse_time(changed) if ready and changed else None,
        created=parse_time(metadata["creationTimestamp"]),
        terminating=bool(metadata.get("deletionTimestamp")),
        node_name=(object.get("spec") or {}).get("nodeName") or "",
        restarts=sum(c.get("restartCount") or 0 for c in status.get("containerStatuses") or ()),
        deletion_cost=_integer((metadata.get("annotations") or {}).get(DELETION_COST, "0")),
        controller=owner["uid"] if owner else None,
    )


def replica_set_seen(object: Mapping[str, Any]) -> ReplicaSetSeen:
    """Return what the deployment's logic needs of a ReplicaSet object."""
    metadata, spec, status = object["metadata"], object["spec"], object.get("status") or {}
    replicas = spec.get("replicas", 1)
    owner = controller_of(object)
    failures = [c for c in status.get("conditions") or () if c.get("type") == "ReplicaFailure"]
    return ReplicaSetSeen(
        name=metadata["name"],
        uid=metadata["uid"],
        created=parse_time(metadata["creationTimestamp"]),
        replicas=replicas,
        actual=status.get("replicas") or 0,
        ready=status.get("readyReplicas") or 0,
        # A status from before the last scaling down may still count pods that are about to be deleted.
        available=min(status.get("availableReplicas") or 0, replicas),
        fresh=(status.get("observedGeneration") or 0) >= (metadata.get("generation") or 0),
        terminating=bool(metadata.get("deletionTimestamp")),
        min_ready_seconds=spec.get("minReadySeconds") or 0,
        template=spec["template"],
        annotations=metadata.get("annotations") or {},
        labels=metadata.get("labels") or {},
        controller=owner["uid"] if owner else None,
        failure=failures[0] if failures else None,
    )


def _integer(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        return 0
