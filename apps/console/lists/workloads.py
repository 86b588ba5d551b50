"""Lists of what runs: pods, deployments, replica sets."""

from datetime import datetime

from django.utils.translation import gettext_lazy as _

from apps.console import words
from apps.console.lists.base import Cell, Column, ListView, Object, created_of, name_of, namespace_of
from nodeworker.wire.podstatus import ready_count, restarts


def _node(pod: Object, _now: datetime) -> Cell:
    name = pod.get("spec", {}).get("nodeName")
    return [name, f"/nodes/{name}"] if name else None


PODS = ListView(
    name="pods",
    kind="Pod",
    resource="pods",
    title=_("Pods"),
    icon="box",
    href=lambda o: f"/n/{o['metadata']['namespace']}/pods/{o['metadata']['name']}",
    columns=(
        Column("name", _("Name"), "name", name_of),
        Column("namespace", _("Namespace"), "text", namespace_of, priority=2),
        Column("ready", _("Ready"), "ready", lambda o, now: list(ready_count(dict(o))), priority=2),
        Column("status", _("Status"), "state", lambda o, now: words.pod_state(o, now).cell()),
        Column("restarts", _("Restarts"), "number", lambda o, now: restarts(dict(o)), priority=2),
        Column("ip", _("IP"), "mono", lambda o, now: o.get("status", {}).get("podIP", ""), priority=3),
        Column("node", _("Node"), "link", _node, priority=2),
        Column("age", _("Age"), "age", created_of),
    ),
    facts=lambda o: {"node": o.get("spec", {}).get("nodeName", "")},
    empty=_("No pods run here. Deploy an image, and its pods appear the moment they are created."),
)


def _deployment_ready(deployment: Object, _now: datetime) -> Cell:
    return [
        int(deployment.get("status", {}).get("readyReplicas", 0)),
        int(deployment.get("spec", {}).get("replicas", 1)),
    ]


DEPLOYMENTS = ListView(
    name="deployments",
    kind="Deployment",
    resource="deployments.apps",
    title=_("Deployments"),
    icon="layers",
    href=lambda o: f"/n/{o['metadata']['namespace']}/deployments/{o['metadata']['name']}",
    columns=(
        Column("name", _("Name"), "name", name_of),
        Column("namespace", _("Namespace"), "text", namespace_of, priority=2),
        Column("status", _("Status"), "state", lambda o, now: words.deployment_state(o).cell()),
        Column("ready", _("Ready"), "ready", _deployment_ready),
        Column(
            "up-to-date",
            _("Up-to-date"),
            "number",
            lambda o, now: int(o.get("status", {}).get("updatedReplicas", 0)),
            priority=3,
        ),
        Column(
            "available",
            _("Available"),
            "number",
            lambda o, now: int(o.get("status", {}).get("availableReplicas", 0)),
            priority=3,
        ),
        Column(
            "images", _("Images"), "mono", lambda o, now: words.images_of(o["spec"]["template"]["spec"]), priority=2
        ),
        Column("age", _("Age"), "age", created_of, priority=2),
    ),
    empty=_("Nothing is deployed here yet. Choose an image and how many replicas, and it runs in a second."),
)

REPLICA_SETS = ListView(
    name="replicasets",
    kind="ReplicaSet",
    resource="replicasets.apps",
    title=_("Replica sets"),
    icon="copy",
    href=lambda o: f"/n/{o['metadata']['namespace']}/replicasets/{o['metadata']['name']}",
    columns=(
        Column("name", _("Name"), "name", name_of),
        Column("namespace", _("Namespace"), "text", namespace_of, priority=2),
        Column("status", _("Status"), "state", lambda o, now: words.replica_set_state(o).cell()),
        Column("desired", _("Desired"), "number", lambda o, now: int(o.get("spec", {}).get("replicas", 1)), priority=2),
        Column(
            "current", _("Current"), "number", lambda o, now: int(o.get("status", {}).get("replicas", 0)), priority=3
        ),
        Column(
            "ready", _("Ready"), "number", lambda o, now: int(o.get("status", {}).get("readyReplicas", 0)), priority=2
        ),
        Column(
            "images",
            _("Images"),
            "mono",
            lambda o, now: words.images_of(o["spec"].get("template", {}).get("spec", {})),
            priority=3,
        ),
        Column("age", _("Age"), "age", created_of),
    ),
    empty=_("No replica sets here. A deployment makes one for each of its revisions."),
)
