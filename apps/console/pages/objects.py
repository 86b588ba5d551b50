"""Pages of the plainer kinds: replica sets, services, config maps, secrets, namespaces."""

import base64
from typing import Any

from django.utils.translation import gettext as _

from apps.console import words
from apps.console.pages.base import Context, Page, Params
from apps.console.pages.common import (
    Json,
    delete_action,
    events_of,
    labels_of,
    node_address,
    published,
    yaml_tab,
)
from apps.console.tables import load_table
from apps.console.viewer import Viewer
from apps.store.read import get_async, list_objects_async
from nodeworker.wire.selectors import selector_from_labels, selector_from_object

SHOWN_VALUE = 20_000


async def _shared(viewer: Viewer, params: Params, kind: str, plural: str, resource: str, what: str) -> Context | None:
    """Header, tabs, YAML: what all of them have."""
    namespace, name = params.get("namespace", ""), params["name"]
    if not viewer.may("get", resource, namespace, name):
        return None
    stored = await get_async(kind, namespace, name)
    if stored is None:
        return None
    object_ = stored.object
    context: Context = {
        "object": object_,
        "tab": params.get("tab", ""),
        "what": what,
        "base": f"/n/{namespace}/{plural}/{name}" if namespace else f"/{plural}/{name}",
        "actions": [delete_action(viewer, object_, resource, what, _deletion_text(kind))],
        "labels": labels_of(object_),
    }
    if context["tab"] == "yaml":
        return {**context, "editor": yaml_tab(viewer, object_, resource)}
    return {**context, "events": await events_of([stored.uid])}


def _deletion_text(kind: str) -> str:
    return {
        "ReplicaSet": _("Its pods go with it. If a deployment owns it, the deployment makes it anew."),
        "Service": _("Its address and its published ports stop answering."),
        "Namespace": _("Everything in it is deleted with it. This cannot be undone."),
        "ConfigMap": _("Pods that read it cannot start anew without it."),
        "Secret": _("Pods that read it cannot start anew without it."),
    }.get(kind, "")


async def replica_set(viewer: Viewer, params: Params) -> Context | None:
    """A replica set and its pods."""
    context = await _shared(viewer, params, "ReplicaSet", "replicasets", "replicasets.apps", _("replica set"))
    if context is None or "editor" in context:
        return context
    object_ = context["object"]
    owner = next((o for o in object_["metadata"].get("ownerReferences") or () if o.get("controller")), None)
    selector = str(selector_from_object(object_["spec"]["selector"]))
    return {
        **context,
        "state": words.replica_set_state(object_),
        "owner": owner,
        "facts": [
            (_("Desired"), object_["spec"].get("replicas", 1)),
            (_("Current"), object_.get("status", {}).get("replicas", 0)),
            (_("Ready"), object_.get("status", {}).get("readyReplicas", 0)),
            (_("Images"), words.images_of(object_["spec"]["template"]["spec"])),
            (_("Selector"), selector),
        ],
        "table": await load_table(viewer, "pods", {"namespace": params["namespace"], "labels": selector}),
    }


async def service(viewer: Viewer, params: Params) -> Context | None:
    """A service: where it answers and which pods stand behind it."""
    context = await _shared(viewer, params, "Service", "services", "services", _("service"))
    if context is None or "editor" in context:
        return context
    object_ = context["object"]
    spec = object_["spec"]
    selector = str(selector_from_labels(spec.get("selector") or {})) if spec.get("selector") else ""
    ready = await _ready_endpoints(params["namespace"], params["name"])
    look = "healthy" if ready else "pending"
    table = (
        await load_table(viewer, "pods", {"namespace": params["namespace"], "labels": selector}) if selector else None
    )
    return {
        **context,
        "state": words.State(
            look, "Ready" if ready else "No endpoints", "" if ready else _("no ready pod stands behind it")
        ),
        "addresses": published(object_, await node_address()),
        "facts": [
            (_("Type"), spec.get("type", "ClusterIP")),
            (_("Cluster IP"), spec.get("clusterIP", "")),
            (_("Ports"), words.ports_text(object_)),
            (_("Selector"), selector),
            (_("Ready endpoints"), ready),
        ],
        "table": table,
    }


async def _ready_endpoints(namespace: str, service_name: str) -> int:
    slices = await list_objects_async("EndpointSlice", namespace, labels=f"kubernetes.io/service-name={service_name}")
    endpoints = [e for stored in slices.items for e in stored.object.get("endpoints") or ()]
    return sum(1 for e in endpoints if (e.get("conditions") or {}).get("ready"))


async def config_map(viewer: Viewer, params: Params) -> Context | None:
    """A config map and its entries."""
    context = await _shared(viewer, params, "ConfigMap", "configmaps", "configmaps", _("config map"))
    if context is None or "editor" in context:
        return context
    object_ = context["object"]
    entries = [{"key": key, "value": value[:SHOWN_VALUE]} for key, value in (object_.get("data") or {}).items()]
    entries += [{"key": key, "binary": len(value) * 3 // 4} for key, value in (object_.get("binaryData") or {}).items()]
    return {**context, "entries": entries}


async def secret(viewer: Viewer, params: Params) -> Context | None:
    """A secret: its keys; its values hidden until someone who may read them asks."""
    context = await _shared(viewer, params, "Secret", "secrets", "secrets", _("secret"))
    if context is None or "editor" in context:
        return context
    object_: Json = context["object"]
    entries: list[dict[str, Any]] = []
    for key, value in (object_.get("data") or {}).items():
        raw = base64.b64decode(value)
        try:
            entries.append({"key": key, "value": raw.decode()[:SHOWN_VALUE], "secret": True, "size": len(raw)})
        except UnicodeDecodeError:
            entries.append({"key": key, "binary": len(raw)})
    return {**context, "entries": entries, "facts": [(_("Type"), object_.get("type", "Opaque"))]}


async def namespace(viewer: Viewer, params: Params) -> Context | None:
    """A namespace and what is in it."""
    context = await _shared(viewer, params, "Namespace", "namespaces", "namespaces", _("namespace"))
    if context is None or "editor" in context:
        return context
    name = params["name"]
    delete = context["actions"][0]
    return {
        **context,
        "state": words.namespace_state(context["object"]),
        "actions": [type(delete)(**{**delete.__dict__, "confirm_name": name})],
        "table": await load_table(viewer, "deployments", {"namespace": name})
        if viewer.may("list", "deployments.apps", name)
        else None,
    }


_KINDS = frozenset({"Event"})
PAGES = (
    Page("replicaset", "console/live/object.html", _KINDS | {"ReplicaSet"}, replica_set),
    Page("service", "console/live/object.html", _KINDS | {"Service", "EndpointSlice", "Node"}, service),
    Page("configmap", "console/live/object.html", _KINDS | {"ConfigMap"}, config_map),
    Page("secret", "console/live/object.html", _KINDS | {"Secret"}, secret),
    Page("namespace", "console/live/object.html", _KINDS | {"Namespace"}, namespace),
)
