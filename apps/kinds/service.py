"""Service: one address for the ready pods that a selector names."""

from datetime import datetime
from typing import Any

from apps.kinds import cells, rules
from apps.kinds.kind import Cell, Column, Kind, Object
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
        "selector": Field(2, Map(STRING)),
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
        "publishNotReadyAddresses": Field(13, BOOLEAN),
        "sessionAffinityConfig": Field(14, SESSION_AFFINITY_CONFIG),
        "ipFamilies": Field(19, List(STRING)),
        "ipFamilyPolicy": Field(17, STRING, enum=("SingleStack", "PreferDualStack", "RequireDualStack")),
        "allocateLoadBalancerNodePorts": Field(20, BOOLEAN),
        "loadBalancerClass": Field(21, STRING, not_acted_on=True),
        "internalTrafficPolicy": Field(22, STRING, enum=("Cluster", "Local"), default="Cluster"),
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
        "spec": Field(2, SERVICE_SPEC),
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
    fields=lambda service: {
        "spec.clusterIP": service["spec"].get("clusterIP", ""),
        "spec.type": service["spec"].get("type", ""),
    },
)
