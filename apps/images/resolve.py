"""What a name means here: the answer that a node unpacks, and when another registry must be asked first.

Called by rest.py. Gantry's rule: an image imported, built or pushed here is current by definition, so `Always`
resolves it here again; only what was pulled from another registry is asked for there again.
"""

from typing import Any, Literal

import msgspec

from apps.images.blobs import BlobStore
from apps.images.catalog import find, parse_name
from apps.images.errors import ImageNotFound, InvalidName
from apps.images.manifests import MAX_DOCUMENT
from apps.images.models import Image, ImageName, Source
from nodeworker.wire.reference import Reference

Policy = Literal["IfNotPresent", "Always", "Never"]
POLICIES: tuple[Policy, ...] = ("IfNotPresent", "Always", "Never")


def resolve(blobs: BlobStore, reference: str, policy: str) -> dict[str, Any]:
    """Return the image as a node needs it; raise ImageNotFound when it must be pulled first, or is not to be had."""
    if policy not in POLICIES:
        raise InvalidName(f"there is no policy {policy[:50]!r}: write IfNotPresent, Always or Never", "InvalidPolicy")
    name = parse_name(reference)
    image = find(name)
    if image is None:
        raise ImageNotFound(not_found(name))
    if policy == "Always" and not name.digest and must_ask_registry(name):
        raise ImageNotFound(f'image "{name.familiar()}" was pulled from {name.registry}, which must be asked again')
    return describe(blobs, name, image)


def must_ask_registry(name: Reference) -> bool:
    """Tell whether the name's image came from another registry, which may have a newer one."""
    return ImageName.objects.filter(reference=str(name), source=Source.PULLED).exists()


def not_found(name: Reference) -> str:
    """The sentence for a name that nobody has imported."""
    return f'image "{name.familiar()}" was not found here: import it with ./gantry image import FILE, or pull it'


def describe(blobs: BlobStore, name: Reference, image: Image) -> dict[str, Any]:
    """Return reference, digests, configuration and layers, the lowest first."""
    layers = [row.layer for row in image.image_layers.select_related("layer")]
    return {
        "reference": str(name),
        "digest": image.digest,
        "config_digest": image.config_digest,
        "config": msgspec.json.decode(blobs.read(image.config_digest, MAX_DOCUMENT)),
        "layers": [
            {"digest": layer.digest, "size": layer.size, "media_type": layer.media_type, "diff_id": layer.diff_id}
            for layer in layers
        ],
    }
