"""Lists of what belongs to the cluster: nodes, namespaces, events."""

from collections.abc import Mapping
from datetime import datetime

from django.utils.translation import gettext_lazy as _

from apps.console import words
from apps.console.lists.base import Cell, Column, ListView, Object, created_of, name_of, namespace_of

_PAGES = {
    "Pod": "pods",
    "Deployment": "deployments",
    "ReplicaSet": "replicasets",
    "Service": "services",
    "ConfigMap": "configmaps",
    "Secret": "secrets",
}


def object_page(kind: str, namespace: str, name: str) -> str:
    """The address of an object's page; empty when it has none."""
    if kind == "Node":
        return f"/nodes/{name}"
    if kind == "Namespace":
        return f"/namespaces/{name}"
    return f"/n/{namespace}/{_PAGES[kind]}/{name}" if kind in _PAGES and namespace else ""


def _roles(node: Object, _now: datetime) -> Cell:
    prefix = "node-role.kubernetes.io/"
    return (
        ",".join(
            sorted(label[len(prefix) :] for label in node["metadata"].get("labels") or {} if label.startswith(prefix))
        )
        or "<none>"
    )


def internal_address(node: Object, _now: datetime | None = None) -> str:
    """The node's InternalIP."""
    return next(
        (a["address"] for a in node.get("status", {}).get("addresses") or () if a.get("type") == "InternalIP"), ""
    )


NODES = ListView(
    name="nodes",
    kind="Node",
    resource="nodes",
    title=_("Nodes"),
    icon="server",
    namespaced=False,
    href=lambda o: f"/nodes/{o['metadata']['name']}",
    columns=(
        Column("name", _("Name"), "name", name_of),
        Column("status", _("Status"), "state", lambda o, now: words.node_state(o).cell()),
        Column("roles", _("Roles"), "text", _roles, priority=2),
        Column(
            "version",
            _("Version"),
            "text",
            lambda o, now: o.get("status", {}).get("nodeInfo", {}).get("kubeletVersion", ""),
            priority=2,
        ),
        Column("ip", _("Internal IP"), "mono", internal_address, priority=2),
        Column(
            "os",
            _("System"),
            "text",
            lambda o, now: o.get("status", {}).get("nodeInfo", {}).get("osImage", ""),
            priority=3,
        ),
        Column(
            "kernel",
            _("Kernel"),
            "text",
            lambda o, now: o.get("status", {}).get("nodeInfo", {}).get("kernelVersion", ""),
            priority=3,
        ),
        Column("age", _("Age"), "age", created_of),
    ),
    empty=_(
        "No node has registered. Its worker registers itself when it starts; see its log with ./gantry logs nodeworker."
    ),
)

NAMESPACES = ListView(
    name="namespaces",
    kind="Namespace",
    resource="namespaces",
    title=_("Namespaces"),
    icon="grid",
    namespaced=False,
    href=lambda o: f"/namespaces/{o['metadata']['name']}",
    columns=(
        Column("name", _("Name"), "name", name_of),
        Column("status", _("Status"), "state", lambda o, now: words.namespace_state(o).cell()),
        Column("age", _("Age"), "age", created_of),
    ),
)


def last_seen(event: Object, _now: datetime | None = None) -> str:
    """When an event was last seen, whichever of Kubernetes' three fields says it."""
    series = event.get("series") or {}
    return str(
        series.get("lastObservedTime")
        or event.get("lastTimestamp")
        or event.get("eventTime")
        or event["metadata"].get("creationTimestamp")
        or ""
    )


def event_object(event: Object, _now: datetime | None = None) -> Cell:
    """What an event is about, linked to its page."""
    about = event.get("involvedObject") or {}
    kind, name = str(about.get("kind", "")), str(about.get("name", ""))
    return [f"{kind.lower()}/{name}", object_page(kind, str(about.get("namespace", "")), name)]


def _event_facts(event: Object) -> Mapping[str, str]:
    about = event.get("involvedObject") or {}
    return {"uid": str(about.get("uid", "")), "kind": str(about.get("kind", "")), "object": str(about.get("name", ""))}


def _event_href(event: Object) -> str:
    cell = event_object(event)
    return str(cell[1]) if isinstance(cell, list) else ""


EVENTS = ListView(
    name="events",
    kind="Event",
    resource="events",
    title=_("Events"),
    icon="activity",
    href=_event_href,
    sort="last-seen",
    descending=True,
    columns=(
        Column("type", _("Type"), "state", lambda o, now: words.event_state(o).cell()),
        Column("namespace", _("Namespace"), "text", namespace_of, priority=3),
        Column("reason", _("Reason"), "name", lambda o, now: str(o.get("reason", ""))),
        Column("object", _("Object"), "link", event_object, priority=2),
        Column("message", _("Message"), "text", lambda o, now: str(o.get("message", "")), priority=2),
        Column(
            "count",
            _("Count"),
            "number",
            lambda o, now: int((o.get("series") or {}).get("count") or o.get("count") or 1),
            priority=3,
        ),
        Column("last-seen", _("Last seen"), "age", last_seen),
    ),
    facts=_event_facts,
    empty=_("Nothing has happened here in the last hour."),
)
