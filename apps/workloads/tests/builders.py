"""Objects for the tests of this app, as short as they can be said."""

from datetime import UTC, datetime, timedelta
from typing import Any

from apps.workloads.logic.seen import PodSeen, ReplicaSetSeen, replica_set_seen
from nodeworker.wire.time import format_time

NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
LABELS = {"app": "web"}


def pod(name: str = "p", **changes: Any) -> PodSeen:
    """Return a Running, ready pod of replica set `rs`, an hour old."""
    values: dict[str, Any] = {
        "name": name,
        "uid": f"uid-{name}",
        "labels": LABELS,
        "phase": "Running",
        "ready": True,
        "ready_since": NOW - timedelta(minutes=50),
        "created": NOW - timedelta(hours=1),
        "terminating": False,
        "node_name": "n1",
        "restarts": 0,
        "deletion_cost": 0,
        "controller": "rs",
    }
    values |= changes
    if not values["ready"]:
        values["ready_since"] = None
    return PodSeen(**values)


def replica_set(replicas: int = 3, **changes: Any) -> dict[str, Any]:
    """Return a ReplicaSet object; `changes` go into its spec."""
    spec = {
        "replicas": replicas,
        "selector": {"matchLabels": LABELS},
        "template": {"metadata": {"labels": LABELS}, "spec": {"containers": [{"name": "c", "image": "busybox"}]}},
    } | changes
    metadata = {
        "name": "web-1",
        "namespace": "shop",
        "uid": "rs",
        "generation": 1,
        "creationTimestamp": format_time(NOW),
    }
    return {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": metadata, "spec": spec}


def deployment(replicas: int = 3, image: str = "nginx:1", **changes: Any) -> dict[str, Any]:
    """Return a Deployment object with Kubernetes' defaults; `changes` go into its spec."""
    spec: dict[str, Any] = {
        "replicas": replicas,
        "selector": {"matchLabels": LABELS},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}},
        "revisionHistoryLimit": 10,
        "progressDeadlineSeconds": 600,
        "template": {"metadata": {"labels": dict(LABELS)}, "spec": {"containers": [{"name": "c", "image": image}]}},
    } | changes
    metadata = {
        "name": "web",
        "namespace": "shop",
        "uid": "d",
        "generation": 1,
        "annotations": {},
        "creationTimestamp": format_time(NOW),
    }
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}


def rolling(surge: int | str, unavailable: int | str) -> dict[str, Any]:
    """Return the strategy of a rolling update."""
    return {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}


def seen(object: dict[str, Any], *, available: int | None = None, age: int = 0, **changes: Any) -> ReplicaSetSeen:
    """Return a replica set as the deployment's controller sees it; all its pods are available unless told."""
    replicas = object["spec"]["replicas"]
    ready = replicas if available is None else available
    object = {
        **object,
        "metadata": {
            **object["metadata"],
            "uid": object["metadata"].get("uid") or "uid-" + object["metadata"]["name"],
            "creationTimestamp": format_time(NOW - timedelta(seconds=age)),
        },
        "status": {"replicas": replicas, "readyReplicas": ready, "availableReplicas": ready},
    }
    value = replica_set_seen(object)
    return ReplicaSetSeen(**{**{f: getattr(value, f) for f in value.__dataclass_fields__}, **changes})
