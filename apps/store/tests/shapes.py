"""Small objects for the store's tests."""

from typing import Any

from apps.store.rows import Origin

ALICE = Origin("alice")
Json = dict[str, Any]


def config_map(name: str, *, data: str = "v", namespace: str = "default", **metadata: Any) -> Json:
    """A ConfigMap: the plainest kind there is."""
    return {"metadata": {"name": name, "namespace": namespace, **metadata}, "data": {"key": data}}


def pod(name: str, *, namespace: str = "default", node: str = "", **metadata: Any) -> Json:
    """A pod, bound when `node` is given."""
    spec: Json = {"containers": [{"name": "main", "image": "busybox"}]}
    if node:
        spec["nodeName"] = node
    return {"metadata": {"name": name, "namespace": namespace, **metadata}, "spec": spec}


def owned_by(uid: str, *, kind: str = "ConfigMap", name: str = "owner", blocking: bool = False) -> list[Json]:
    """An owner reference that names the controller."""
    reference = {"apiVersion": "v1", "kind": kind, "name": name, "uid": uid, "controller": True}
    return [{**reference, "blockOwnerDeletion": blocking}]
