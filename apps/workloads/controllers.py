"""Observe, decide, apply: the ReplicaSet and the Deployment controller over the store. Called by `tasks.py`.

The decision is pure (`logic/`). Applying is one transaction that first checks that the owner, the set of its children
and each object that the plan was based on are as they were seen; a Conflict throws the plan away, and the task looks
again. Nothing here needs to know who else is at work.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from apps.events.record import emit
from apps.kinds.status import AlreadyExists, ApiError, Conflict, Forbidden, NotFound
from apps.store import pool, read
from apps.store.rows import Origin, Stored
from apps.store.transaction import Transaction, commit
from apps.workloads.logic import deployments, replicasets
from apps.workloads.logic.actions import (
    AdoptPod,
    AdoptReplicaSet,
    AnnotateDeployment,
    AnnotateReplicaSet,
    CreatePods,
    CreateReplicaSet,
    DeletePod,
    DeleteReplicaSet,
    Plan,
    ReleasePod,
    ReleaseReplicaSet,
    ScaleReplicaSet,
    SetStatus,
)
from apps.workloads.logic.replicasets import owner_reference, pod_from_template
from apps.workloads.logic.seen import PodSeen, ReplicaSetSeen, controller_of, pod_seen, replica_set_seen

Object = dict[str, Any]
REPLICA_SETS = "system:controller:replicaset"
DEPLOYMENTS = "system:controller:deployment"


# Replica sets


def reconcile_replica_set(namespace: str, name: str, cause: int | None = None) -> datetime | None:
    """Take one step for a replica set; return when to look again if nothing wakes it before."""
    stored = read.get("ReplicaSet", namespace, name)
    if stored is None:
        return None
    object, now = stored.object, datetime.now(UTC)
    pods, counter = read.children(stored.uid, "Pod")
    seen = [_pod(pod) for pod in pods] + _orphans("Pod", namespace, _pod)
    plan = replicasets.decide(object, seen, now)
    if not plan.actions:
        return plan.look_at
    origin = Origin(REPLICA_SETS, cause or stored.revision)
    try:
        told = commit(_apply_to_pods(stored, object, counter, plan), origin)
    except Conflict:
        raise
    except (AlreadyExists, NotFound):
        # A name that was drawn twice, an object that has just gone: the next look sees it.
        raise Conflict("the plan no longer fits; look again") from None
    except ApiError as error:
        if _terminating(error):
            return None
        plan = replicasets.decide(object, seen, now, failure=error.message)
        commit(_apply_to_pods(stored, object, counter, plan), origin)
        message = f"Error creating: {error.message}"
        emit("ReplicaSet", object, "Warning", "FailedCreate", message, "replicaset-controller")
        return None
    for reason, message in told:
        emit("ReplicaSet", object, "Normal", reason, message, "replicaset-controller")
    return plan.look_at


def _apply_to_pods(
    owner: Stored, object: Object, counter: int, plan: Plan
) -> Callable[[Transaction], list[tuple[str, str]]]:
    def work(transaction: Transaction) -> list[tuple[str, str]]:
        transaction.check_revision(owner.uid, owner.revision)
        transaction.check_children(owner.uid, counter)
        told: list[tuple[str, str]] = []
        for action in plan.actions:
            match action:
                case CreatePods(count):
                    for _ in range(count):
                        made = transaction.create("Pod", pod_from_template(object))
                        told.append(("SuccessfulCreate", f"Created pod: {made.name}"))
                case DeletePod(name, uid):
                    transaction.delete("Pod", owner.namespace, name, uid=uid)
                    told.append(("SuccessfulDelete", f"Deleted pod: {name}"))
                case AdoptPod(name, uid):
                    reference = owner_reference("apps/v1", "ReplicaSet", object["metadata"])
                    transaction.modify("Pod", owner.namespace, name, _adopted(uid, reference))
                case ReleasePod(name, uid):
                    transaction.modify("Pod", owner.namespace, name, _released(uid, owner.uid))
                case SetStatus(status):
                    changed = {**object, "status": dict(status)}
                    transaction.update("ReplicaSet", changed, subresource="status")
                case _:
                    raise TypeError(f"a replica set's plan has no {action}")
        return told

    return work


# Deployments


@dataclass(frozen=True)
class _Observed:
    """A deployment with its replica sets as one look found them."""

    stored: Stored
    object: Object
    replica_sets: dict[str, Stored]
    seen: Sequence[ReplicaSetSeen]
    counter: int
    old_pods_left: bool


def reconcile_deployment(namespace: str, name: str, cause: int | None = None) -> datetime | None:
    """Take one step for a deployment; return when to look again if nothing wakes it before."""
    observed = _observe_deployment(namespace, name)
    if observed is None:
        return None
    plan = deployments.decide(observed.object, observed.seen, datetime.now(UTC), observed.old_pods_left)
    if not plan.actions:
        return plan.look_at
    origin = Origin(DEPLOYMENTS, cause or observed.stored.revision)
    try:
        commit(_apply_to_replica_sets(observed, plan), origin)
    except AlreadyExists:
        # Another object has the name that the hash gave: count the collision, so that the next hash is another.
        commit(_count_collision(observed), origin)
        raise Conflict("the name of the new replica set is taken; look again") from None
    except Conflict:
        raise  # something has changed meanwhile: no failure, the key is looked at again
    except NotFound:
        raise Conflict("the plan no longer fits; look again") from None
    except ApiError as error:
        if not _terminating(error):
            message = f"Failed to create new replica set: {error.message}"
            emit("Deployment", observed.object, "Warning", "ReplicaSetCreateError", message, "deployment-controller")
        return None
    _tell_scaling(observed, plan)
    return plan.look_at


def _observe_deployment(namespace: str, name: str) -> _Observed | None:
    stored = read.get("Deployment", namespace, name)
    if stored is None:
        return None
    object = stored.object
    owned, counter = read.children(stored.uid, "ReplicaSet")
    orphans = _orphans("ReplicaSet", namespace, lambda orphan: orphan)
    rows = {row.name: row for row in [*owned, *orphans]}
    seen = [replica_set_seen(row.object) for row in rows.values()]
    left = (object["spec"].get("strategy") or {}).get("type") == "Recreate" and _old_pods_left(object, seen)
    return _Observed(stored, object, rows, seen, counter, left)


def _old_pods_left(deployment: Object, seen: Sequence[ReplicaSetSeen]) -> bool:
    uid = deployment["metadata"]["uid"]
    new = deployments.find_new(deployment, [s for s in seen if s.controller == uid])
    old = [s.uid for s in seen if s.controller == uid and (new is None or s.uid != new.uid)]
    pods = [pod_seen(pod.object) for owner in old for pod in read.children(owner, "Pod")[0]]
    return any(pod.phase not in ("Succeeded", "Failed") for pod in pods)


def _apply_to_replica_sets(observed: _Observed, plan: Plan) -> Callable[[Transaction], None]:
    deployment, namespace = observed.stored, observed.stored.namespace

    def work(transaction: Transaction) -> None:
        transaction.check_revision(deployment.uid, deployment.revision)
        transaction.check_children(deployment.uid, observed.counter)
        for row in observed.replica_sets.values():
            if controller_of(row.object) is not None:
                transaction.check_revision(row.uid, row.revision)
        for action in plan.actions:
            match action:
                case CreateReplicaSet(object):
                    transaction.create("ReplicaSet", dict(object))
                case ScaleReplicaSet(name, _, after, annotations):
                    transaction.modify("ReplicaSet", namespace, name, _scaled(after, annotations))
                case AnnotateReplicaSet(name, annotations, wait):
                    transaction.modify("ReplicaSet", namespace, name, _annotated(annotations, wait))
                case DeleteReplicaSet(name, uid):
                    transaction.delete("ReplicaSet", namespace, name, uid=uid)
                case AdoptReplicaSet(name, uid):
                    reference = owner_reference("apps/v1", "Deployment", observed.object["metadata"])
                    transaction.modify("ReplicaSet", namespace, name, _adopted(uid, reference))
                case ReleaseReplicaSet(name, uid):
                    transaction.modify("ReplicaSet", namespace, name, _released(uid, deployment.uid))
                case AnnotateDeployment(annotations):
                    transaction.modify("Deployment", namespace, deployment.name, _annotated(annotations))
                case SetStatus(status):
                    change = _with_status(dict(status))
                    transaction.modify("Deployment", namespace, deployment.name, change, subresource="status")
                case _:
                    raise TypeError(f"a deployment's plan has no {action}")

    return work


def _count_collision(observed: _Observed) -> Callable[[Transaction], None]:
    def work(transaction: Transaction) -> None:
        transaction.check_revision(observed.stored.uid, observed.stored.revision)
        status = deployments.with_collision(observed.object.get("status") or {})
        namespace, name = observed.stored.namespace, observed.stored.name
        transaction.modify("Deployment", namespace, name, _with_status(status), subresource="status")

    return work


def _tell_scaling(observed: _Observed, plan: Plan) -> None:
    for action in plan.actions:
        match action:
            case CreateReplicaSet(object) if object["spec"]["replicas"]:
                name, before, after = object["metadata"]["name"], 0, object["spec"]["replicas"]
            case ScaleReplicaSet(name, before, after) if before != after:
                pass
            case _:
                continue
        direction = "up" if after > before else "down"
        message = f"Scaled {direction} replica set {name} from {before} to {after}"
        emit("Deployment", observed.object, "Normal", "ScalingReplicaSet", message, "deployment-controller")


# Changes of one object, given to Transaction.modify


def _scaled(replicas: int, annotations: Any) -> Callable[[Object], Object]:
    def change(object: Object) -> Object:
        object["spec"]["replicas"] = replicas
        return _annotated(annotations)(object)

    return change


def _annotated(annotations: Any, min_ready_seconds: int | None = None) -> Callable[[Object], Object]:
    def change(object: Object) -> Object:
        metadata = object["metadata"]
        metadata["annotations"] = {**(metadata.get("annotations") or {}), **annotations}
        if min_ready_seconds is not None and min_ready_seconds != (object["spec"].get("minReadySeconds") or 0):
            object["spec"]["minReadySeconds"] = min_ready_seconds
        return object

    return change


def _with_status(status: Object) -> Callable[[Object], Object]:
    return lambda object: {**object, "status": status}


def _adopted(uid: str, reference: Object) -> Callable[[Object], Object]:
    def change(object: Object) -> Object:
        metadata = object["metadata"]
        if metadata["uid"] != uid or controller_of(object) is not None:
            raise Conflict(f"{metadata['name']} is no orphan any more; look again")
        metadata["ownerReferences"] = [*(metadata.get("ownerReferences") or []), reference]
        return object

    return change


def _released(uid: str, owner_uid: str) -> Callable[[Object], Object]:
    def change(object: Object) -> Object:
        metadata = object["metadata"]
        if metadata["uid"] != uid:
            raise Conflict(f"{metadata['name']} is another one now; look again")
        kept = [o for o in metadata.get("ownerReferences") or () if o["uid"] != owner_uid]
        metadata.pop("ownerReferences", None)
        if kept:
            metadata["ownerReferences"] = kept
        return object

    return change


def _pod(stored: Stored) -> PodSeen:
    return pod_seen(stored.object)


def _orphans(kind: str, namespace: str, read_row: Callable[[Stored], Any]) -> list[Any]:
    """Return the objects of a kind that no controller owns; usually none, which one index look-up tells."""
    table = {"Pod": "workloads_pod", "ReplicaSet": "workloads_replicaset"}[kind]
    with pool.pool().connection() as connection, connection.cursor() as cursor:
        cursor.execute(f"SELECT name FROM {table} WHERE owner_uid = '' AND namespace = %s", [namespace])
        names = [row[0] for row in cursor.fetchall()]
    return [read_row(stored) for name in names if (stored := read.get(kind, namespace, name)) is not None]


def _terminating(error: ApiError) -> bool:
    """Whether the namespace is on its way out, so that nothing new belongs into it."""
    return isinstance(error, Forbidden) and "terminated" in error.message
