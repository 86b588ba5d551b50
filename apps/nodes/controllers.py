"""The Node controller: notices that a node is silent, taints it, marks and evicts its pods. `workloads.tasks` calls it.

Also the verbs `cordon` and `uncordon`, which the API's scripts and the admin call with the user as actor.
"""

from datetime import UTC, datetime
from typing import Any

from apps.events.record import emit
from apps.images.catalog import set_node_images
from apps.nodes.logic import lifecycle
from apps.nodes.logic.lifecycle import Evict, MarkPodsNotReady, Plan, SetConditions, SetTaints
from apps.store import pool, read, transaction
from apps.store.rows import Origin, Stored
from apps.store.transaction import Transaction, commit
from nodeworker.wire.time import parse_time

ACTOR = "system:controller:node"
LEASES = "kube-node-lease"
Object = dict[str, Any]


def reconcile_node(name: str, cause: int | None = None, now: datetime | None = None) -> datetime | None:
    """Look at one node; return when to look again."""
    now = now or datetime.now(UTC)
    stored = read.get("Node", "", name)
    if stored is None:
        set_node_images(name, ())
        return None
    node = stored.object
    set_node_images(name, (node.get("status") or {}).get("images") or ())
    pods = [pod.object for pod in read.bound(name)[0]] if _concerns_pods(node, name, now) else []
    plan = lifecycle.decide(node, _renewed(name), pods, now, _lost_fraction())
    if plan.actions:
        commit(_apply(stored, plan, now), Origin(ACTOR, cause))
        _tell(node, plan)
        # What was just set (a taint) may have consequences of its own.
        return now
    return plan.look_at


def cordon(name: str, origin: Origin) -> Stored:
    """Let no new pod be bound to the node."""
    return _set_unschedulable(name, True, origin)


def uncordon(name: str, origin: Origin) -> Stored:
    """Let the node take pods again."""
    return _set_unschedulable(name, False, origin)


def _set_unschedulable(name: str, value: bool, origin: Origin) -> Stored:
    def change(node: Object) -> Object:
        spec = {key: kept for key, kept in (node.get("spec") or {}).items() if key != "unschedulable"}
        return {**node, "spec": {**spec, "unschedulable": True} if value else spec}

    return transaction.modify("Node", "", name, change, origin)


def _concerns_pods(node: Object, name: str, now: datetime) -> bool:
    """Pods are read only when the node is silent or drives pods away."""
    silent = lifecycle.last_sign(node, _renewed(name)) + lifecycle.GRACE <= now
    taints = (node.get("spec") or {}).get("taints") or ()
    return silent or any(taint.get("effect") == "NoExecute" for taint in taints)


def _renewed(name: str) -> datetime | None:
    lease = read.get("Lease", LEASES, name)
    renewed = (lease.object.get("spec") or {}).get("renewTime") if lease else None
    return parse_time(renewed) if renewed else None


def _lost_fraction() -> float:
    with pool.pool().connection() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT COUNT(*), SUM(CASE WHEN ready THEN 0 ELSE 1 END) FROM nodes_node")
        total, lost = cursor.fetchone()
    return lost / total if total else 0.0


def _apply(node: Stored, plan: Plan, now: datetime) -> Any:
    def work(transaction: Transaction) -> None:
        transaction.check_revision(node.uid, node.revision)
        for action in plan.actions:
            match action:
                case SetConditions(conditions):
                    transaction.modify("Node", "", node.name, _with_conditions(conditions), subresource="status")
                case SetTaints(taints):
                    transaction.modify("Node", "", node.name, _with_taints(taints))
                case MarkPodsNotReady(pods):
                    for namespace, name in pods:
                        if transaction.get("Pod", namespace, name) is not None:
                            transaction.modify("Pod", namespace, name, _not_ready(now), subresource="status")
                case Evict(namespace, name, uid, _):
                    found = transaction.get("Pod", namespace, name)
                    if found is not None and found.uid == uid:
                        transaction.delete("Pod", namespace, name, uid=uid)

    return work


def _with_conditions(conditions: Any) -> Any:
    return lambda node: {**node, "status": {**(node.get("status") or {}), "conditions": [dict(c) for c in conditions]}}


def _with_taints(taints: Any) -> Any:
    def change(node: Object) -> Object:
        spec = {key: value for key, value in (node.get("spec") or {}).items() if key != "taints"}
        return {**node, "spec": {**spec, "taints": [dict(t) for t in taints]} if taints else spec}

    return change


def _not_ready(now: datetime) -> Any:
    return lambda pod: {**pod, "status": lifecycle.not_ready_status(pod.get("status") or {}, now)}


def _tell(node: Object, plan: Plan) -> None:
    name = node["metadata"]["name"]
    for action in plan.actions:
        match action:
            case SetConditions(conditions) if any(
                c["type"] == "Ready" and c["status"] == "Unknown" for c in conditions
            ):
                emit(
                    "Node",
                    node,
                    "Normal",
                    "NodeNotReady",
                    f"Node {name} status is now: NodeNotReady",
                    "node-controller",
                )
            case Evict(namespace, pod, uid, taint):
                evicted = {"apiVersion": "v1", "metadata": {"namespace": namespace, "name": pod, "uid": uid}}
                emit(
                    "Pod",
                    evicted,
                    "Normal",
                    "TaintManagerEviction",
                    f"Evicted because of taint {taint}",
                    "taint-controller",
                )
