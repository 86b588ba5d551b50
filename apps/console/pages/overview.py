"""The overview: whether everything is well, in a sentence; what is not and why; what there is; what happened."""

from datetime import UTC, datetime
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from apps.console import words
from apps.console.actions import not_allowed
from apps.console.lists.cluster import object_page
from apps.console.pages.base import Context, Page, Params
from apps.console.pages.common import read_models
from apps.console.pages.node import allocation
from apps.console.pages.troubles import Trouble, troubles
from apps.console.viewer import Viewer
from apps.events.models import Event
from apps.store.read import list_objects_async

MOST_BROKEN = 8


async def context(viewer: Viewer, params: Params) -> Context | None:
    """Read what the page shows, of the namespaces that the viewer may see."""
    now = datetime.now(UTC)
    namespaces = [s.name for s in (await list_objects_async("Namespace")).items]
    pods = await _visible(viewer, "Pod", "pods", namespaces)
    deployments = await _visible(viewer, "Deployment", "deployments.apps", namespaces)
    nodes = [s.object for s in (await list_objects_async("Node")).items] if viewer.may("list", "nodes") else []
    broken = troubles(pods, deployments, nodes, now)
    return {
        "health": _health(nodes, pods, broken),
        "broken": broken[:MOST_BROKEN],
        "more_broken": max(0, len(broken) - MOST_BROKEN),
        "tiles": _tiles(pods, deployments, nodes, now),
        "nodes": [
            {
                "node": node,
                "state": words.node_state(node),
                "meters": allocation(node, [p for p in pods if p["spec"].get("nodeName") == node["metadata"]["name"]]),
            }
            for node in nodes[:6]
        ],
        "events": [_event(event) for event in await read_models(lambda: _newest_events(viewer, namespaces))],
        "empty": not deployments,
        "may_deploy": viewer.may("create", "deployments.apps", "default"),
        "deploy_reason": "" if viewer.may("create", "deployments.apps", "default") else not_allowed(),
        "has_sample": any(
            d["metadata"]["name"] == "sample" and d["metadata"]["namespace"] == "default" for d in deployments
        ),
    }


async def _visible(viewer: Viewer, kind: str, resource: str, namespaces: list[str]) -> list[Any]:
    allowed = viewer.visible_namespaces(resource, namespaces)
    objects = [stored.object for stored in (await list_objects_async(kind)).items]
    return objects if allowed is None else [o for o in objects if o["metadata"]["namespace"] in allowed]


def _newest_events(viewer: Viewer, namespaces: list[str]) -> list[Event]:
    allowed = viewer.visible_namespaces("events", namespaces)
    events = Event.objects.order_by("-last_seen")
    return list((events if allowed is None else events.filter(namespace__in=allowed))[:10])


def _event(event: Event) -> dict[str, Any]:
    return {"event": event, "href": object_page(event.object_kind, event.namespace, event.object_name)}


def _health(nodes: list[Any], pods: list[Any], broken: list[Trouble]) -> dict[str, Any]:
    failed = [entry for entry in broken if entry.state.look in ("failed", "unknown")]
    ready = sum(1 for node in nodes if words.condition(node, "Ready").get("status") == "True")
    if nodes and not ready:
        return {
            "look": "failed",
            "word": _("No node is ready"),
            "sentence": _("Nothing new can start until a node reports again. What runs goes on running."),
        }
    if failed:
        text = ngettext("%(count)s thing is failing", "%(count)s things are failing", len(failed)) % {
            "count": len(failed)
        }
        return {"look": "failed", "word": text, "sentence": _("Each is listed below with its reason.")}
    if broken:
        text = ngettext("%(count)s thing needs a look", "%(count)s things need a look", len(broken)) % {
            "count": len(broken)
        }
        return {
            "look": "pending",
            "word": text,
            "sentence": _("Nothing has failed; something waits or is not ready yet."),
        }
    running = sum(1 for pod in pods if pod.get("status", {}).get("phase") == "Running")
    if not running:
        return {
            "look": "healthy",
            "word": _("All is well"),
            "sentence": _("The cluster is ready and nothing runs yet."),
        }
    nodes_text = ngettext("%(count)s node is ready", "%(count)s nodes are ready", ready) % {"count": ready}
    pods_text = ngettext("%(count)s pod runs", "%(count)s pods run", running) % {"count": running}
    return {"look": "healthy", "word": _("All is well"), "sentence": f"{nodes_text}, {pods_text}."}


def _tiles(pods: list[Any], deployments: list[Any], nodes: list[Any], now: datetime) -> list[dict[str, Any]]:
    healthy = sum(1 for d in deployments if words.deployment_state(d).look in ("healthy", "done"))
    running = sum(1 for p in pods if words.pod_state(p, now).look == "healthy")
    ready = sum(1 for n in nodes if words.condition(n, "Ready").get("status") == "True")
    restarts = words.total_restarts(pods)
    return [
        {
            "label": _("Deployments"),
            "value": healthy,
            "of": len(deployments),
            "note": _("healthy"),
            "href": "/deployments",
        },
        {"label": _("Pods"), "value": running, "of": len(pods), "note": _("running and ready"), "href": "/pods"},
        {"label": _("Nodes"), "value": ready, "of": len(nodes), "note": _("ready"), "href": "/nodes"},
        {
            "label": _("Restarts"),
            "value": restarts,
            "of": None,
            "note": _("of all containers"),
            "href": "/pods?sort=-restarts",
        },
    ]


PAGE = Page(
    "overview", "console/live/overview.html", frozenset({"Pod", "Deployment", "Node", "Event", "Namespace"}), context
)
