"""What the store fills into a Service: addresses and ports. Pure; `apps.networking.allocation` gives what is taken.

A value that the user asks for is checked, a value that was given out before is kept, the rest is chosen.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from apps.networking.logic import allocation

EXPOSED = ("NodePort", "LoadBalancer")


@dataclass(frozen=True)
class Taken:
    """What the other services have."""

    addresses: Collection[str]
    ports: Collection[int]


class RefusedError(Exception):
    """The service asks for something that it cannot have; `path` says which field."""

    def __init__(self, path: str, message: str, value: object = None) -> None:
        super().__init__(f"{path}: {message}")
        self.path, self.message, self.value = path, message, value


def fill(service: Mapping[str, Any], old: Mapping[str, Any] | None, taken: Taken, cidr: str) -> dict[str, Any]:
    """Return the service with its cluster address and node ports."""
    spec = dict(service["spec"])
    before = (old or {}).get("spec") or {}
    if spec.get("type") == "ExternalName":
        for name in ("clusterIP", "clusterIPs"):
            spec.pop(name, None)
        return {**service, "spec": spec}
    _fill_address(spec, before, taken, cidr, service["metadata"].get("uid") or service["metadata"]["name"])
    _fill_ports(spec, before, taken, service["metadata"].get("uid") or service["metadata"]["name"])
    return {**service, "spec": spec}


def addresses_of(spec: Mapping[str, Any]) -> list[str]:
    """Return the cluster addresses that a service holds."""
    address = spec.get("clusterIP")
    return [address] if address and address != "None" else []


def node_ports_of(spec: Mapping[str, Any]) -> list[int]:
    """Return the node ports that a service holds."""
    return [port["nodePort"] for port in spec.get("ports") or () if port.get("nodePort")]


def _fill_address(spec: dict[str, Any], before: Mapping[str, Any], taken: Taken, cidr: str, seed: str) -> None:
    asked = spec.get("clusterIP") or next(iter(spec.get("clusterIPs") or ()), "")
    held = before.get("clusterIP") or ""
    if not asked and held:
        asked = held
    if asked == "None":
        spec["clusterIP"], spec["clusterIPs"] = "None", ["None"]
        return
    if asked and asked != held:
        if held and held != "None":
            raise RefusedError("spec.clusterIP", "field is immutable", asked)
        if not allocation.in_range(cidr, asked):
            raise RefusedError("spec.clusterIP", f"must be an address of the service range {cidr}", asked)
        if asked in taken.addresses:
            raise RefusedError("spec.clusterIP", "the address is already allocated to another service", asked)
    spec["clusterIP"] = asked or allocation.address(cidr, taken.addresses, seed)
    spec["clusterIPs"] = [spec["clusterIP"]]
    spec.setdefault("ipFamilies", ["IPv4"])
    spec.setdefault("ipFamilyPolicy", "SingleStack")


def _fill_ports(spec: dict[str, Any], before: Mapping[str, Any], taken: Taken, seed: str) -> None:
    if not spec.get("ports"):
        return
    held = {_identity(p): p["nodePort"] for p in before.get("ports") or () if p.get("nodePort")}
    ports = [dict(port) for port in spec["ports"]]
    mine = {port["nodePort"] for port in ports if port.get("nodePort")}
    for index, port in enumerate(ports):
        if spec.get("type") not in EXPOSED:
            # Left over from when the service was a NodePort; only that type may hold one.
            port.pop("nodePort", None)
        elif port.get("nodePort"):
            if port["nodePort"] in taken.ports:
                raise RefusedError(
                    f"spec.ports[{index}].nodePort", "provided port is already allocated", port["nodePort"]
                )
        else:
            kept = held.get(_identity(port))
            chosen = (
                kept if kept and kept not in mine else allocation.node_port({*taken.ports, *mine}, f"{seed}{index}")
            )
            port["nodePort"] = chosen
            mine.add(chosen)
    spec["ports"] = ports


def _identity(port: Mapping[str, Any]) -> tuple[Any, ...]:
    return port.get("port"), port.get("protocol") or "TCP"
