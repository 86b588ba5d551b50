"""The images: their names, sizes, layers, and the pods that use them."""

from typing import Any
from urllib.parse import quote

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from apps.console.actions import Action, not_allowed
from apps.console.pages.base import Context, Page, Params
from apps.console.pages.common import read_models
from apps.console.viewer import Viewer
from apps.images.models import Image
from apps.store.read import list_objects_async
from nodeworker.wire.reference import InvalidReference, parse_reference


async def context(viewer: Viewer, params: Params) -> Context | None:
    """Read what the page shows."""
    if not viewer.may("list", "images"):
        return None
    images = await read_models(_read)
    used = _users([stored.object for stored in (await list_objects_async("Pod")).items])
    may_delete = viewer.may("delete", "images")
    return {
        "images": [_describe(image, used, may_delete) for image in images],
        "may_import": viewer.may("import", "images"),
        "may_pull": viewer.may("pull", "images"),
        "total": sum(image["size"] for image in images),
    }


def _read() -> list[dict[str, Any]]:
    found = Image.objects.prefetch_related("names", "image_layers__layer")
    return [
        {
            "digest": image.digest,
            "names": [parse_reference(name.reference).familiar() for name in image.names.all()],
            "references": [name.reference for name in image.names.all()],
            "size": image.size,
            "recorded": image.recorded,
            "source": image.get_source_display(),
            "layers": [row.layer for row in image.image_layers.all()],
        }
        for image in found
    ]


def _users(pods: list[Any]) -> dict[str, list[dict[str, str]]]:
    """Pods by the full name of the image that they ask for."""
    found: dict[str, list[dict[str, str]]] = {}
    for pod in pods:
        if pod.get("status", {}).get("phase") in ("Succeeded", "Failed"):
            continue
        metadata = pod["metadata"]
        entry = {"name": metadata["name"], "href": f"/n/{metadata['namespace']}/pods/{metadata['name']}"}
        for container in [*pod["spec"].get("containers", []), *(pod["spec"].get("initContainers") or [])]:
            try:
                reference = str(parse_reference(container.get("image", "")))
            except InvalidReference:
                continue
            if entry not in found.setdefault(reference, []):
                found[reference].append(entry)
    return found


def _describe(image: dict[str, Any], used: dict[str, list[dict[str, str]]], may_delete: bool) -> dict[str, Any]:
    pods = [pod for reference in image["references"] for pod in used.get(reference, [])]
    name = image["names"][0] if image["names"] else image["digest"]
    if pods:
        reason = ngettext("A pod uses it.", "%(count)s pods use it.", len(pods)) % {"count": len(pods)}
    else:
        reason = "" if may_delete else not_allowed()
    remove = Action(
        label=_("Remove"),
        method="DELETE",
        url=f"/rest/v1/images?reference={quote(name)}",
        icon="trash-2",
        next="/images",
        confirm=_("Remove the image %s?") % name,
        confirm_text=_("It is gone from this cluster; import or pull it again when you need it."),
        danger=True,
    ).unless(reason)
    return {**image, "pods": pods, "remove": remove, "layer_count": len(image["layers"])}


PAGE = Page("images", "console/live/images.html", frozenset({"Pod"}), context)
