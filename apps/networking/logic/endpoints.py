"""The endpoint slices of a Service: which pods answer for it, under which ports. Called by `controllers.py`; pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from zlib import crc32

from nodeworker.wire.selectors import selector_from_labels

SERVICE_NAME = "kubernetes.io/service-name"
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
MANAGER = "endpointslice-controller.k8s.io"
HEADLESS = "service.kubernetes.io/headless"
LARGEST_SLICE = 100

Ports = tuple[tuple[str, str, int, str], ...]


@dataclass(frozen=True)
class Plan:
    """Slices to create, to replace (with the body that they should have) and to delete by name."""

    create: tuple[Mapping[str, Any], ...] = ()
    update: tuple[Mapping[str, Any], ...] = ()
    delete: tuple[str, ...] = field(default=())

    def __bool__(self) -> bool:
        return bool(self.create or self.update or self.delete)


def selects(service: Mapping[str, Any], pod_labels: Mapping[str, str]) -> bool:
    """Whether the service's selector matches these labels; a service without a selector selects nothing."""
    spec = service["spec"]
    return spec.get("type") != "ExternalName" and selector_from_labels(spec.get("selector")).matches(pod_labels)


def decide(service: Mapping[str, Any], pods: Sequence[Mapping[str, Any]], slices: Sequence[Mapping[str, Any]]) -> Plan:
    """Return what brings the slices that we manage to what the service's pods are now."""
    wanted = {made["metadata"]["name"]: made for made in desired(service, pods)}
    present = {s["metadata"]["name"]: s for s in slices}
    create = tuple(made for name, made in wanted.items() if name not in present)
    update = tuple(
        {**made, "metadata": {**present[name]["metadata"], "labels": made["metadata"]["labels"]}}
        for name, made in wanted.items()
        if name in present and _differs(made, present[name])
    )
    return Plan(create, update, tuple(name for name in present if name not in wanted))


def desired(service: Mapping[str, Any], pods: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the slices of a service; at least one, so that nobody takes 'no endpoints' for 'not looked at yet'."""
    spec = service["spec"]
    if not spec.get("selector") or spec.get("type") == "ExternalName":
        return []
    groups: dict[Ports, list[dict[str, Any]]] = {}
    for pod in sorted(pods, key=lambda pod: str(pod["metadata"]["name"])):
        if answers(pod) and selects(service, pod["metadata"].get("labels") or {}):
            ready = is_ready(pod) or bool(spec.get("publishNotReadyAddresses"))
            groups.setdefault(ports_of(service, pod), []).append(endpoint(pod, ready))
    if not groups:
        groups[ports_of(service, None)] = []
    made = []
    for ports, endpoints in sorted(groups.items()):
        for index in range(0, max(1, len(endpoints)), LARGEST_SLICE):
            made.append(_slice(service, ports, endpoints[index : index + LARGEST_SLICE], index // LARGEST_SLICE))
    return made


def answers(pod: Mapping[str, Any]) -> bool:
    """Whether the pod is listed at all: it has an address, is not finished and is not on its way out."""
    status = pod.get("status") or {}
    if pod["metadata"].get("deletionTimestamp") or status.get("phase") in ("Succeeded", "Failed"):
        return False
    return bool(status.get("podIP"))


def is_ready(pod: Mapping[str, Any]) -> bool:
    """Whether the pod's condition Ready is True."""
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(c.get("type") == "Ready" and c.get("status") == "True" for c in conditions)


def endpoint(pod: Mapping[str, Any], ready: bool) -> dict[str, Any]:
    """Return the endpoint of a pod."""
    metadata = pod["metadata"]
    made: dict[str, Any] = {
        "addresses": [pod["status"]["podIP"]],
        "conditions": {"ready": ready, "serving": ready, "terminating": False},
        "nodeName": (pod.get("spec") or {}).get("nodeName") or "",
        "targetRef": {
            "kind": "Pod",
            "namespace": metadata["namespace"],
            "name": metadata["name"],
            "uid": metadata["uid"],
        },
    }
    hostname, subdomain = pod["spec"].get("hostname"), pod["spec"].get("subdomain")
    if hostname and subdomain:
        made["hostname"] = hostname
    return made


def ports_of(service: Mapping[str, Any], pod: Mapping[str, Any] | None) -> Ports:
    """Return (name, protocol, port, appProtocol) for each port that the pod has; a named port it lacks is left out."""
    found = []
    for port in service["spec"].get("ports") or ():
        number = target_port(port, pod)
        if number:
            found.append((port.get("name") or "", port.get("protocol") or "TCP", number, port.get("appProtocol") or ""))
    return tuple(found)


def target_port(port: Mapping[str, Any], pod: Mapping[str, Any] | None) -> int:
    """Return the number behind a service port's targetPort, or 0 if the pod has no port of that name."""
    target = port.get("targetPort") or port["port"]
    if isinstance(target, int):
        return target
    if target.isdigit():
        return int(target)
    if pod is None:
        return 0
    for container in pod["spec"].get("containers") or ():
        for declared in container.get("ports") or ():
            same = (declared.get("protocol") or "TCP") == (port.get("protocol") or "TCP")
            if declared.get("name") == target and same:
                return int(declared["containerPort"])
    return 0


def _slice(
    service: Mapping[str, Any], ports: Ports, endpoints: Sequence[Mapping[str, Any]], index: int
) -> dict[str, Any]:
    metadata = service["metadata"]
    labels = {**(metadata.get("labels") or {}), SERVICE_NAME: metadata["name"], MANAGED_BY: MANAGER}
    if service["spec"].get("clusterIP") == "None":
        labels[HEADLESS] = ""
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            # The same ports give the same name: two controllers at work cannot make two slices of one set.
            "name": f"{metadata['name']}-{crc32(repr((ports, index)).encode()):08x}",
            "namespace": metadata["namespace"],
            "labels": labels,
            "ownerReferences": [
                {
                    "apiVersion": "v1",
                    "kind": "Service",
                    "name": metadata["name"],
                    "uid": metadata["uid"],
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ],
        },
        "addressType": "IPv4",
        "endpoints": list(endpoints),
        "ports": [_port(*port) for port in ports],
    }


def _port(name: str, protocol: str, number: int, application: str) -> dict[str, Any]:
    made: dict[str, Any] = {"name": name, "protocol": protocol, "port": number}
    if application:
        made["appProtocol"] = application
    return made


def _differs(made: Mapping[str, Any], present: Mapping[str, Any]) -> bool:
    same = all((made[name] or []) == (present.get(name) or []) for name in ("endpoints", "ports"))
    return not same or made["metadata"]["labels"] != (present["metadata"].get("labels") or {})
