"""Namespace: a room of its own for names."""

from datetime import datetime

from apps.kinds import cells, rules
from apps.kinds.kind import Cell, Column, Kind, Object
from apps.kinds.schema import STRING, TIME, Field, List, Struct
from apps.kinds.shapes.meta import OBJECT_META, TYPE_META

NAMESPACE_SPEC = Struct(
    "io.k8s.api.core.v1.NamespaceSpec",
    {
        "finalizers": Field(1, List(STRING)),
    },
)


NAMESPACE_CONDITION = Struct(
    "io.k8s.api.core.v1.NamespaceCondition",
    {
        "type": Field(1, STRING),
        "status": Field(2, STRING),
        "lastTransitionTime": Field(4, TIME),
        "reason": Field(5, STRING),
        "message": Field(6, STRING),
    },
)


NAMESPACE_STATUS = Struct(
    "io.k8s.api.core.v1.NamespaceStatus",
    {
        "phase": Field(1, STRING, enum=("Active", "Terminating")),
        "conditions": Field(2, List(NAMESPACE_CONDITION, keys=("type",)), patch="merge", merge_key="type"),
    },
)


SCHEMA = Struct(
    "io.k8s.api.core.v1.Namespace",
    {
        **TYPE_META,
        "metadata": Field(1, OBJECT_META),
        "spec": Field(2, NAMESPACE_SPEC),
        "status": Field(3, NAMESPACE_STATUS),
    },
)


def _status(namespace: Object, _now: datetime) -> Cell:
    return str(namespace.get("status", {}).get("phase", "Active"))


def _fill(namespace: Object) -> None:
    """Give every namespace the label of its own name, by which selectors find it."""
    metadata = namespace["metadata"]
    metadata.setdefault("labels", {})["kubernetes.io/metadata.name"] = metadata.get("name", "")
    namespace.setdefault("spec", {})


def _fill_created(namespace: Object) -> None:
    namespace["spec"]["finalizers"] = ["kubernetes"]
    namespace["status"] = {"phase": "Active"}


def _carry(new: Object, old: Object) -> None:
    new["spec"] = old.get("spec", {})


NAMESPACE = Kind(
    kind="Namespace",
    group="",
    version="v1",
    plural="namespaces",
    singular="namespace",
    short_names=("ns",),
    namespaced=False,
    subresources=frozenset({"status", "finalize"}),
    schema=SCHEMA,
    fill=_fill,
    fill_created=_fill_created,
    carry=_carry,
    columns=(cells.NAME, Column("Status", _status, description="The status of the namespace"), cells.AGE),
    check_name=rules.dns_label,
    fields=lambda namespace: {"status.phase": namespace.get("status", {}).get("phase", "")},
)
