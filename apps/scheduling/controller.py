"""The scheduler: reads what waits and what is free, decides, binds in one transaction. Called by `workloads.tasks`.

Pods that wait together are decided together: `schedule` drains what other calls have left in the meantime, and one
transaction binds them all. It checks the counter of every node that it binds to, so two schedulers never fill one node
twice; the one that comes second throws its plan away and looks again.
"""

import logging
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from apps.events.record import emit
from apps.kinds.status import ApiError, Conflict, NotFound
from apps.scheduling.logic.schedule import Placed, place_all
from apps.scheduling.logic.seen import NodeSeen, PodAsking, Resources, node_seen, pod_asking
from apps.store import pool, read
from apps.store.rows import OBJECT_COLUMNS, Origin, Stored, stored_from_row
from apps.store.transaction import Transaction, commit
from nodeworker.wire.messages import split_key
from nodeworker.wire.time import format_time

logger = logging.getLogger(__name__)
ACTOR = "system:scheduler"
SOURCE = "default-scheduler"
MOST_AT_ONCE = 100
TRIES = 10
Object = dict[str, Any]

_USED = (
    "SELECT node, SUM(cpu_millis), SUM(memory_bytes), COUNT(*) FROM scheduling_claim"
    " WHERE node <> '' AND done = %s GROUP BY node"
)
_COUNTERS = "SELECT name, value FROM store_counter WHERE name LIKE 'bound/%%'"
_NODES = f"SELECT {OBJECT_COLUMNS} FROM store_object o WHERE o.kind = 'Node' ORDER BY o.name"
_FORGET = "DELETE FROM scheduling_placement WHERE pod_uid = %s"
_RECORD = (
    "INSERT INTO scheduling_placement (pod_uid, node, time, passed, chosen, filter, reason, asked, free, score)"
    " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
)


@dataclass
class Waiting:
    """Keys that wait for a turn; only one thread of a process schedules at a time, and takes all of them."""

    keys: dict[str, None] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    turn: threading.Lock = field(default_factory=threading.Lock)

    def add(self, keys: Iterable[str]) -> None:
        with self.lock:
            self.keys.update(dict.fromkeys(keys))

    def take(self) -> list[str]:
        with self.lock:
            taken = list(self.keys)[:MOST_AT_ONCE]
            for key in taken:
                del self.keys[key]
            return taken


_waiting = Waiting()
_nodes: dict[str, tuple[int, NodeSeen]] = {}


def schedule(keys: Iterable[str]) -> None:
    """Find a node for the pods of these keys, and for whatever else waits by then."""
    _waiting.add(keys)
    while True:
        if not _waiting.turn.acquire(blocking=False):
            # Whoever has the turn looks for more before it gives it back.
            return
        try:
            while taken := _waiting.take():
                schedule_now(taken)
        finally:
            _waiting.turn.release()
        if not _waiting.keys:
            return


def schedule_now(keys: Sequence[str]) -> list[Placed]:
    """Decide about these pods and bind those that found a node; look again when the world has changed meanwhile."""
    for _ in range(TRIES):
        pods = [found for key in keys if (found := _unbound(key)) is not None]
        if not pods:
            return []
        nodes, counters = observe([pod.asking.owner for pod in pods if pod.asking.owner])
        decisions = place_all([pod.asking for pod in pods], nodes)
        try:
            commit(_apply(pods, decisions, counters), Origin(ACTOR, max(pod.revision for pod in pods)))
        except (Conflict, NotFound):
            continue
        _tell(pods, decisions)
        return decisions
    logger.warning("the nodes change faster than %d pods can be placed; they are looked at again", len(keys))
    return []


def waiting_pods() -> list[str]:
    """Return the keys of all pods without a node."""
    with pool.pool().connection() as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT namespace, name FROM scheduling_claim WHERE node = '' AND done = %s ORDER BY created", [False]
        )
        return [f"{namespace}/{name}" for namespace, name in cursor.fetchall()]


def observe(owners: Sequence[str] = ()) -> tuple[list[NodeSeen], dict[str, int]]:
    """Return the nodes with what is taken of them, and the counters to check; all from one snapshot."""
    with pool.snapshot() as cursor:
        cursor.execute(_NODES)
        rows = [stored_from_row(row) for row in cursor.fetchall()]
        cursor.execute(_USED, [False])
        used = {node: Resources(int(cpu), int(memory), count) for node, cpu, memory, count in cursor.fetchall()}
        cursor.execute(_COUNTERS, [])
        counters = {name.removeprefix("bound/"): int(value) for name, value in cursor.fetchall()}
        spread = _spread(cursor, sorted(set(owners)))
    nodes = []
    for stored in rows:
        seen = _node(stored)
        taken = used.get(seen.name, Resources())
        fields = (seen.labels, seen.taints, seen.unschedulable, seen.images, spread.get(seen.name, {}))
        nodes.append(NodeSeen(seen.name, seen.allocatable, taken, *fields))
    return nodes, counters


