"""EndpointSlice: the addresses behind a service."""

from collections.abc import Iterator
from datetime import datetime

from apps.kinds import cells, rules
from apps.kinds.kind import Cell, Change, Column, Kind, Object
from apps.kinds.problems import Path, Problem, child, invalid
from apps.kinds.schema import BOOLEAN, INTEGER, STRING, Field, List, Map, Struct
from apps.kinds.shapes.meta import OBJECT_META, TYPE_META
from apps.kinds.shapes.references import OBJECT_REFERENCE

ENDPOINT_CONDITIONS = Struct(
    "io.k8s.api.discovery.v1.EndpointConditions",
    {
        "ready": Field(1, BOOLEAN),
        "serving": Field(2, BOOLEAN),
        "terminating": Field(3, BOOLEAN),
    },
)


FOR_ZONE = Struct(
    "io.k8s.api.discovery.v1.ForZone",
    {
        "name": Field(1, STRING),
    },
)


FOR_NODE = Struct(
    "io.k8s.api.discovery.v1.ForNode",
    {
        "name": Field(1, STRING),
    },
)


ENDPOINT_HINTS = Struct(
    "io.k8s.api.discovery.v1.EndpointHints",
    {
        "forZones": Field(1, List(FOR_ZONE)),
        "forNodes": Field(2, List(FOR_NODE)),
    },
)


ENDPOINT = Struct(
    "io.k8s.api.discovery.v1.Endpoint",
    {
        "addresses": Field(1, List(STRING, is_set=True), required=True),
        "conditions": Field(2, ENDPOINT_CONDITIONS),
        "hostname": Field(3, STRING, check=rules.dns_label),
        "targetRef": Field(4, OBJECT_REFERENCE),
        "deprecatedTopology": Field(5, Map(STRING)),
        "nodeName": Field(6, STRING),
        "zone": Field(7, STRING),
        "hints": Field(8, ENDPOINT_HINTS),
    },
)


ENDPOINT_PORT = Struct(
    "io.k8s.api.discovery.v1.EndpointPort",
    {
        "name": Field(1, STRING, default=""),
        "protocol": Field(2, STRING, enum=("TCP", "UDP", "SCTP"), default="TCP"),
        "port": Field(3, INTEGER, check=rules.port),
        "appProtocol": Field(4, STRING),
    },
)


SCHEMA = Struct(
    "io.k8s.api.discovery.v1.EndpointSlice",
    {
        **TYPE_META,
        "metadata": Field(1, OBJECT_META),
        "addressType": Field(4, STRING, required=True, enum=("IPv4", "IPv6", "FQDN")),
        "endpoints": Field(2, List(ENDPOINT)),
        "ports": Field(3, List(ENDPOINT_PORT)),
    },
)


def _address_type(endpoint_slice: Object, _now: datetime) -> Cell:
    return str(endpoint_slice.get("addressType", ""))


def _ports(endpoint_slice: Object, _now: datetime) -> Cell:
    ports = endpoint_slice.get("ports") or ()
    if not ports:
        return "<unset>"
    return _first_three([str(port["port"]) if port.get("port") else "*" for port in ports])


def _endpoints(endpoint_slice: Object, _now: datetime) -> Cell:
    endpoints = endpoint_slice.get("endpoints") or ()
    addresses = [address for endpoint in endpoints for address in endpoint.get("addresses") or ()]
    return _first_three(addresses) if addresses else "<unset>"


def _first_three(words: list[str]) -> str:
    more = f" + {len(words) - 3} more..." if len(words) > 3 else ""
    return ",".join(words[:3]) + more


COLUMNS = (
    cells.NAME,
    Column("AddressType", _address_type, description="The kind of addresses in this slice."),
    Column("Ports", _ports, description="Ports that the endpoints serve."),
    Column("Endpoints", _endpoints, description="Addresses of the endpoints."),
    cells.AGE,
)

_MOST_ENDPOINTS = 1000
_MOST_ADDRESSES = 100


def _rules(change: Change) -> list[Problem]:
    return list(_problems(change.object, change.old))


def _problems(endpoint_slice: Object, old: Object | None) -> Iterator[Problem]:
    endpoints = endpoint_slice.get("endpoints") or ()
    if len(endpoints) > _MOST_ENDPOINTS:
        yield Problem("endpoints", "TooMany", f"must have at most {_MOST_ENDPOINTS} items", len(endpoints))
    for index, endpoint in enumerate(endpoints):
        path: Path = child((None, "endpoints"), index, "addresses")
        if len(endpoint["addresses"]) > _MOST_ADDRESSES:
            yield invalid(path, len(endpoint["addresses"]), f"must have at most {_MOST_ADDRESSES} items")
        for position, address in enumerate(endpoint["addresses"]):
            fqdn = endpoint_slice["addressType"] == "FQDN"
            if message := rules.dns_subdomain(address) if fqdn else rules.ip_address(address):
                yield invalid((path, position), address, message)
    if old is not None and old.get("addressType") != endpoint_slice["addressType"]:
        yield invalid((None, "addressType"), endpoint_slice["addressType"], "field is immutable")


ENDPOINT_SLICE = Kind(
    kind="EndpointSlice",
    group="discovery.k8s.io",
    version="v1",
    plural="endpointslices",
    singular="endpointslice",
    schema=SCHEMA,
    columns=COLUMNS,
    rules=_rules,
    has_generation=True,
)
