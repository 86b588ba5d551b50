"""From Service and EndpointSlice objects to what the packet rules need. Pure; called by network/rules.py's callers."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Object = Mapping[str, Any]
Endpoint = tuple[str, int]


@dataclass(frozen=True, order=True)
class ServicePort:
    """One port of one service with the endpoints that may serve it now."""

    namespace: str
    name: str
    protocol: str  # tcp, udp, sctp
    cluster_ip: str
    port: int
    node_port: int = 0
    by_client: bool = False  # sessionAffinity: ClientIP
    endpoints: tuple[Endpoint, ...] = ()


def service_ports(services: Iterable[Object], slices: Iterable[Object]) -> list[ServicePort]:
    """All ports of all services that have an address of their own, in a stable order."""
    by_service: dict[tuple[str, str], list[Object]] = defaultdict(list)
    for entry in slices:
        metadata = entry["metadata"]
        owner = (metadata.get("labels") or {}).get("kubernetes.io/service-name")
        if owner:
            by_service[(metadata.get("namespace", ""), owner)].append(entry)
    result: list[ServicePort] = []
    for service in services:
        result += _ports_of(service, by_service)
    return sorted(result)


def _ports_of(service: Object, by_service: Mapping[tuple[str, str], list[Object]]) -> list[ServicePort]:
    metadata, spec = service["metadata"], service["spec"]
    address = spec.get("clusterIP")
    if not address or address == "None" or ":" in address:
        return []
    namespace, name = str(metadata.get("namespace", "")), str(metadata["name"])
    slices = by_service.get((namespace, name), [])
    return [
        ServicePort(
            namespace,
            name,
            str(port.get("protocol", "TCP")).lower(),
            str(address),
            int(port["port"]),
            int(port.get("nodePort") or 0) if spec.get("type") in ("NodePort", "LoadBalancer") else 0,
            spec.get("sessionAffinity") == "ClientIP",
            endpoints_of(slices, str(port.get("name") or ""), str(port.get("protocol", "TCP"))),
        )
        for port in spec.get("ports") or ()
    ]


def endpoints_of(slices: Iterable[Object], port_name: str, protocol: str) -> tuple[Endpoint, ...]:
    """The ready endpoints of a port; when none is ready, those that end but still serve."""
    ready: set[Endpoint] = set()
    ending: set[Endpoint] = set()
    for entry in slices:
        if entry.get("addressType", "IPv4") != "IPv4":
            continue
        for port in entry.get("ports") or ():
            if (port.get("name") or "") != port_name or str(port.get("protocol") or "TCP") != protocol:
                continue
            if not port.get("port"):
                continue
            for endpoint in entry.get("endpoints") or ():
                conditions = endpoint.get("conditions") or {}
                found = {(str(address), int(port["port"])) for address in endpoint.get("addresses") or ()}
                if conditions.get("ready", True) is not False:
                    ready |= found
                elif conditions.get("serving") and conditions.get("terminating"):
                    ending |= found
    return tuple(sorted(ready or ending))
