"""Which pods use an image: read from the store, because what runs decides and no row here could be as fresh.

Called by catalog.py before an image is removed.
"""

from typing import Any

from apps.images.models import Image
from apps.store import read
from nodeworker.wire.reference import InvalidReference, parse_reference


def pods_using(image: Image) -> list[str]:
    """Return namespace/name of the pods that name this image or run it."""
    names = set(image.names.values_list("reference", flat=True))
    pods = read.list_objects("Pod").items
    return sorted(f"{pod.namespace}/{pod.name}" for pod in pods if _uses(pod.object, names, image.digest))


def _uses(pod: dict[str, Any], names: set[str], digest: str) -> bool:
    if pod.get("status", {}).get("phase") in ("Succeeded", "Failed"):
        return False
    spec, status = pod.get("spec", {}), pod.get("status", {})
    for container in [*spec.get("containers", []), *spec.get("initContainers", [])]:
        try:
            reference = parse_reference(container.get("image", ""))
        except InvalidReference:
            continue
        if str(reference) in names or reference.digest == digest:
            return True
    return any(digest in state.get("imageID", "") for state in status.get("containerStatuses", []))