def _spread(cursor: Any, owners: Sequence[str]) -> dict[str, dict[str, int]]:
    """Count the pods of these owners on each node."""
    found: dict[str, dict[str, int]] = {}
    if not owners:
        return found
    places = ", ".join(["%s"] * len(owners))
    cursor.execute(
        "SELECT node, owner_uid, COUNT(*) FROM scheduling_claim WHERE node <> '' AND done = %s"
        f" AND owner_uid IN ({places}) GROUP BY node, owner_uid",
        [False, *owners],
    )
    for node, owner, count in cursor.fetchall():
        found.setdefault(node, {})[owner] = count
    return found


def _node(stored: Stored) -> NodeSeen:
    """A node's body is decoded once a revision."""
    known = _nodes.get(stored.uid)
    if known is None or known[0] != stored.revision:
        if len(_nodes) > 20_000:
            _nodes.clear()
        known = _nodes[stored.uid] = (stored.revision, node_seen(stored.object))
    return known[1]


@dataclass(frozen=True)
class _Pod:
    """A pod without a node: its row and its object, decoded once."""

    stored: Stored
    object: Object
    asking: PodAsking

    @property
    def revision(self) -> int:
        return self.stored.revision


def _unbound(key: str) -> _Pod | None:
    stored = read.get("Pod", *split_key(key))
    if stored is None or stored.deletion_milliseconds is not None:
        return None
    object = stored.object
    if object["spec"].get("nodeName") or (object.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
        return None
    return _Pod(stored, object, pod_asking(object))


def _apply(pods: Sequence[_Pod], decisions: Sequence[Placed], counters: dict[str, int]) -> Any:
    def work(transaction: Transaction) -> None:
        for node in sorted({decision.node for decision in decisions if decision.node}):
            transaction.check_bound(node, counters.get(node, 0))
        now = format_time(transaction.now)
        for pod, decision in zip(pods, decisions, strict=True):
            transaction.check_revision(pod.stored.uid, pod.stored.revision)
            _record(transaction, decision)
            if decision.node:
                changed = bound(pod.object, decision.node, now)
                transaction.update("Pod", changed, subresource="binding")
            elif not _says(pod.object, decision.message):
                transaction.update("Pod", unschedulable(pod.object, decision.message, now), subresource="status")

    return work


def bound(pod: Object, node: str, now: str) -> Object:
    """Return the pod with its node and the condition that tells it."""
    scheduled = {"type": "PodScheduled", "status": "True", "lastProbeTime": None, "lastTransitionTime": now}
    return {**_with_condition(pod, scheduled), "spec": {**pod["spec"], "nodeName": node}}


def unschedulable(pod: Object, message: str, now: str) -> Object:
    """Return the pod with the condition that says why it has no node."""
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    return _with_condition(pod, {**condition, "lastProbeTime": None, "lastTransitionTime": now})


def _with_condition(pod: Object, condition: Object) -> Object:
    status = pod.get("status") or {}
    before = status.get("conditions") or []
    same = next((c for c in before if c["type"] == "PodScheduled" and c["status"] == condition["status"]), None)
    if same is not None and same.get("lastTransitionTime"):
        condition = {**condition, "lastTransitionTime": same["lastTransitionTime"]}
    others = [c for c in before if c["type"] != "PodScheduled"]
    return {**pod, "status": {**status, "conditions": [*others, condition]}}


def _says(pod: Object, message: str) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(c["type"] == "PodScheduled" and c.get("message") == message for c in conditions)


def _record(transaction: Transaction, decision: Placed) -> None:
    uid = decision.pod.uid
    transaction.cursor.execute(_FORGET, [uid])
    rows = [
        (
            *(uid, row.node, transaction.now, row.passed, row.node == decision.node),
            *(row.filter, row.reason[:512], row.asked[:253], row.free[:253], row.score),
        )
        for row in decision.rows
    ]
    if rows:
        transaction.cursor.executemany(_RECORD, rows)


def _tell(pods: Sequence[_Pod], decisions: Sequence[Placed]) -> None:
    for pod, decision in zip(pods, decisions, strict=True):
        if decision.node:
            text = f"Successfully assigned {decision.pod.key} to {decision.node}"
            emit("Pod", pod.object, "Normal", "Scheduled", text, SOURCE)
        else:
            emit("Pod", pod.object, "Warning", "FailedScheduling", decision.message, SOURCE)


def forget_placements() -> None:
    """Drop the rows of pods that are gone; called by the resync."""
    try:
        commit(_forget_gone, Origin(ACTOR))
    except ApiError:
        logger.exception("placement rows of pods that are gone could not be dropped")


def _forget_gone(transaction: Transaction) -> None:
    transaction.cursor.execute("DELETE FROM scheduling_placement WHERE pod_uid NOT IN (SELECT uid FROM store_object)")
