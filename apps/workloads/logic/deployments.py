"""The Deployment controller's decision: the new replica set, the sizes of all, the revision, the status.

Called by `controllers.py`; pure. One plan is one step; what it does to the replica sets wakes the next one. Reasons
and messages of conditions are Kubernetes', because `kubectl rollout status` and people read them.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from apps.workloads.logic import rollout
from apps.workloads.logic.actions import (
    Action,
    AdoptReplicaSet,
    AnnotateDeployment,
    AnnotateReplicaSet,
    CreateReplicaSet,
    DeleteReplicaSet,
    Object,
    Plan,
    ReleaseReplicaSet,
    ScaleReplicaSet,
    SetStatus,
)
from apps.workloads.logic.conditions import Condition, condition, find, with_condition, without
from apps.workloads.logic.hashing import template_hash
from apps.workloads.logic.replicasets import owner_reference
from apps.workloads.logic.rollout import Bounds, bounds_of
from apps.workloads.logic.seen import (
    DESIRED_REPLICAS,
    MAX_REPLICAS,
    REVISION,
    REVISION_HISTORY,
    TEMPLATE_HASH,
    ReplicaSetSeen,
)
from nodeworker.wire.selectors import selector_from_object
from nodeworker.wire.time import parse_time

NOT_COPIED = frozenset(
    {
        "kubectl.kubernetes.io/last-applied-configuration",
        REVISION,
        REVISION_HISTORY,
        DESIRED_REPLICAS,
        MAX_REPLICAS,
        "deprecated.deployment.rollback.to",
    }
)
# What Kubernetes' int32 maximum means in progressDeadlineSeconds: no deadline.
NO_DEADLINE = 2147483647


def decide(
    deployment: Mapping[str, Any],
    replica_sets: Sequence[ReplicaSetSeen],
    now: datetime,
    old_pods_left: bool = False,
) -> Plan:
    """Return the next step of a deployment.

    `replica_sets` are those it controls or could adopt; `old_pods_left` (asked for by the strategy Recreate only) says
    that pods of old replica sets still exist, terminating ones included.
    """
    owned, claims = claim(deployment, replica_sets)
    return _Step(deployment, owned, now, old_pods_left).plan(claims)


def claim(
    deployment: Mapping[str, Any], replica_sets: Sequence[ReplicaSetSeen]
) -> tuple[list[ReplicaSetSeen], list[Action]]:
    """Return the replica sets that are the deployment's, and the adoptions and releases that make them so."""
    uid = deployment["metadata"]["uid"]
    selector = selector_from_object(deployment["spec"]["selector"])
    leaving = bool(deployment["metadata"].get("deletionTimestamp"))
    owned: list[ReplicaSetSeen] = []
    actions: list[Action] = []
    for seen in replica_sets:
        matches = selector.matches(seen.labels)
        if seen.controller == uid and not matches and not leaving:
            actions.append(ReleaseReplicaSet(seen.name, seen.uid))
        elif seen.controller == uid:
            owned.append(seen)
        elif seen.controller is None and matches and not seen.terminating and not leaving:
            actions.append(AdoptReplicaSet(seen.name, seen.uid))
            owned.append(seen)
    return sorted(owned, key=lambda s: (s.created, s.name)), actions


def find_new(deployment: Mapping[str, Any], replica_sets: Sequence[ReplicaSetSeen]) -> ReplicaSetSeen | None:
    """Return the replica set that has the deployment's template; of several the oldest."""
    wanted = _without_hash(deployment["spec"]["template"])
    return next((s for s in replica_sets if not s.terminating and _without_hash(s.template) == wanted), None)


def new_replica_set(deployment: Mapping[str, Any], size: int, revision: int, bounds: Bounds) -> Object:
    """Return the replica set to create for the deployment's present template."""
    metadata, spec = deployment["metadata"], deployment["spec"]
    hashed = template_hash(spec["template"], (deployment.get("status") or {}).get("collisionCount") or 0)
    template_metadata = spec["template"].get("metadata") or {}
    labels = {**(template_metadata.get("labels") or {}), TEMPLATE_HASH: hashed}
    selector = dict(spec["selector"])
    selector["matchLabels"] = {**(selector.get("matchLabels") or {}), TEMPLATE_HASH: hashed}
    made: Object = {"replicas": size, "selector": selector}
    if spec.get("minReadySeconds"):
        made["minReadySeconds"] = spec["minReadySeconds"]
    made["template"] = {**spec["template"], "metadata": {**template_metadata, "labels": labels}}
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": f"{metadata['name']}-{hashed}",
            "namespace": metadata["namespace"],
            "labels": labels,
            "annotations": {**_copied_annotations(deployment), REVISION: str(revision), **bounds.annotations},
            "ownerReferences": [owner_reference("apps/v1", "Deployment", metadata)],
        },
        "spec": made,
    }


