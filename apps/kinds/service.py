"""Service: one address for the ready pods that a selector names."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from apps.kinds import cells, rules
from apps.kinds.kind import Cell, Change, Column, Kind, Object
from apps.kinds.problems import Path, Problem, child, duplicate, forbidden, invalid, required
from apps.kinds.schema import BOOLEAN, INT_OR_STRING, INTEGER, STRING, Field, List, Map, Struct
from apps.kinds.shapes.meta import CONDITION, OBJECT_META, TYPE_META

SERVICE_PORT = Struct(
    "io.k8s.api.core.v1.ServicePort",
    {
        "name": Field(1, STRING, check=rules.dns_label),
        "protocol": Field(2, STRING, enum=("TCP", "UDP", "SCTP"), default="TCP"),
        "appProtocol": Field(6, STRING, check=rules.label_key),
        "port": Field(3, INTEGER, required=True, check=rules.port),
        "targetPort": Field(4, INT_OR_STRING, check=rules.port_or_name),
        "nodePort": Field(5, INTEGER),
    },
)


CLIENT_IP_CONFIG = Struct(
    "io.k8s.api.core.v1.ClientIPConfig",
    {
        "timeoutSeconds": Field(1, INTEGER),
    },
)


SESSION_AFFINITY_CONFIG = Struct(
    "io.k8s.api.core.v1.SessionAffinityConfig",
    {
        "clientIP": Field(1, CLIENT_IP_CONFIG),
    },
)


SERVICE_SPEC = Struct(
    "io.k8s.api.core.v1.ServiceSpec",
    {
        "ports": Field(
            1,
            List(
                SERVICE_PORT,
                keys=(
                    "port",
                    "protocol",
                ),
            ),
            patch="merge",
            merge_key="port",
        ),
        "selector": Field(2, Map(STRING, check_key=rules.label_key, check_value=rules.label_value)),
        "clusterIP": Field(3, STRING, check=rules.ip_or_none),
        "clusterIPs": Field(18, List(STRING)),
        "type": Field(4, STRING, enum=("ClusterIP", "ExternalName", "LoadBalancer", "NodePort"), default="ClusterIP"),
        "externalIPs": Field(5, List(STRING), not_acted_on=True),
        "sessionAffinity": Field(7, STRING, enum=("ClientIP", "None"), default="None"),
        "loadBalancerIP": Field(8, STRING, not_acted_on=True),
        "loadBalancerSourceRanges": Field(9, List(STRING), not_acted_on=True),
        "externalName": Field(10, STRING),
        "externalTrafficPolicy": Field(11, STRING, enum=("Cluster", "Local")),
        "healthCheckNodePort": Field(12, INTEGER, not_acted_on=True),
        "publishNotReadyAddresses": Field(13, BOOLEAN, not_acted_on=True),
        "sessionAffinityConfig": Field(14, SESSION_AFFINITY_CONFIG),
        "ipFamilies": Field(19, List(STRING)),
        "ipFamilyPolicy": Field(17, STRING, enum=("SingleStack", "PreferDualStack", "RequireDualStack")),
        "allocateLoadBalancerNodePorts": Field(20, BOOLEAN),
        "loadBalancerClass": Field(21, STRING, not_acted_on=True),
        "internalTrafficPolicy": Field(22, STRING, enum=("Cluster", "Local")),
        "trafficDistribution": Field(23, STRING, not_acted_on=True),
    },
)


PORT_STATUS = Struct(
    "io.k8s.api.core.v1.PortStatus",
    {
        "port": Field(1, INTEGER),
        "protocol": Field(2, STRING),
        "error": Field(3, STRING),
    },
)


LOAD_BALANCER_INGRESS = Struct(
    "io.k8s.api.core.v1.LoadBalancerIngress",
    {
        "ip": Field(1, STRING),
        "hostname": Field(2, STRING),
        "ipMode": Field(3, STRING),
        "ports": Field(4, List(PORT_STATUS)),
    },
)


LOAD_BALANCER_STATUS = Struct(
    "io.k8s.api.core.v1.LoadBalancerStatus",
    {
        "ingress": Field(1, List(LOAD_BALANCER_INGRESS)),
    },
)


SERVICE_STATUS = Struct(
    "io.k8s.api.core.v1.ServiceStatus",
    {
        "loadBalancer": Field(1, LOAD_BALANCER_STATUS),
        "conditions": Field(2, List(CONDITION, keys=("type",)), patch="merge", merge_key="type"),
    },
)


SCHEMA = Struct(
    "io.k8s.api.core.v1.Service",
    {
        **TYPE_META,
        "metadata": Field(1, OBJECT_META),
        "spec": Field(2, SERVICE_SPEC, default={}),
        "status": Field(3, SERVICE_STATUS),
    },
)


def _type(service: Object, _now: datetime) -> Cell:
    return str(service["spec"].get("type", "ClusterIP"))


def _cluster_ip(service: Object, _now: datetime) -> Cell:
    return service["spec"].get("clusterIP") or "<none>"


def _external_ip(service: Object, _now: datetime) -> Cell:
    spec = service["spec"]
    external = list(spec.get("externalIPs") or ())
    if spec.get("type") == "ExternalName":
        return spec.get("externalName") or "<none>"
    if spec.get("type") == "LoadBalancer":
        ingress = service.get("status", {}).get("loadBalancer", {}).get("ingress") or ()
        external = [entry.get("ip") or entry.get("hostname", "") for entry in ingress] + external
        return ",".join(external) or "<pending>"
    return ",".join(external) or "<none>"


def _ports(service: Object, _now: datetime) -> Cell:
    return ",".join(_port(port) for port in service["spec"].get("ports") or ()) or "<none>"


def _port(port: dict[str, Any]) -> str:
    node_port = f":{port['nodePort']}" if port.get("nodePort") else ""
    return f"{port['port']}{node_port}/{port.get('protocol', 'TCP')}"


def _selector(service: Object, _now: datetime) -> Cell:
    return cells.labels_text(service["spec"].get("selector"))


COLUMNS = (
    cells.NAME,
    Column("Type", _type, description="How the service is exposed."),
    Column("Cluster-IP", _cluster_ip, description="The address inside the cluster."),
    Column("External-IP", _external_ip, description="Addresses outside the cluster."),
    Column("Port(s)", _ports, description="Ports of the service, with the port of the nodes."),
    cells.AGE,
    Column("Selector", _selector, priority=1, description="The labels of the pods behind the service."),
)

_PORTS: Path = ((None, "spec"), "ports")
_SPEC: Path = (None, "spec")
NODE_PORTS = range(30000, 32768)


def _fill(service: Object) -> None:
    spec = service["spec"]
    for port in spec.get("ports") or ():
        port.setdefault("targetPort", port["port"])
    if spec["sessionAffinity"] == "ClientIP":
        client = spec.setdefault("sessionAffinityConfig", {}).setdefault("clientIP", {})
        client.setdefault("timeoutSeconds", 10800)
    else:
        spec.pop("sessionAffinityConfig", None)
    if spec["type"] == "ExternalName":
        return
    spec.setdefault("internalTrafficPolicy", "Cluster")
    if spec["type"] in ("NodePort", "LoadBalancer"):
        spec.setdefault("externalTrafficPolicy", "Cluster")
    if spec["type"] == "LoadBalancer":
        spec.setdefault("allocateLoadBalancerNodePorts", True)
    spec.setdefault("ipFamilies", ["IPv4"])
    spec.setdefault("ipFamilyPolicy", "SingleStack")
    if spec.get("clusterIP"):
        spec.setdefault("clusterIPs", [spec["clusterIP"]])


def _fill_created(service: Object) -> None:
    service["status"] = {"loadBalancer": {}}


def _carry(new: Object, old: Object) -> None:
    """Keep what was allocated where the update says nothing of it, as a plain `kubectl apply` or `replace` does."""
    spec, before = new["spec"], old["spec"]
    if spec["type"] == "ExternalName" or before.get("type") == "ExternalName":
        return
    for field in ("clusterIP", "clusterIPs"):
        if not spec.get(field) and before.get(field):
            spec[field] = before[field]
    if spec["type"] in ("NodePort", "LoadBalancer"):
        known = {(port["port"], port.get("protocol")): port.get("nodePort") for port in before.get("ports") or ()}
        for port in spec.get("ports") or ():
            if not port.get("nodePort") and (kept := known.get((port["port"], port.get("protocol")))):
                port["nodePort"] = kept


def _rules(change: Change) -> list[Problem]:
    if change.subresource == "status":
        return []
    spec = change.object["spec"]
    problems = [*_type_problems(spec), *_port_problems(spec)]
    if change.old is not None:
        problems += _update_problems(spec, change.old["spec"])
    return problems


def _type_problems(spec: Object) -> Iterator[Problem]:
    headless = spec.get("clusterIP") == "None"
    if spec["type"] == "ExternalName":
        if not spec.get("externalName"):
            yield required(child(_SPEC, "externalName"))
        elif message := rules.dns_subdomain(spec["externalName"].removesuffix(".").lower()):
            yield invalid(child(_SPEC, "externalName"), spec["externalName"], message)
        if spec.get("clusterIP"):
            yield forbidden(child(_SPEC, "clusterIP"), "may not be set for ExternalName services")
    elif not spec.get("ports") and not headless:
        yield required(_PORTS)
    if headless and spec["type"] in ("NodePort", "LoadBalancer"):
        message = f"may not be set to 'None' for {spec['type']} services"
        yield invalid(child(_SPEC, "clusterIPs", 0), "None", message)


def _port_problems(spec: Object) -> Iterator[Problem]:
    ports = spec.get("ports") or ()
    names: set[str] = set()
    numbers: set[tuple[int, str]] = set()
    node_ports: set[tuple[int, str]] = set()
    for index, port in enumerate(ports):
        name = port.get("name", "")
        if not name and len(ports) > 1:
            yield required(child(_PORTS, index, "name"))
        elif name and name in names:
            yield duplicate(child(_PORTS, index, "name"), name)
        names.add(name)
        number = (port["port"], port["protocol"])
        if number in numbers:
            yield duplicate(child(_PORTS, index), {"port": port["port"], "protocol": port["protocol"]})
        numbers.add(number)
        yield from _node_port_problems(spec, port, child(_PORTS, index, "nodePort"), node_ports)


def _node_port_problems(spec: Object, port: Object, path: Path, seen: set[tuple[int, str]]) -> Iterator[Problem]:
    number = port.get("nodePort")
    if not number:
        return
    if spec["type"] in ("ClusterIP", "ExternalName"):
        yield forbidden(path, f"may not be used when `type` is '{spec['type']}'")
    elif number not in NODE_PORTS:
        message = "provided port is not in the valid range. The range of valid ports is 30000-32767"
        yield invalid(path, number, message)
    if (number, port["protocol"]) in seen:
        yield duplicate(path, number)
    seen.add((number, port["protocol"]))


def _update_problems(spec: Object, old: Object) -> Iterator[Problem]:
    if "ExternalName" in (spec["type"], old.get("type")):
        return
    if old.get("clusterIP") and spec.get("clusterIP") != old["clusterIP"]:
        yield invalid(child(_SPEC, "clusterIPs", 0), [spec.get("clusterIP")], "may not change once set")


def _advise(service: Object) -> Iterator[str]:
    spec = service["spec"]
    if spec["type"] == "LoadBalancer":
        yield "spec.type: LoadBalancer is treated as NodePort in this version; no external address is assigned"
    for field in ("internalTrafficPolicy", "externalTrafficPolicy"):
        if spec.get(field) == "Local":
            yield f"spec.{field}: Local is accepted but not acted on in this version; traffic goes to every node"
    if spec["type"] == "ExternalName":
        yield "spec.type: ExternalName is accepted but not acted on in this version"


SERVICE = Kind(
    kind="Service",
    group="",
    version="v1",
    plural="services",
    singular="service",
    short_names=("svc",),
    categories=("all",),
    subresources=frozenset({"status"}),
    schema=SCHEMA,
    columns=COLUMNS,
    check_name=rules.dns_1035_label,
    fill=_fill,
    fill_created=_fill_created,
    carry=_carry,
    rules=_rules,
    advise=lambda service: list(_advise(service)),
    fields=lambda service: {
        "spec.clusterIP": service["spec"].get("clusterIP", ""),
        "spec.type": service["spec"].get("type", ""),
    },
)
