"""Which images there are and what the names mean: every write of this app's rows is one of these verbs.

Called by archives.py and registry.py (record), rest.py (remove), control's projection of nodes (set_node_images).
"""

import os
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from apps.images.blobs import BlobStore, sync_blobs
from apps.images.errors import ImageInUse, ImageNotFound, InvalidName
from apps.images.manifests import ImageConfig
from apps.images.models import Image, ImageLayer, ImageName, Layer, NodeImage, Source
from apps.images.usage import pods_using
from nodeworker.wire.reference import InvalidReference, Reference, parse_reference


@dataclass(frozen=True, slots=True)
class NewLayer:
    """A layer whose blob is stored."""

    digest: str
    diff_id: str
    size: int
    media_type: str


@dataclass(frozen=True, slots=True)
class NewImage:
    """An image whose blobs are all stored."""

    digest: str
    media_type: str
    config_digest: str
    config: ImageConfig
    layers: Sequence[NewLayer]


def parse_name(text: str) -> Reference:
    """Read a reference as Docker does; raise InvalidName with a sentence."""
    try:
        return parse_reference(text)
    except InvalidReference as error:
        raise InvalidName(f"couldn't parse image name {text[:300]!r}: {error}") from error


def record(blobs: BlobStore, new: NewImage, names: Iterable[str], source: Source) -> Image:
    """Record an image and let the names point to it; a name that pointed elsewhere leaves the old image untagged.

    The caller holds `blobs.adding()` since before it stored the first blob.
    """
    sync_blobs(blobs)
    with transaction.atomic():
        image = _record_image(new, source)
        for name in names:
            ImageName.objects.update_or_create(reference=name, defaults={"image": image, "source": source})
    names_moved(blobs)
    return image


def remove(blobs: BlobStore, reference: str, *, force: bool = False) -> list[str]:
    """Remove a name, and the image with its blobs when it was the last one; a digest removes the image with all names.

    Return what was removed, for people. Refused while a pod uses it, unless forced.
    """
    name = parse_name(reference)
    image = find(name)
    if image is None:
        raise ImageNotFound(f'image "{name.familiar()}" was not found')
    users = pods_using(image)
    if users and not force:
        used = f'image "{name.familiar()}" is used by {_listed(users)}'
        raise ImageInUse(f"{used}: delete them first, or force the removal")
    with transaction.atomic():
        named = image.names.filter(reference=str(name))
        doomed = named if named.exists() else image.names.all()
        removed = [parse_reference(row.reference).familiar() for row in doomed]
        doomed.delete()
        if not image.names.exists():
            removed.append(image.digest)
            image.delete()
    names_moved(blobs)
    collect(blobs)
    return removed


def find(name: Reference) -> Image | None:
    """Return the image that a reference means here: by its exact name, or by its digest alone."""
    row = ImageName.objects.select_related("image").filter(reference=str(name)).first()
    if row is not None:
        return row.image
    return Image.objects.filter(digest=name.digest).first() if name.digest else None


def collect(blobs: BlobStore) -> int:
    """Remove the blobs and layers that no image needs; return how many. Does nothing while an image is arriving."""
    with blobs.alone() as alone:
        if not alone:
            return 0
        blobs.remove_abandoned()
        Layer.objects.filter(images=None).delete()
        keep = set(Layer.objects.values_list("digest", flat=True))
        for digest, config_digest in Image.objects.values_list("digest", "config_digest"):
            keep |= {digest, config_digest}
        gone = [digest for digest in blobs.digests() if digest not in keep]
        for digest in gone:
            blobs.remove(digest)
        return len(gone)


def set_node_images(node: str, images: Iterable[dict[str, Any]]) -> None:
    """Record what a node reports in Node.status.images; called when that changes, with nothing when it is gone."""
    digests = {name.rpartition("@")[2] for image in images for name in image.get("names") or [] if "@" in name}
    known = set(Image.objects.filter(digest__in=digests).values_list("pk", flat=True))
    if known == set(NodeImage.objects.filter(node=node).values_list("image", flat=True)):
        return  # nearly always: this is called at every look at a node
    with transaction.atomic():
        NodeImage.objects.filter(node=node).exclude(image__in=known).delete()
        NodeImage.objects.bulk_create([NodeImage(node=node, image_id=image) for image in known], ignore_conflicts=True)


def names_moved(blobs: BlobStore) -> None:
    """Tell the node on this machine that a name may mean something else now: it looks at this file, not at the API."""
    temporary = blobs.root / f".names.{secrets.token_hex(8)}"
    temporary.touch(0o600)
    os.replace(temporary, blobs.root / "names.stamp")  # noqa: PTH105


def _record_image(new: NewImage, source: Source) -> Image:
    image, created = Image.objects.get_or_create(
        digest=new.digest,
        defaults={
            "config_digest": new.config_digest,
            "media_type": new.media_type,
            "size": sum(layer.size for layer in new.layers),
            "created": new.config.created_at,
            "architecture": new.config.architecture,
            "operating_system": new.config.os,
            "source": source,
        },
    )
    if created:
        for position, layer in enumerate(new.layers):
            row, _ = Layer.objects.get_or_create(
                digest=layer.digest,
                defaults={"diff_id": layer.diff_id, "size": layer.size, "media_type": layer.media_type},
            )
            ImageLayer.objects.create(image=image, layer=row, position=position)
    return image


def _listed(users: Sequence[str]) -> str:
    if len(users) == 1:
        return f"the pod {users[0]}"
    more = f" and {len(users) - 3} more" if len(users) > 3 else ""
    return f"the pods {', '.join(users[:3])}{more}"
