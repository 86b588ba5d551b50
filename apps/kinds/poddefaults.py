"""Defaults of a pod's specification that depend on other fields. Those that do not are in the shapes.

Called by Pod and, for their templates, by ReplicaSet and Deployment. Changes the specification in place: it is
admission's own copy.
"""

from collections.abc import Iterable
from typing import Any

from nodeworker.wire.reference import InvalidReference, parse_reference

Spec = dict[str, Any]

_SOON_AWAY = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
_STAYS_SECONDS = 300


def fill_pod_spec(spec: Spec) -> None:
    """Fill what a pod and a template share."""
    for container in containers(spec):
        if not container.get("imagePullPolicy"):
            container["imagePullPolicy"] = pull_policy(container.get("image", ""))
        _fill_requests(container.get("resources") or {})
        if spec.get("hostNetwork"):
            for port in container.get("ports") or ():
                port.setdefault("hostPort", port["containerPort"])
    for volume in spec.get("volumes") or ():
        if len(volume) == 1:  # a name alone is an empty directory
            volume["emptyDir"] = {}
    account = spec.get("serviceAccountName") or spec.get("serviceAccount")
    if account:
        spec["serviceAccountName"] = spec["serviceAccount"] = account


def fill_new_pod(spec: Spec) -> None:
    """Fill what only a pod gets, when it is created."""
    spec.setdefault("enableServiceLinks", True)
    spec.setdefault("serviceAccountName", "default")
    spec["serviceAccount"] = spec["serviceAccountName"]
    spec.setdefault("priority", 0)
    spec.setdefault("preemptionPolicy", "PreemptLowerPriority")
    tolerations = spec.setdefault("tolerations", [])
    for key in _SOON_AWAY:
        if not any(_tolerates(toleration, key) for toleration in tolerations):
            tolerations.append(
                {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": _STAYS_SECONDS}
            )


def _tolerates(toleration: Spec, key: str) -> bool:
    return toleration.get("key", "") in ("", key) and toleration.get("effect", "") in ("", "NoExecute")


def containers(spec: Spec) -> Iterable[Spec]:
    """Return init containers and containers."""
    return [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]


def pull_policy(image: str) -> str:
    """Return Always for what may have moved, the tag latest, and IfNotPresent for every other tag and for digests."""
    try:
        reference = parse_reference(image)
    except InvalidReference:
        return "IfNotPresent"
    return "Always" if reference.tag == "latest" and not reference.digest else "IfNotPresent"


def _fill_requests(resources: Spec) -> None:
    """Ask for what the limit allows where nothing is asked for."""
    limits = resources.get("limits")
    if not limits:
        return
    requests = resources.setdefault("requests", {})
    for name, quantity in limits.items():
        requests.setdefault(name, quantity)


def quality_of_service(spec: Spec) -> str:
    """Return the QoS class: Guaranteed, Burstable or BestEffort."""
    asked = False
    guaranteed = True
    for container in containers(spec):
        resources = container.get("resources") or {}
        requests, limits = resources.get("requests") or {}, resources.get("limits") or {}
        for name in ("cpu", "memory"):
            asked = asked or requests.get(name, "0") != "0" or limits.get(name, "0") != "0"
            guaranteed = guaranteed and limits.get(name, "0") != "0" and requests.get(name) == limits[name]
    if not asked:
        return "BestEffort"
    return "Guaranteed" if guaranteed else "Burstable"
