"""The list of services."""

from datetime import datetime

from django.utils.translation import gettext_lazy as _

from apps.console import words
from apps.console.lists.base import Cell, Column, ListView, Object, created_of, name_of, namespace_of


def _cluster_ip(service: Object, _now: datetime) -> Cell:
    return str(service.get("spec", {}).get("clusterIP") or "None")


SERVICES = ListView(
    name="services",
    kind="Service",
    resource="services",
    title=_("Services"),
    icon="share-2",
    href=lambda o: f"/n/{o['metadata']['namespace']}/services/{o['metadata']['name']}",
    columns=(
        Column("name", _("Name"), "name", name_of),
        Column("namespace", _("Namespace"), "text", namespace_of, priority=2),
        Column("type", _("Type"), "text", lambda o, now: o.get("spec", {}).get("type", "ClusterIP")),
        Column("cluster-ip", _("Cluster IP"), "mono", _cluster_ip, priority=2),
        Column("ports", _("Ports"), "mono", lambda o, now: words.ports_text(o)),
        Column(
            "selector",
            _("Selector"),
            "mono",
            lambda o, now: ",".join(f"{k}={v}" for k, v in (o["spec"].get("selector") or {}).items()),
            priority=3,
        ),
        Column("age", _("Age"), "age", created_of, priority=2),
    ),
    empty=_("No services here. A service gives a set of pods one address that stays; tick Publish when you deploy."),
)
