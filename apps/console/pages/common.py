"""What several pages share: events of an object, its YAML, its deletion, services that select its pods."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import yaml
from django.db import connection
from django.utils.translation import gettext as _

from apps.console import words
from apps.console.actions import Action, api_path
from apps.console.lists.cluster import internal_address
from apps.console.viewer import Viewer
from apps.events.models import Event
from apps.kinds.registry import by_kind
from apps.store.pool import in_thread
from apps.store.read import list_objects_async
from nodeworker.wire.selectors import selector_from_labels

Object = Mapping[str, Any]
Json = dict[str, Any]
MOST_EVENTS = 12
T = TypeVar("T")


async def read_models(work: Callable[[], T]) -> T:
    """Read Django models in a thread of the store's read pool, whose Django connection must not linger."""

    def in_pool() -> T:
        try:
            return work()
        finally:
            connection.close()

    return await in_thread(in_pool)


async def events_of(uids: Iterable[str]) -> list[Event]:
    """The newest events about these objects."""
    wanted = list(uids)
    return await read_models(
        lambda: list(Event.objects.filter(object_uid__in=wanted).order_by("-last_seen")[:MOST_EVENTS])
    )


def yaml_of(object_: Object) -> str:
    """The object as YAML, without what only machines read."""
    metadata = {key: value for key, value in object_["metadata"].items() if key != "managedFields"}
    ordered = {"apiVersion": object_.get("apiVersion"), "kind": object_.get("kind"), **object_, "metadata": metadata}
    return str(
        yaml.dump(ordered, Dumper=yaml.CSafeDumper, sort_keys=False, allow_unicode=True, default_flow_style=False)
    )


def path_of(object_: Object, subresource: str = "") -> str:
    """The object's address in the Kubernetes API."""
    kind = by_kind(str(object_["kind"]))
    metadata = object_["metadata"]
    return api_path(kind.api_version, kind.plural, metadata.get("namespace", ""), metadata["name"], subresource)


def yaml_tab(viewer: Viewer, object_: Object, resource: str) -> Json:
    """What the YAML tab needs: the text, where it is saved, and whether it may be."""
    metadata = object_["metadata"]
    editable = viewer.may("update", resource, metadata.get("namespace", ""), metadata["name"])
    return {"yaml": yaml_of(object_), "url": path_of(object_), "editable": editable, "name": metadata["name"]}


def labels_of(object_: Object) -> list[str]:
    """Labels as key=value."""
    return [f"{key}={value}" for key, value in (object_["metadata"].get("labels") or {}).items()]


async def services_for(namespace: str, pod_labels: Mapping[str, str]) -> list[Json]:
    """The services of a namespace that select pods with these labels."""
    listing = await list_objects_async("Service", namespace)
    services = [stored.object for stored in listing.items]
    return [
        s
        for s in services
        if s["spec"].get("selector") and selector_from_labels(s["spec"]["selector"]).matches(pod_labels)
    ]


async def node_address() -> str:
    """An address at which published ports answer: that of a ready node."""
    listing = await list_objects_async("Node")
    nodes = [stored.object for stored in listing.items]
    ready = [node for node in nodes if words.condition(node, "Ready").get("status") == "True"] or nodes
    return next((address for node in ready if (address := str(internal_address(node)))), "127.0.0.1")


def published(service: Object, address: str) -> list[Json]:
    """The addresses of a service: published ones can be opened, inner ones are for pods."""
    spec, metadata = service.get("spec", {}), service["metadata"]
    host = f"[{address}]" if ":" in address else address
    found: list[Json] = []
    for port in spec.get("ports") or ():
        inner = f"{metadata['name']}.{metadata['namespace']}:{port['port']}"
        if port.get("nodePort"):
            found.append(
                {
                    "service": metadata["name"],
                    "url": f"http://{host}:{port['nodePort']}",
                    "text": f"{host}:{port['nodePort']}",
                    "inner": inner,
                }
            )
        else:
            found.append(
                {
                    "service": metadata["name"],
                    "url": "",
                    "text": f"{spec.get('clusterIP', '')}:{port['port']}",
                    "inner": inner,
                }
            )
    return found


def delete_action(viewer: Viewer, object_: Object, resource: str, what: str, text: str = "") -> Action:
    """The delete button of an object's page; afterwards the list is shown."""
    kind = by_kind(str(object_["kind"]))
    metadata = object_["metadata"]
    namespace = metadata.get("namespace", "")
    allowed = viewer.may("delete", resource, namespace, metadata["name"])
    return Action(
        label=_("Delete"),
        method="DELETE",
        url=path_of(object_),
        icon="trash-2",
        next=f"/n/{namespace}/{kind.plural}" if namespace else f"/{kind.plural}",
        confirm=_("Delete the %(what)s %(name)s?") % {"what": what, "name": metadata["name"]},
        confirm_text=text,
        danger=True,
    ).unless("" if allowed else _("Your role may look at this, not delete it."))
