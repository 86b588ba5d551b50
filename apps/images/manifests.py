"""The documents of an image: index, manifest, configuration. Bounded, checked, and one sentence when they are wrong.

Called by archives.py and registry.py. Pure: bytes in, structs out.
"""

import platform
from datetime import datetime
from typing import Annotated, Any, TypeVar

import msgspec

from apps.images.errors import InvalidImage

MAX_DOCUMENT = 4 << 20
MAX_LAYERS = 127  # overlay's options must fit into a page; Docker has the same limit
MAX_DEPTH = 4  # an index in an index in an index

DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_SCHEMA1 = (
    "application/vnd.docker.distribution.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v1+prettyjws",
)
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
INDEX_TYPES = (DOCKER_INDEX, OCI_INDEX)
MANIFEST_TYPES = (DOCKER_MANIFEST, OCI_MANIFEST)
CONFIG_TYPES = (OCI_CONFIG, "application/vnd.docker.container.image.v1+json")
LAYER_TYPES = frozenset(
    {
        OCI_LAYER,
        OCI_LAYER + "+gzip",
        OCI_LAYER + "+zstd",
        "application/vnd.docker.image.rootfs.diff.tar",
        "application/vnd.docker.image.rootfs.diff.tar.gzip",
        "application/vnd.docker.image.rootfs.diff.tar.zstd",
    }
)

Document = TypeVar("Document")
Digest = Annotated[str, msgspec.Meta(pattern="^sha256:[0-9a-f]{64}$", max_length=71)]
Text = Annotated[str, msgspec.Meta(max_length=255)]


class Platform(msgspec.Struct, frozen=True):
    """For which machine an image is."""

    architecture: Text = ""
    os: Text = ""
    variant: Text = ""

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part) or "unknown"


class Descriptor(msgspec.Struct, frozen=True, rename="camel"):
    """A link to a blob: what it is, how long, and its digest."""

    digest: Digest
    size: Annotated[int, msgspec.Meta(ge=0, le=1 << 44)]
    media_type: Text = ""
    platform: Platform | None = None
    annotations: dict[str, str] | None = None
    urls: list[str] | None = None


class Manifest(msgspec.Struct, frozen=True, rename="camel"):
    """One image for one platform."""

    schema_version: int
    config: Descriptor
    layers: Annotated[list[Descriptor], msgspec.Meta(max_length=MAX_LAYERS)]
    media_type: Text = ""


class Index(msgspec.Struct, frozen=True, rename="camel"):
    """Images for several platforms, or several images of an archive."""

    schema_version: int
    manifests: Annotated[list[Descriptor], msgspec.Meta(max_length=1000)]
    media_type: Text = ""


class RootFS(msgspec.Struct, frozen=True):
    """What the layers unpack to."""

    diff_ids: Annotated[list[Digest], msgspec.Meta(max_length=MAX_LAYERS)] = []
    type: Text = "layers"


class ImageConfig(msgspec.Struct, frozen=True):
    """The part of a configuration that is looked at here; the node gets the whole document."""

    rootfs: RootFS
    architecture: Text = ""
    os: Text = ""
    variant: Text = ""
    created: str | None = None

    @property
    def created_at(self) -> datetime | None:
        """When the image says it was made, if that is a time."""
        try:
            return datetime.fromisoformat((self.created or "")[:19] + "+00:00")
        except ValueError:
            return None


class _Shape(msgspec.Struct, frozen=True, rename="camel"):
    """Which of the exclusive parts a document has."""

    schema_version: int = 0
    media_type: Text = ""
    manifests: Any = None
    config: Any = None
    layers: Any = None
    fs_layers: Any = None


def parse_document(body: bytes, media_type: str = "") -> Manifest | Index:
    """Read an index or a manifest; `media_type` is what the sender called it (empty when he did not say)."""
    shape = _decode(body, _Shape, "manifest")
    if shape.fs_layers is not None or shape.schema_version == 1 or media_type in DOCKER_SCHEMA1:
        raise InvalidImage("its manifest is of the old schema 1, no longer in use: push it again with a current tool")
    if shape.manifests is not None and (shape.layers is not None or shape.config is not None):
        # CVE-2021-41190: two readers would see two different images under one digest.
        raise InvalidImage("the manifest is an index and an image at once: it is refused because it is ambiguous")
    if shape.media_type and media_type and shape.media_type != media_type:
        raise InvalidImage(f"the manifest was sent as {media_type!r} but calls itself {shape.media_type!r}")
    named = shape.media_type or media_type
    if shape.manifests is not None:
        _check_type(named, INDEX_TYPES)
        return _decode(body, Index, "index")
    _check_type(named, MANIFEST_TYPES)
    manifest = _decode(body, Manifest, "manifest")
    _check_image(manifest)
    return manifest


def parse_config(body: bytes, layers: int) -> tuple[ImageConfig, dict[str, Any]]:
    """Read a configuration: what is looked at here, and the whole document."""
    config = _decode(body, ImageConfig, "configuration")
    if len(config.rootfs.diff_ids) != layers:
        raise InvalidImage(f"the configuration lists {len(config.rootfs.diff_ids)} layers, the manifest {layers}")
    return config, _decode(body, dict[str, Any], "configuration")


def this_platform() -> Platform:
    """Return what this machine runs."""
    machine = platform.machine()
    names = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}
    return Platform(names.get(machine, machine), "linux")


def choose(index: Index, wanted: Platform) -> Descriptor:
    """Return the entry of an index that fits this machine."""
    # Attestations and signatures travel as manifests of the platform unknown/unknown.
    images = [entry for entry in index.manifests if not (entry.platform and entry.platform.os == "unknown")]
    fitting = [
        entry
        for entry in images
        if entry.platform and (entry.platform.os, entry.platform.architecture) == (wanted.os, wanted.architecture)
    ]
    if fitting:
        return fitting[0]
    if len(images) == 1 and (images[0].platform is None or not images[0].platform.architecture):
        return images[0]
    offered = ", ".join(sorted({str(entry.platform) for entry in images if entry.platform})) or "none named"
    raise InvalidImage(f"the image is not made for {wanted}; it is there for: {offered}")


def _check_type(named: str, allowed: tuple[str, ...]) -> None:
    if named and named not in allowed and named != "application/json":
        raise InvalidImage(f"the manifest is of the type {named!r}, which is no container image")


def _check_image(manifest: Manifest) -> None:
    if manifest.config.media_type and manifest.config.media_type not in CONFIG_TYPES:
        raise InvalidImage(f"it is no container image: its configuration is of the type {manifest.config.media_type!r}")
    for layer in manifest.layers:
        if layer.urls or "foreign" in layer.media_type or "nondistributable" in layer.media_type:
            raise InvalidImage("the image has a layer that is kept outside of the registry, which is not supported")
        if layer.media_type and layer.media_type not in LAYER_TYPES:
            raise InvalidImage(f"a layer is of the type {layer.media_type!r}, which is no container layer")


def _decode(body: bytes, kind: type[Document], what: str) -> Document:
    if len(body) > MAX_DOCUMENT:
        raise InvalidImage(f"the {what} is larger than {MAX_DOCUMENT} bytes")
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.MsgspecError as error:
        raise InvalidImage(f"the {what} is not one: {error}") from error
    except RecursionError as error:
        raise InvalidImage(f"the {what} is nested too deep") from error