def with_collision(status: Mapping[str, Any]) -> dict[str, Any]:
    """Return the status after the new replica set's name turned out to be taken: the next hash is another."""
    return {**status, "collisionCount": (status.get("collisionCount") or 0) + 1}


class _Step:
    """One decision; collects actions while the sizes that they lead to are still being computed."""

    def __init__(
        self, deployment: Mapping[str, Any], owned: Sequence[ReplicaSetSeen], now: datetime, old_pods_left: bool
    ) -> None:
        self.deployment, self.owned, self.now, self.old_pods_left = deployment, owned, now, old_pods_left
        self.metadata, self.spec = deployment["metadata"], deployment["spec"]
        self.before: Mapping[str, Any] = deployment.get("status") or {}
        self.bounds = bounds_of(self.spec)
        self.new = find_new(deployment, owned)
        self.old = [s for s in owned if s is not self.new]
        self.total = sum(s.replicas for s in owned)
        # A replica set that was told to shrink may not have done so yet: its pods still take room.
        self.occupied = sum(max(s.replicas, s.actual) for s in owned)
        self.actions: list[Action] = []
        self.conditions: list[Condition] = [dict(c) for c in self.before.get("conditions") or ()]
        self.created = ""

    def plan(self, claims: Sequence[Action]) -> Plan:
        self.actions += claims
        if not self.metadata.get("deletionTimestamp"):
            self._act()
        status = self._status()
        if status != self.before:
            self.actions.append(SetStatus(status))
        return Plan(tuple(self.actions), look_at=self._deadline(status))

    def _act(self) -> None:
        self._check_paused()
        if self.spec.get("paused") or self._was_scaled():
            self._record_revision()
            self._scale()
            if self.spec.get("paused"):
                self._clean_up()
        elif not self.bounds.rolling:
            self._recreate()
        else:
            self._roll()

    def _was_scaled(self) -> bool:
        """Whether `replicas` changed since the active replica sets were sized; then that comes first."""
        active = [s for s in self.owned if s.replicas]
        if not self.bounds.rolling and len(active) > 1:
            return False
        wanted = (None, str(self.bounds.replicas))
        return any(s.annotations.get(DESIRED_REPLICAS) not in wanted for s in active)

    def _roll(self) -> None:
        if self._ensure_new():
            return
        if self._resize_new() or self._shrink_old():
            return
        if self._complete(self._counts()):
            self._clean_up()

    def _recreate(self) -> None:
        active = [s for s in self.old if s.replicas]
        for seen in active:
            self._resize(seen, 0)
        if active:
            self._record_revision()
            return
        if self.old_pods_left:
            return
        if not self._ensure_new() and not self._resize_new() and self._complete(self._counts()):
            self._clean_up()

    def _ensure_new(self) -> bool:
        """Create the new replica set or record that the present one is the newest; True if it was created."""
        if self.new:
            self._record_revision()
            if not find(self.conditions, "Progressing") and self._has_deadline():
                self._progressing("True", "FoundNewReplicaSet", f'Found new replica set "{self.new.name}"')
            return False
        revision = max((s.revision for s in self.old), default=0) + 1
        size = rollout.new_size(self.bounds, 0, self.occupied)
        made = new_replica_set(self.deployment, size, revision, self.bounds)
        self.created = made["metadata"]["name"]
        self.actions.append(CreateReplicaSet(made))
        self._show_revision(revision)
        if self._has_deadline():
            self._progressing("True", "NewReplicaSetCreated", f'Created new replica set "{self.created}"')
        return True

    def _record_revision(self) -> None:
        """Give the present replica set the highest revision, also when it is an old one that was rolled back to."""
        if not self.new:
            return
        revision = max((s.revision for s in self.old), default=0) + 1
        annotations = {**self.new.annotations, **_copied_annotations(self.deployment)}
        if self.new.revision < revision:
            if self.new.revision:
                history = [*filter(None, [annotations.get(REVISION_HISTORY)]), str(self.new.revision)]
                annotations[REVISION_HISTORY] = ",".join(history)
            annotations[REVISION] = str(revision)
        wait = self.spec.get("minReadySeconds") or 0
        if annotations != self.new.annotations or wait != self.new.min_ready_seconds:
            self.actions.append(AnnotateReplicaSet(self.new.name, annotations, wait))
        self._show_revision(int(annotations[REVISION]))

    def _show_revision(self, revision: int) -> None:
        if (self.metadata.get("annotations") or {}).get(REVISION) != str(revision):
            self.actions.append(AnnotateDeployment({REVISION: str(revision)}))

    def _resize_new(self) -> bool:
        if not self.new:
            return False
        return self._resize(self.new, rollout.new_replicas(self.bounds, self.new, self.occupied))

    def _shrink_old(self) -> bool:
        sizes = rollout.old_replicas(self.bounds, self.new, [s for s in self.old if s.replicas])
        for seen in self.old:
            if seen.name in sizes:
                self._resize(seen, sizes[seen.name])
        return bool(sizes)

    def _scale(self) -> None:
        """Follow a change of `replicas` (or a pause) without moving the rollout on."""
        active = [s for s in self.owned if s.replicas]
        if len(active) <= 1:
            only = active[0] if active else self.new or (self.owned[-1] if self.owned else None)
            if only:
                self._resize(only, self.bounds.replicas)
        elif self._saturated():
            for seen in self.old:
                if seen.replicas:
                    self._resize(seen, 0)
        elif self.bounds.rolling:
            sizes = rollout.proportional(self.bounds, active, self.before.get("replicas") or 0)
            for seen in active:
                self._resize(seen, sizes[seen.name])

    def _saturated(self) -> bool:
        if not self.new:
            return False
        wanted = self.bounds.replicas
        shown = int(self.new.annotations.get(DESIRED_REPLICAS) or -1)
        return self.new.replicas == wanted == shown and self.new.available == wanted

    def _resize(self, seen: ReplicaSetSeen, size: int) -> bool:
        wanted = self.bounds.annotations
        if size == seen.replicas and all(seen.annotations.get(k) == v for k, v in wanted.items()):
            return False
        self.actions.append(ScaleReplicaSet(seen.name, seen.replicas, size, wanted))
        return size != seen.replicas

    def _clean_up(self) -> None:
        """Delete the oldest replica sets beyond revisionHistoryLimit; only those that have no pods left."""
        limit = self.spec.get("revisionHistoryLimit", 10)
        done = [s for s in self.old if not s.replicas and not s.actual and s.fresh and not s.terminating]
        for seen in sorted(done, key=lambda s: (s.revision, s.created))[: max(0, len(done) - limit)]:
            self.actions.append(DeleteReplicaSet(seen.name, seen.uid))

    # Status

    def _counts(self) -> dict[str, int]:
        ready = sum(s.ready for s in self.owned)
        available = sum(s.available for s in self.owned)
        counts = {
            "replicas": sum(s.actual for s in self.owned),
            "updatedReplicas": self.new.actual if self.new else 0,
            "readyReplicas": ready,
            "availableReplicas": available,
            "unavailableReplicas": max(0, self.total - available),
        }
        return {name: count for name, count in counts.items() if count}

    def _status(self) -> dict[str, Any]:
        status: dict[str, Any] = {"observedGeneration": self.metadata.get("generation") or 0, **self._counts()}
        if self.before.get("collisionCount"):
            status["collisionCount"] = self.before["collisionCount"]
        if not self.metadata.get("deletionTimestamp") and not self.spec.get("paused"):
            self._follow_progress(status)
        self._follow_availability(status)
        self._follow_failures()
        if self.conditions:
            status["conditions"] = self.conditions
        return status

    def _follow_availability(self, status: Mapping[str, Any]) -> None:
        enough = status.get("availableReplicas", 0) >= self.bounds.least_available
        word = "True" if enough else "False"
        reason = "MinimumReplicasAvailable" if enough else "MinimumReplicasUnavailable"
        message = f"Deployment {'has' if enough else 'does not have'} minimum availability."
        self._set("Available", word, reason, message)

    def _follow_failures(self) -> None:
        failures = [s.failure for s in (self.new, *self.old) if s and s.failure]
        if failures:
            self._set("ReplicaFailure", failures[0]["status"], failures[0]["reason"], failures[0].get("message", ""))
        elif find(self.conditions, "ReplicaFailure"):
            self.conditions = without(self.conditions, "ReplicaFailure")

    def _follow_progress(self, status: Mapping[str, Any]) -> None:
        current = find(self.conditions, "Progressing")
        if not self._has_deadline():
            self.conditions = without(self.conditions, "Progressing")
            return
        finished = current is not None and current.get("reason") == "NewRSAvailable"
        if finished and status.get("replicas", 0) == status.get("updatedReplicas", 0) and not self.created:
            return
        name = self.created or (self.new.name if self.new else "")
        what = f'ReplicaSet "{name}"' if name else f'Deployment "{self.metadata["name"]}"'
        if self._complete(status):
            self._progressing("True", "NewRSAvailable", f"{what} has successfully progressed.")
        elif self._moved(status):
            self._progressing("True", "ReplicaSetUpdated", f"{what} is progressing.", renew=True)
        elif current is not None and self._timed_out(current):
            self._progressing("False", "ProgressDeadlineExceeded", f"{what} has timed out progressing.")

    def _complete(self, status: Mapping[str, Any]) -> bool:
        wanted = self.bounds.replicas
        counts = (status.get(name, 0) for name in ("updatedReplicas", "replicas", "availableReplicas"))
        return self.new is not None and not self.created and all(count == wanted for count in counts)

    def _moved(self, status: Mapping[str, Any]) -> bool:
        def count(of: Mapping[str, Any], name: str) -> int:
            return int(of.get(name) or 0)

        old_now = count(status, "replicas") - count(status, "updatedReplicas")
        old_then = count(self.before, "replicas") - count(self.before, "updatedReplicas")
        grown = ("updatedReplicas", "readyReplicas", "availableReplicas")
        return old_now < old_then or any(count(status, name) > count(self.before, name) for name in grown)

    def _timed_out(self, current: Condition) -> bool:
        if current.get("reason") in ("NewRSAvailable", "ProgressDeadlineExceeded"):
            return current.get("reason") == "ProgressDeadlineExceeded"
        deadline = self._deadline_of(current)
        return deadline is not None and deadline <= self.now

    def _deadline_of(self, current: Condition) -> datetime | None:
        since = current.get("lastUpdateTime")
        return parse_time(since) + timedelta(seconds=self.spec["progressDeadlineSeconds"]) if since else None

    def _deadline(self, status: Mapping[str, Any]) -> datetime | None:
        """Return when the rollout counts as stuck unless it moves before."""
        current = find(status.get("conditions") or (), "Progressing")
        if current is None or not self._has_deadline() or current["status"] != "True":
            return None
        return None if current.get("reason") == "NewRSAvailable" else self._deadline_of(current)

    def _check_paused(self) -> None:
        if not self._has_deadline():
            return
        current = find(self.conditions, "Progressing")
        if current is not None and current.get("reason") == "ProgressDeadlineExceeded":
            return
        shown_paused = current is not None and current.get("reason") == "DeploymentPaused"
        if self.spec.get("paused") and not shown_paused:
            self._progressing("Unknown", "DeploymentPaused", "Deployment is paused")
        elif not self.spec.get("paused") and shown_paused:
            self._progressing("Unknown", "DeploymentResumed", "Deployment is resumed")

    def _has_deadline(self) -> bool:
        deadline = self.spec.get("progressDeadlineSeconds")
        return deadline is not None and deadline != NO_DEADLINE

    def _progressing(self, status: str, reason: str, message: str, *, renew: bool = False) -> None:
        current = find(self.conditions, "Progressing")
        if renew and current is not None:
            # Progress renews lastUpdateTime, which the deadline counts from; the transition stays when it was.
            made = condition("Progressing", status, reason, message, self.now, updates=True)
            if current["status"] == status:
                made["lastTransitionTime"] = current["lastTransitionTime"]
            self.conditions = [made if c["type"] == "Progressing" else c for c in self.conditions]
            return
        self._set("Progressing", status, reason, message)

    def _set(self, type: str, status: str, reason: str, message: str) -> None:
        made = condition(type, status, reason, message, self.now, updates=True)
        self.conditions = with_condition(self.conditions, made)


def _copied_annotations(deployment: Mapping[str, Any]) -> dict[str, str]:
    annotations = deployment["metadata"].get("annotations") or {}
    return {name: value for name, value in annotations.items() if name not in NOT_COPIED}


def _without_hash(template: Mapping[str, Any]) -> dict[str, Any]:
    metadata = template.get("metadata") or {}
    labels = {k: v for k, v in (metadata.get("labels") or {}).items() if k != TEMPLATE_HASH}
    return {**template, "metadata": {**metadata, "labels": labels}}
