"""A node's page: capacity, how much of it is given away, its heartbeat, its pods, cordon."""

from typing import Any

from django.utils.translation import gettext as _

from apps.console import words
from apps.console.actions import not_allowed, patch
from apps.console.pages.base import Context, Page, Params
from apps.console.pages.common import events_of, labels_of, path_of, yaml_tab
from apps.console.tables import load_table
from apps.console.viewer import Viewer
from apps.store.read import bound_async, get_async
from nodeworker.wire.podstatus import is_terminal
from nodeworker.wire.quantity import cpu_millis, memory_bytes

RESOURCE = "nodes"
LEASES = "kube-node-lease"


async def context(viewer: Viewer, params: Params) -> Context | None:
    """Read what the page shows."""
    name, tab = params["name"], params.get("tab", "")
    if not viewer.may("get", RESOURCE, "", name):
        return None
    stored = await get_async("Node", "", name)
    if stored is None:
        return None
    node = stored.object
    shared: Context = {
        "node": node,
        "state": words.node_state(node),
        "tab": tab,
        "base": f"/nodes/{name}",
        "actions": [_cordon(viewer, node)],
    }
    if tab == "yaml":
        return {**shared, "editor": yaml_tab(viewer, node, RESOURCE)}
    pods, _counter = await bound_async(name)
    lease = await get_async("Lease", LEASES, name)
    return {
        **shared,
        "meters": allocation(node, [pod.object for pod in pods]),
        "heartbeat": lease.object["spec"].get("renewTime", "") if lease else "",
        "conditions": node.get("status", {}).get("conditions") or [],
        "info": node.get("status", {}).get("nodeInfo") or {},
        "addresses": node.get("status", {}).get("addresses") or [],
        "taints": node.get("spec", {}).get("taints") or [],
        "labels": labels_of(node),
        "events": await events_of([stored.uid, name]),
        "pods": await load_table(viewer, "pods", {"fact.node": name}, hidden=frozenset({"node"})),
    }


def _cordon(viewer: Viewer, node: Any) -> Any:
    cordoned = bool(node.get("spec", {}).get("unschedulable"))
    name = node["metadata"]["name"]
    action = patch(
        _("Uncordon") if cordoned else _("Cordon"),
        path_of(node),
        {"spec": {"unschedulable": not cordoned}},
        icon="play" if cordoned else "slash",
        done=_("New pods may be placed here again")
        if cordoned
        else _("No new pods are placed here; those that run stay"),
    )
    return action.unless("" if viewer.may("patch", RESOURCE, "", name) else not_allowed())


def allocation(node: Any, pods: list[Any]) -> list[dict[str, Any]]:
    """How much of the node is requested by its pods, as bars."""
    allocatable = node.get("status", {}).get("allocatable") or node.get("status", {}).get("capacity") or {}
    running = [pod for pod in pods if not is_terminal(pod)]
    cpu = sum(_requested(pod, "cpu") for pod in running)
    memory = sum(_requested(pod, "memory") for pod in running)
    all_cpu, all_memory = (
        cpu_millis(str(allocatable.get("cpu", "0"))),
        memory_bytes(str(allocatable.get("memory", "0"))),
    )
    most = int(str(allocatable.get("pods", "110")) or 110)
    gib = 1024**3
    return [
        _meter(
            _("CPU"),
            cpu,
            all_cpu,
            _("%(used)s of %(all)s cores requested") % {"used": _cores(cpu), "all": _cores(all_cpu)},
        ),
        _meter(
            _("Memory"),
            memory,
            all_memory,
            _("%(used).1f of %(all).1f GiB requested") % {"used": memory / gib, "all": all_memory / gib},
        ),
        _meter(_("Pods"), len(running), most, _("%(used)s of %(all)s") % {"used": len(running), "all": most}),
    ]


def _requested(pod: Any, resource: str) -> int:
    read = cpu_millis if resource == "cpu" else memory_bytes
    containers = pod["spec"].get("containers") or ()
    return sum(read(str(((c.get("resources") or {}).get("requests") or {}).get(resource, "0"))) for c in containers)


def _cores(millis: int) -> str:
    return f"{millis / 1000:.2f}".rstrip("0").rstrip(".")


def _meter(label: str, used: float, whole: float, text: str) -> dict[str, Any]:
    fraction = used / whole if whole else 0.0
    return {"label": label, "fraction": round(fraction, 3), "text": text, "high": fraction > 0.85}


PAGE = Page("node", "console/live/node.html", frozenset({"Node", "Pod", "Lease", "Event"}), context)
