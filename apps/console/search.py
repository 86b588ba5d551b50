"""The palette's search: names of objects, in every namespace that the viewer may see."""

from django.utils.translation import gettext as _

from apps.console.lists.registry import LISTS
from apps.console.live.hub import source
from apps.console.viewer import Viewer

SEARCHED = ("deployments", "pods", "services", "configmaps", "secrets", "nodes", "namespaces", "replicasets")
MOST_HITS = 24
MOST_OF_A_KIND = 6


async def find(viewer: Viewer, words: str) -> list[dict[str, str]]:
    """Objects whose name contains all words; those that begin with them come first."""
    wanted = words.lower().split()
    if not wanted:
        return []
    hits: list[dict[str, str]] = []
    async with source("namespaces") as namespaces:
        names = [row.name for row in namespaces.rows.values()]
    for plural in SEARCHED:
        view = LISTS[plural]
        visible = viewer.visible_namespaces(view.resource, names) if view.namespaced else None
        if not view.namespaced and not viewer.may("list", view.resource):
            continue
        async with source(plural) as rows:
            found = [
                row
                for row in rows.rows.values()
                if (visible is None or row.namespace in visible)
                and all(word in f"{row.namespace}/{row.name}" for word in wanted)
            ]
        found.sort(key=lambda row: (not row.name.startswith(wanted[0]), len(row.name), row.name))
        where = str(view.title)
        hits += [
            {
                "name": row.name,
                "where": _("%(kind)s in %(namespace)s") % {"kind": where, "namespace": row.namespace}
                if row.namespace
                else where,
                "href": row.href,
                "icon": view.icon,
            }
            for row in found[:MOST_OF_A_KIND]
        ]
    return hits[:MOST_HITS]
