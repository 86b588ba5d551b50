"""The ReplicaSet controller's decision: which pods to adopt, release, create and delete, and what the status says.

Called by `controllers.py`; pure. No expectations and no slow start are needed: the plan is applied in one transaction
that checks the counter of the owner's children, so it never meets a set of pods that it has not seen.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from apps.workloads.logic.actions import Action, AdoptPod, CreatePods, DeletePod, Plan, ReleasePod, SetStatus
from apps.workloads.logic.conditions import condition, find, with_condition, without
from apps.workloads.logic.seen import PodSeen
from nodeworker.wire.selectors import selector_from_object

PHASE_RANK = {"Pending": 0, "Unknown": 1, "Running": 2}
# One transaction stays small enough that other writers do not wait long for it.
MAX_CREATES = 100


def decide(replica_set: Mapping[str, Any], pods: Sequence[PodSeen], now: datetime, failure: str = "") -> Plan:
    """Return the plan, given the pods that the replica set controls and those that it could adopt.

    `failure` is the sentence of the last attempt to create a pod, when that was refused (a template that is not valid).
    """
    metadata = replica_set["metadata"]
    if metadata.get("deletionTimestamp"):
        return Plan((SetStatus(status_of(replica_set, _owned(metadata["uid"], pods), now, failure)),))
    owned, claims = claim(replica_set, pods)
    active = [pod for pod in owned if pod.active]
    actions: list[Action] = [*claims]
    if not failure:
        actions += scale(replica_set["spec"].get("replicas", 1), active, now)
    status = status_of(replica_set, owned, now, failure)
    if status != (replica_set.get("status") or {}):
        actions.append(SetStatus(status))
    return Plan(tuple(actions), look_at=next_availability(replica_set, active, now))


def claim(replica_set: Mapping[str, Any], pods: Sequence[PodSeen]) -> tuple[list[PodSeen], list[Action]]:
    """Return the pods that are the replica set's after this plan, and the adoptions and releases that make them so."""
    uid = replica_set["metadata"]["uid"]
    selector = selector_from_object(replica_set["spec"]["selector"])
    owned: list[PodSeen] = []
    actions: list[Action] = []
    for pod in pods:
        matches = selector.matches(pod.labels)
        if pod.controller == uid and not matches and not pod.terminating:
            actions.append(ReleasePod(pod.name, pod.uid))
        elif pod.controller == uid:
            owned.append(pod)
        elif pod.controller is None and matches and pod.active:
            actions.append(AdoptPod(pod.name, pod.uid))
            owned.append(pod)
    return owned, actions


def scale(desired: int, active: Sequence[PodSeen], now: datetime) -> list[Action]:
    """Return the actions that bring the active pods to `desired`; an empty list means settled."""
    missing = desired - len(active)
    if missing > 0:
        return [CreatePods(min(missing, MAX_CREATES))]
    return [DeletePod(pod.name, pod.uid) for pod in victims(active, now)[: len(active) - desired]]


def victims(pods: Sequence[PodSeen], now: datetime) -> list[PodSeen]:
    """Return the pods in the order in which they would be deleted: Kubernetes' order, the name as the last word."""
    on_node = Counter(pod.node_name for pod in pods)

    def rank(pod: PodSeen) -> tuple[Any, ...]:
        ready_for = (now - pod.ready_since).total_seconds() if pod.ready_since else 0.0
        return (
            pod.node_name != "",
            PHASE_RANK.get(pod.phase, 1),
            pod.ready,
            pod.deletion_cost,
            -on_node[pod.node_name],
            ready_for,
            -pod.restarts,
            -pod.created.timestamp(),
            pod.name,
        )

    return sorted(pods, key=rank)


def available(pod: PodSeen, min_ready_seconds: int, now: datetime) -> bool:
    """Whether the pod has been ready for long enough to count as available."""
    if not pod.ready:
        return False
    if not min_ready_seconds:
        return True
    return pod.ready_since is not None and pod.ready_since + timedelta(seconds=min_ready_seconds) <= now


def next_availability(replica_set: Mapping[str, Any], pods: Sequence[PodSeen], now: datetime) -> datetime | None:
    """Return when the next pod that is ready but not yet available will be, if there is one."""
    wait = timedelta(seconds=replica_set["spec"].get("minReadySeconds") or 0)
    times = [pod.ready_since + wait for pod in pods if pod.ready_since and pod.ready_since + wait > now]
    return min(times, default=None)


def status_of(
    replica_set: Mapping[str, Any], owned: Sequence[PodSeen], now: datetime, failure: str = ""
) -> dict[str, Any]:
    """Return the status that the replica set should show."""
    spec, before = replica_set["spec"], replica_set.get("status") or {}
    active = [pod for pod in owned if pod.active]
    template_labels = ((spec["template"].get("metadata") or {}).get("labels") or {}).items()
    status: dict[str, Any] = {
        "replicas": len(active),
        "fullyLabeledReplicas": sum(template_labels <= dict(pod.labels).items() for pod in active),
        "readyReplicas": sum(pod.ready for pod in active),
        "availableReplicas": sum(available(pod, spec.get("minReadySeconds") or 0, now) for pod in active),
    }
    status = {name: count for name, count in status.items() if count or name == "replicas"}
    status["observedGeneration"] = replica_set["metadata"].get("generation") or 0
    conditions = before.get("conditions") or []
    if failure:
        conditions = with_condition(conditions, condition("ReplicaFailure", "True", "FailedCreate", failure, now))
    elif find(conditions, "ReplicaFailure"):
        conditions = without(conditions, "ReplicaFailure")
    if conditions:
        status["conditions"] = conditions
    return status


def pod_from_template(replica_set: Mapping[str, Any]) -> dict[str, Any]:
    """Return a new pod of this replica set, to be named by the store."""
    metadata, template = replica_set["metadata"], replica_set["spec"]["template"]
    source = template.get("metadata") or {}
    made: dict[str, Any] = {
        "generateName": f"{metadata['name']}-",
        "namespace": metadata["namespace"],
        "labels": dict(source.get("labels") or {}),
        "ownerReferences": [owner_reference("apps/v1", "ReplicaSet", metadata)],
    }
    for name in ("annotations", "finalizers"):
        if source.get(name):
            made[name] = source[name]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": made, "spec": template.get("spec") or {}}


def owner_reference(api_version: str, kind: str, metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return the reference by which a child names this object as its controller."""
    return {
        "apiVersion": api_version,
        "kind": kind,
        "name": metadata["name"],
        "uid": metadata["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def _owned(uid: str, pods: Sequence[PodSeen]) -> list[PodSeen]:
    return [pod for pod in pods if pod.controller == uid]
