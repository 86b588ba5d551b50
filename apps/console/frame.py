"""The frame around every page: navigation, the namespaces to choose from, who is signed in."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from apps.console.lists.base import Words
from apps.console.live.hub import source
from apps.console.viewer import Viewer

NAMESPACE_COOKIE = "namespace"


@dataclass(frozen=True)
class NavigationItem:
    """One page of the sidebar."""

    page: str
    title: Words
    icon: str
    address: str
    resource: str = ""
    namespaced: bool = False


GROUPS: tuple[tuple[Words, tuple[NavigationItem, ...]], ...] = (
    (
        "",
        (
            NavigationItem("overview", _("Overview"), "home", "/"),
            NavigationItem("deploy", _("Deploy"), "plus", "/deploy"),
        ),
    ),
    (
        _("Workloads"),
        (
            NavigationItem("deployments", _("Deployments"), "layers", "deployments", "deployments.apps", True),
            NavigationItem("pods", _("Pods"), "box", "pods", "pods", True),
            NavigationItem("replicasets", _("Replica sets"), "copy", "replicasets", "replicasets.apps", True),
            NavigationItem("services", _("Services"), "share-2", "services", "services", True),
        ),
    ),
    (
        _("Configuration"),
        (
            NavigationItem("configmaps", _("Config maps"), "sliders", "configmaps", "configmaps", True),
            NavigationItem("secrets", _("Secrets"), "lock", "secrets", "secrets", True),
        ),
    ),
    (
        _("Cluster"),
        (
            NavigationItem("nodes", _("Nodes"), "server", "/nodes", "nodes"),
            NavigationItem("images", _("Images"), "package", "/images", "images"),
            NavigationItem("events", _("Events"), "activity", "events", "events", True),
            NavigationItem("namespaces", _("Namespaces"), "grid", "/namespaces", "namespaces"),
        ),
    ),
)


async def frame(request: HttpRequest, viewer: Viewer, *, page: str, namespace: str | None = None) -> dict[str, Any]:
    """The context of base.html. `namespace` None: as remembered; empty: all."""
    async with source("namespaces") as namespaces:
        names = sorted(row.name for row in namespaces.rows.values() if viewer.may("list", "pods", row.name))
    chosen = request.COOKIES.get(NAMESPACE_COOKIE, "") if namespace is None else namespace
    if chosen not in names:
        chosen = "" if namespace is None else chosen
    return {
        "viewer": viewer,
        "page": page,
        "namespaces": names,
        "namespace": chosen,
        "namespace_links": _namespace_links(names, page),
        "navigation": [
            (title, [_link(item, chosen) for item in items if _shown(viewer, item, chosen, names)])
            for title, items in GROUPS
        ],
        "server_time": datetime.now(UTC).isoformat(),
    }


def _shown(viewer: Viewer, item: NavigationItem, namespace: str, names: list[str]) -> bool:
    if not item.resource:
        return True
    if not item.namespaced:
        return viewer.may("list", item.resource)
    places = [namespace] if namespace else ["", *names]
    return any(viewer.may("list", item.resource, place) for place in places)


def _link(item: NavigationItem, namespace: str) -> dict[str, Any]:
    address = item.address
    if item.namespaced:
        address = f"/n/{namespace}/{address}" if namespace else f"/{address}"
    return {"page": item.page, "title": item.title, "icon": item.icon, "href": address}


def _namespace_links(names: list[str], page: str) -> list[tuple[str, str]]:
    """The same list in another namespace; from other pages, its deployments."""
    plural = (
        page if any(item.page == page and item.namespaced for _t, items in GROUPS for item in items) else "deployments"
    )
    return [("", f"/{plural}"), *((name, f"/n/{name}/{plural}") for name in names)]
