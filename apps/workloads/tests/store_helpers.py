"""What the tests over a real store share: objects as people post them, and a cluster stepped by hand."""

from typing import Any

from apps.scheduling.controller import schedule_now, waiting_pods
from apps.store import garbage, read, transaction
from apps.store.rows import Origin
from apps.workloads import loop, tasks
from apps.workloads.keys import Key

ALICE = Origin("alice")


def post_node(name: str = "n1", *, cpu: str = "4", memory: str = "8Gi", pods: str = "110", ready: bool = True) -> None:
    """Register a node, as its agent does."""
    transaction.create("Node", {"metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}}}, ALICE)
    amounts = {"cpu": cpu, "memory": memory, "pods": pods}
    word = "True" if ready else "False"
    condition = {"type": "Ready", "status": word, "reason": "KubeletReady", "message": "", **TIMES}
    status = {"capacity": amounts, "allocatable": amounts, "conditions": [condition]}
    transaction.modify("Node", "", name, lambda node: {**node, "status": status}, ALICE, subresource="status")


# A heartbeat far in the future: the tests decide when a node is silent, not the clock.
TIMES = {"lastHeartbeatTime": "2099-01-01T00:00:00Z", "lastTransitionTime": "2026-01-01T00:00:00Z"}


def template(image: str = "busybox:1", **container: Any) -> dict[str, Any]:
    """Return a pod template with one container."""
    return {
        "metadata": {"labels": {"app": "web"}},
        "spec": {"containers": [{"name": "c", "image": image, **container}]},
    }


def post_deployment(replicas: int = 3, image: str = "busybox:1", name: str = "web", **spec: Any) -> None:
    made = {
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "template": template(image),
            **spec,
        },
    }
    transaction.create("Deployment", made, ALICE)


def post_pod(name: str, *, cpu: str = "", labels: dict[str, str] | None = None, **spec: Any) -> None:
    resources = {"requests": {"cpu": cpu}} if cpu else {}
    container = {"name": "c", "image": "busybox:1", "resources": resources}
    made = {
        "metadata": {"name": name, "namespace": "default", "labels": labels or {}},
        "spec": {"containers": [container], **spec},
    }
    transaction.create("Pod", made, ALICE)


def objects(kind: str, namespace: str | None = "default") -> list[dict[str, Any]]:
    return [stored.object for stored in read.list_objects(kind, namespace).items]


def get(kind: str, name: str, namespace: str = "default") -> dict[str, Any]:
    stored = read.get(kind, namespace, name)
    assert stored is not None, f"{kind} {name} is gone"
    return stored.object


def make_ready(pod: dict[str, Any], address: str = "10.244.0.9") -> None:
    """Report a pod as running and ready, as its node does."""
    if not pod["spec"].get("nodeName") or pod["metadata"].get("deletionTimestamp"):
        return
    condition = {"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}
    status = {**pod["status"], "phase": "Running", "podIP": address, "conditions": [condition]}
    metadata = pod["metadata"]
    transaction.modify(
        "Pod", metadata["namespace"], metadata["name"], lambda p: {**p, "status": status}, ALICE, subresource="status"
    )


def finish_deletions() -> None:
    """Confirm the deletion of every terminating pod, as its node does."""
    for pod in objects("Pod", None):
        metadata = pod["metadata"]
        if metadata.get("deletionTimestamp"):
            transaction.delete("Pod", metadata["namespace"], metadata["name"], ALICE, grace_seconds=0)


def _revision() -> tuple[str, ...]:
    """The versions of everything but events, which are written in the background."""
    kinds = ("Node", "Namespace", "Deployment", "ReplicaSet", "Pod", "Service", "EndpointSlice", "Lease")
    return tuple(f"{stored.uid}@{stored.revision}" for kind in kinds for stored in read.list_objects(kind).items)


def settle(rounds: int = 40) -> None:
    """Let every controller, the scheduler and the nodes work until nothing changes."""
    for _ in range(rounds):
        before = _revision()
        for kind in loop.EVERYTHING:
            for stored in read.list_objects(kind).items:
                tasks.run(Key(kind, f"{stored.namespace}/{stored.name}" if stored.namespace else stored.name))
        schedule_now(waiting_pods())
        for key in garbage.sweep():
            garbage.collect(key)
        for pod in objects("Pod", None):
            if pod.get("status", {}).get("phase") != "Running":
                make_ready(pod)
        finish_deletions()
        if _revision() == before:
            return
    raise AssertionError("the cluster does not settle")
