"""Node: a machine that runs pods."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from apps.kinds import cells, rules
from apps.kinds.kind import Cell, Change, Column, Kind, Object
from apps.kinds.problems import Problem, child, duplicate
from apps.kinds.schema import BOOLEAN, INTEGER, INTEGER64, QUANTITY, STRING, TIME, Field, List, Map, Struct
from apps.kinds.shapes.meta import OBJECT_META, TYPE_META
from apps.kinds.shapes.placement import TAINT

NODE_SPEC = Struct(
    "io.k8s.api.core.v1.NodeSpec",
    {
        "podCIDR": Field(1, STRING, check=rules.cidr),
        "podCIDRs": Field(7, List(STRING, is_set=True), patch="merge"),
        "providerID": Field(3, STRING),
        "unschedulable": Field(4, BOOLEAN),
        "taints": Field(5, List(TAINT)),
        "externalID": Field(2, STRING),
    },
)


NODE_CONDITION = Struct(
    "io.k8s.api.core.v1.NodeCondition",
    {
        "type": Field(1, STRING),
        "status": Field(2, STRING),
        "lastHeartbeatTime": Field(3, TIME),
        "lastTransitionTime": Field(4, TIME),
        "reason": Field(5, STRING),
        "message": Field(6, STRING),
    },
)


NODE_ADDRESS = Struct(
    "io.k8s.api.core.v1.NodeAddress",
    {
        "type": Field(1, STRING),
        "address": Field(2, STRING),
    },
)


DAEMON_ENDPOINT = Struct(
    "io.k8s.api.core.v1.DaemonEndpoint",
    {
        "Port": Field(1, INTEGER),
    },
)


NODE_DAEMON_ENDPOINTS = Struct(
    "io.k8s.api.core.v1.NodeDaemonEndpoints",
    {
        "kubeletEndpoint": Field(1, DAEMON_ENDPOINT),
    },
)


NODE_SWAP_STATUS = Struct(
    "io.k8s.api.core.v1.NodeSwapStatus",
    {
        "capacity": Field(1, INTEGER64),
    },
)


NODE_SYSTEM_INFO = Struct(
    "io.k8s.api.core.v1.NodeSystemInfo",
    {
        "machineID": Field(1, STRING),
        "systemUUID": Field(2, STRING),
        "bootID": Field(3, STRING),
        "kernelVersion": Field(4, STRING),
        "osImage": Field(5, STRING),
        "containerRuntimeVersion": Field(6, STRING),
        "kubeletVersion": Field(7, STRING),
        "kubeProxyVersion": Field(8, STRING),
        "operatingSystem": Field(9, STRING),
        "architecture": Field(10, STRING),
        "swap": Field(11, NODE_SWAP_STATUS),
    },
)


CONTAINER_IMAGE = Struct(
    "io.k8s.api.core.v1.ContainerImage",
    {
        "names": Field(1, List(STRING)),
        "sizeBytes": Field(2, INTEGER64),
    },
)


ATTACHED_VOLUME = Struct(
    "io.k8s.api.core.v1.AttachedVolume",
    {
        "name": Field(1, STRING),
        "devicePath": Field(2, STRING),
    },
)


NODE_RUNTIME_HANDLER_FEATURES = Struct(
    "io.k8s.api.core.v1.NodeRuntimeHandlerFeatures",
    {
        "recursiveReadOnlyMounts": Field(1, BOOLEAN),
        "userNamespaces": Field(2, BOOLEAN),
    },
)


NODE_RUNTIME_HANDLER = Struct(
    "io.k8s.api.core.v1.NodeRuntimeHandler",
    {
        "name": Field(1, STRING),
        "features": Field(2, NODE_RUNTIME_HANDLER_FEATURES),
    },
)


NODE_FEATURES = Struct(
    "io.k8s.api.core.v1.NodeFeatures",
    {
        "supplementalGroupsPolicy": Field(1, BOOLEAN),
    },
)


NODE_STATUS = Struct(
    "io.k8s.api.core.v1.NodeStatus",
    {
        "capacity": Field(1, Map(QUANTITY)),
        "allocatable": Field(2, Map(QUANTITY)),
        "phase": Field(3, STRING),
        "conditions": Field(4, List(NODE_CONDITION, keys=("type",)), patch="merge", merge_key="type"),
        "addresses": Field(5, List(NODE_ADDRESS, keys=("type",)), patch="merge", merge_key="type"),
        "daemonEndpoints": Field(6, NODE_DAEMON_ENDPOINTS),
        "nodeInfo": Field(7, NODE_SYSTEM_INFO),
        "images": Field(8, List(CONTAINER_IMAGE)),
        "volumesInUse": Field(9, List(STRING)),
        "volumesAttached": Field(10, List(ATTACHED_VOLUME)),
        "runtimeHandlers": Field(12, List(NODE_RUNTIME_HANDLER)),
        "features": Field(13, NODE_FEATURES),
    },
)


SCHEMA = Struct(
    "io.k8s.api.core.v1.Node",
    {
        **TYPE_META,
        "metadata": Field(1, OBJECT_META),
        "spec": Field(2, NODE_SPEC),
        "status": Field(3, NODE_STATUS),
    },
)


_ROLE = "node-role.kubernetes.io/"


def _status(node: Object, _now: datetime) -> Cell:
    conditions = {c.get("type"): c.get("status") for c in node.get("status", {}).get("conditions") or ()}
    ready = conditions.get("Ready")
    word = "Unknown" if ready is None else "Ready" if ready == "True" else "NotReady"
    return f"{word},SchedulingDisabled" if node.get("spec", {}).get("unschedulable") else word


def _roles(node: Object, _now: datetime) -> Cell:
    labels = node["metadata"].get("labels") or {}
    roles = {key.removeprefix(_ROLE) for key in labels if key.startswith(_ROLE)}
    if labels.get("kubernetes.io/role"):
        roles.add(labels["kubernetes.io/role"])
    return ",".join(sorted(roles - {""})) or "<none>"


def _version(node: Object, _now: datetime) -> Cell:
    return str(_node_info(node).get("kubeletVersion", ""))


def _internal_ip(node: Object, _now: datetime) -> Cell:
    return _address(node, "InternalIP")


def _external_ip(node: Object, _now: datetime) -> Cell:
    return _address(node, "ExternalIP")


def _os_image(node: Object, _now: datetime) -> Cell:
    return _node_info(node).get("osImage") or "<unknown>"


def _kernel(node: Object, _now: datetime) -> Cell:
    return _node_info(node).get("kernelVersion") or "<unknown>"


def _runtime(node: Object, _now: datetime) -> Cell:
    return _node_info(node).get("containerRuntimeVersion") or "<unknown>"


def _node_info(node: Object) -> dict[str, str]:
    return node.get("status", {}).get("nodeInfo") or {}


def _address(node: Object, kind: str) -> str:
    addresses = node.get("status", {}).get("addresses") or ()
    return next((address["address"] for address in addresses if address.get("type") == kind), "<none>")


COLUMNS = (
    cells.NAME,
    Column("Status", _status, description="The status of the node"),
    Column("Roles", _roles, description="The roles of the node"),
    cells.AGE,
    Column("Version", _version, description="The version of the node's agent."),
    Column("Internal-IP", _internal_ip, priority=1, description="The address inside the cluster."),
    Column("External-IP", _external_ip, priority=1, description="The address outside the cluster."),
    Column("OS-Image", _os_image, priority=1, description="The operating system."),
    Column("Kernel-Version", _kernel, priority=1, description="The kernel."),
    Column("Container-Runtime", _runtime, priority=1, description="The container runtime."),
)


def _fill(node: Object) -> None:
    spec = node.setdefault("spec", {})
    if spec.get("podCIDR"):
        spec.setdefault("podCIDRs", [spec["podCIDR"]])


def _fill_created(node: Object) -> None:
    node.setdefault("status", {})


def _rules(change: Change) -> list[Problem]:
    if change.subresource == "status":
        return []
    return list(_taint_problems(change.object["spec"].get("taints") or ()))


def _taint_problems(taints: Sequence[Object]) -> Iterator[Problem]:
    seen = set()
    for index, taint in enumerate(taints):
        key = (taint["key"], taint["effect"])
        if key in seen:
            yield duplicate(child((None, "spec"), "taints", index), {"key": key[0], "effect": key[1]})
        seen.add(key)


NODE = Kind(
    kind="Node",
    group="",
    version="v1",
    plural="nodes",
    singular="node",
    short_names=("no",),
    namespaced=False,
    subresources=frozenset({"status"}),
    schema=SCHEMA,
    fill=_fill,
    fill_created=_fill_created,
    rules=_rules,
    status_on_create=True,
    columns=COLUMNS,
    fields=lambda node: {"spec.unschedulable": "true" if node.get("spec", {}).get("unschedulable") else "false"},
)
