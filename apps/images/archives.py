"""Import of image archives: what docker save, podman save and skopeo write, from a stream, never whole in memory.

Called by rest.py, upload.py and busybox.py. In three steps: `_stage` hashes every file of the archive into a blob
that nobody sees yet; `_read_...` finds the images among them and checks that all they need is there; `_publish`
makes the blobs visible and records the images. An error in the first two leaves nothing behind.
"""

import hashlib
import io
import posixpath
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Annotated, Any

import msgspec

from apps.images.blobs import BlobStore, BlobWriter, digest_of
from apps.images.catalog import NewImage, NewLayer, parse_name, record
from apps.images.compression import DECOMPRESSION_ERRORS, GZIP_MAGIC, ZSTD_MAGIC, Readable, open_layer
from apps.images.errors import InvalidImage
from apps.images.manifests import (
    MAX_DEPTH,
    MAX_DOCUMENT,
    MAX_LAYERS,
    OCI_CONFIG,
    OCI_LAYER,
    OCI_MANIFEST,
    Descriptor,
    Index,
    Manifest,
    choose,
    parse_config,
    parse_document,
    this_platform,
)
from apps.images.models import Image, Layer, Source
from apps.images.progress import Progress, Report
from nodeworker.wire.tar import DIRECTORY, HARD_LINK, READ_SIZE, REGULAR, SYMLINK, TarError, TarReader, printable

_MAX_FILES = 4000
_REPORT_EVERY = 8 << 20
_MAX_UNPACKED, _MAX_RATIO = 1 << 30, 200
_IMAGE_NAME, _REF_NAME = "io.containerd.image.name", "org.opencontainers.image.ref.name"


@dataclass(frozen=True, slots=True)
class Imported:
    """One image of an archive and the names it has now."""

    image: Image
    names: list[str]


class _SavedImage(msgspec.Struct, frozen=True):
    """One entry of a docker archive's manifest.json."""

    config: Annotated[str, msgspec.Meta(max_length=4096)] = msgspec.field(name="Config")
    layers: Annotated[list[str], msgspec.Meta(max_length=MAX_LAYERS)] = msgspec.field(name="Layers")
    tags: list[str] | None = msgspec.field(name="RepoTags", default=None)


@dataclass(slots=True)
class _Found:
    """An image in the archive: its documents, and the files of its layers in order."""

    digest: str
    media_type: str
    documents: dict[str, bytes]
    config_digest: str
    layers: list[tuple["BlobWriter", str]]
    names: list[str] = field(default_factory=list)


def import_archive(blobs: BlobStore, stream: Readable, report: Report, name: str = "") -> list[Imported]:
    """Import all images of an archive; `name` is given to its image in place of the names in the archive."""
    wanted = str(parse_name(name)) if name else ""
    with blobs.adding(), ExitStack() as stack:
        files = _Files(stack, blobs)
        _stage(files, stream, report)
        found = _find_images(files)
        if wanted:
            if len(found) != 1:
                raise InvalidImage(f"the archive holds {len(found)} images, so one name for it is not enough")
            found[0].names = [wanted]
        checked = [_check(image, report) for image in found]
        return [_publish(blobs, image, new, report) for image, new in zip(found, checked, strict=True)]


class _Files:
    """The files of the archive, staged; links between them are followed by name."""

    def __init__(self, stack: ExitStack, blobs: BlobStore) -> None:
        self._stack = stack
        self._blobs = blobs
        self._staged: dict[str, BlobWriter] = {}
        self._links: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._staged)

    def add(self, name: str) -> BlobWriter:
        if name in self._staged or name in self._links:
            raise InvalidImage(f"the archive holds {name!r} twice: it is refused because it is ambiguous")
        if len(self._staged) >= _MAX_FILES:
            raise InvalidImage(f"the archive holds more than {_MAX_FILES} files")
        writer = self._stack.enter_context(self._blobs.writer())
        self._staged[name] = writer
        return writer

    def link(self, name: str, target: str) -> None:
        if name in self._staged or name in self._links:
            raise InvalidImage(f"the archive holds {name!r} twice: it is refused because it is ambiguous")
        self._links[name] = target

    def get(self, name: str) -> BlobWriter | None:
        name = _normal(name)
        for _ in range(8):
            if name in self._staged:
                return self._staged[name]
            if name not in self._links:
                return None
            name = self._links[name]
        return None

    def need(self, name: str, what: str) -> BlobWriter:
        file = self.get(name)
        if file is None:
            raise InvalidImage(f"the archive lacks {name[:200]!r}, {what}: it is incomplete")
        return file

    def document(self, name: str, what: str) -> bytes:
        file = self.need(name, what)
        if file.size > MAX_DOCUMENT:
            raise InvalidImage(f"{name[:200]!r} in the archive is larger than {MAX_DOCUMENT} bytes")
        with file.reader() as reader:
            return reader.read()

    def blob(self, digest: str, what: str) -> BlobWriter:
        file = self.need(f"blobs/{digest.replace(':', '/', 1)}", what)
        if file.digest != digest:
            raise InvalidImage(f"{what} {digest} is damaged: its content has the digest {file.digest}")
        return file

    def document_blob(self, descriptor: Descriptor, what: str) -> bytes:
        file = self.blob(descriptor.digest, what)
        if file.size != descriptor.size:
            raise InvalidImage(f"{what} {descriptor.digest} has {file.size} bytes, {descriptor.size} were announced")
        return self.document(f"blobs/{descriptor.digest.replace(':', '/', 1)}", what)


def _normal(name: str) -> str:
    return posixpath.normpath("/" + name).lstrip("/")


class _Raw(io.RawIOBase):
    """A stream that only reads, as Python's buffered reader wants it."""

    def __init__(self, stream: Readable) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        piece = self._stream.read(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)


def _stage(files: _Files, stream: Readable, report: Report) -> None:
    read = unreported = 0
    buffered = io.BufferedReader(_Raw(stream), READ_SIZE)
    if not buffered.peek(4):
        raise InvalidImage("the archive is empty")
    try:
        reader = TarReader(open_layer(buffered.peek(4)[:4], buffered).read, max_entries=4 * _MAX_FILES)
        for entry in reader:
            name = _normal(entry.name.decode("utf-8", "surrogateescape"))
            if entry.type == REGULAR:
                writer = files.add(name)
                for piece in reader.chunks():
                    writer.write(piece)
                    read, unreported = read + len(piece), unreported + len(piece)
                    if unreported >= _REPORT_EVERY:
                        report(Progress("Reading", printable(entry.name), read))
                        unreported = 0
            elif entry.type in (SYMLINK, HARD_LINK):
                target = entry.link.decode("utf-8", "surrogateescape")
                folder = posixpath.dirname(name) if entry.type == SYMLINK else ""
                files.link(name, _normal(posixpath.join(folder, target)))
            elif entry.type != DIRECTORY:
                raise InvalidImage(f"the archive holds {entry.shown!r}, which is neither a file nor a directory")
        reader.drain()
    except TarError as error:
        raise InvalidImage(f"the archive cannot be read: {error}") from error
    except DECOMPRESSION_ERRORS as error:
        raise InvalidImage(f"the archive is damaged or truncated: {error}") from error


def _find_images(files: _Files) -> list[_Found]:
    if files.get("index.json") and files.get("oci-layout"):
        found = _read_oci(files)
    elif files.get("manifest.json"):
        found = _read_docker(files)
    elif files.get("repositories") or files.get("json"):
        raise InvalidImage("a Docker older than 1.10 wrote this archive: load it there and save it with a current one")
    else:
        raise InvalidImage("the archive holds no image: it lacks index.json (OCI) and manifest.json (docker save)")
    if not found:
        raise InvalidImage("the archive holds no image for this machine")
    return found


def _read_docker(files: _Files) -> list[_Found]:
    try:
        saved = msgspec.json.decode(files.document("manifest.json", "its list of images"), type=list[_SavedImage])
    except (msgspec.MsgspecError, RecursionError) as error:
        raise InvalidImage(f"manifest.json in the archive is not a list of images: {error}") from error
    return [_read_saved(files, image) for image in saved[:1000]]


def _read_saved(files: _Files, saved: _SavedImage) -> _Found:
    config = files.document(saved.config, "the configuration of an image")
    layers = [files.need(name, "a layer") for name in saved.layers]
    config_digest = digest_of(config)
    # The archive has no manifest: this is the one that the same image would have in an OCI registry.
    manifest = msgspec.json.encode(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": {"mediaType": OCI_CONFIG, "digest": config_digest, "size": len(config)},
            "layers": [
                {"mediaType": _layer_type(layer), "digest": layer.digest, "size": layer.size} for layer in layers
            ],
        }
    )
    digest = digest_of(manifest)
    return _Found(
        digest,
        OCI_MANIFEST,
        {digest: manifest, config_digest: config},
        config_digest,
        [(layer, _layer_type(layer)) for layer in layers],
        [str(parse_name(tag)) for tag in saved.tags or []],
    )


def _layer_type(file: BlobWriter) -> str:
    with file.reader() as reader:
        magic = reader.read(4)
    return OCI_LAYER + ("+gzip" if magic.startswith(GZIP_MAGIC) else "+zstd" if magic == ZSTD_MAGIC else "")


def _read_oci(files: _Files) -> list[_Found]:
    index = parse_document(files.document("index.json", "its index"))
    if not isinstance(index, Index):
        raise InvalidImage("index.json in the archive is not an index")
    found: dict[str, _Found] = {}
    for entry in index.manifests:
        image = _read_entry(files, entry)
        known = found.setdefault(image.digest, image)
        known.names += [name for name in _oci_names(entry) if name not in known.names]
    if files.get("manifest.json") and not any(image.names for image in found.values()):
        # docker save writes both; podman and older Docker name the images in one of them only.
        for saved in _read_docker(files):
            for image in found.values():
                if image.config_digest == saved.config_digest:
                    image.names += saved.names
    return list(found.values())


def _oci_names(entry: Descriptor) -> list[str]:
    annotations = entry.annotations or {}
    name = annotations.get(_IMAGE_NAME) or annotations.get(_REF_NAME, "")
    # A bare word is a tag without a repository (skopeo writes "latest"): it names nothing.
    is_name = _IMAGE_NAME in annotations or ":" in name or "/" in name
    return [str(parse_name(name))] if name and is_name else []


def _read_entry(files: _Files, entry: Descriptor, depth: int = 0) -> _Found:
    if depth >= MAX_DEPTH:
        raise InvalidImage(f"the archive nests indexes more than {MAX_DEPTH} deep")
    body = files.document_blob(entry, "the manifest")
    document = parse_document(body, entry.media_type)
    if isinstance(document, Index):
        return _read_entry(files, choose(document, this_platform()), depth + 1)
    return _read_manifest(files, entry, body, document)


def _read_manifest(files: _Files, entry: Descriptor, body: bytes, manifest: Manifest) -> _Found:
    config = files.document_blob(manifest.config, "the configuration")
    layers = []
    for layer in manifest.layers:
        file = files.blob(layer.digest, "the layer")
        if file.size != layer.size:
            raise InvalidImage(f"the layer {layer.digest} has {file.size} bytes, {layer.size} were announced")
        layers.append((file, layer.media_type or _layer_type(file)))
    return _Found(
        entry.digest,
        manifest.media_type or entry.media_type or OCI_MANIFEST,
        {entry.digest: body, manifest.config.digest: config},
        manifest.config.digest,
        layers,
    )


def _check(found: _Found, report: Report) -> NewImage:
    """Check that every layer unpacks to what the configuration says."""
    config, _ = parse_config(found.documents[found.config_digest], len(found.layers))
    layers = []
    for (file, media_type), diff_id in zip(found.layers, config.rootfs.diff_ids, strict=True):
        report(Progress("Verifying", file.digest, 0, file.size))
        actual = _diff_id(file)
        if actual != diff_id:
            raise InvalidImage(f"the layer {file.digest} is damaged: it unpacks to {actual}, the image says {diff_id}")
        layers.append(NewLayer(file.digest, diff_id, file.size, media_type))
    return NewImage(found.digest, found.media_type, found.config_digest, config, layers)


def _diff_id(file: BlobWriter) -> str:
    known = Layer.objects.filter(digest=file.digest).first()
    if known is not None:
        return known.diff_id
    content, size, most = hashlib.sha256(), 0, max(_MAX_UNPACKED, _MAX_RATIO * file.size)
    with file.reader() as reader:
        magic = reader.read(4)
        reader.seek(0)
        if not magic.startswith(GZIP_MAGIC) and magic != ZSTD_MAGIC:
            return file.digest
        try:
            stream = open_layer(magic, reader)
            while piece := stream.read(READ_SIZE):
                content.update(piece)
                size += len(piece)
                if size > most:
                    raise InvalidImage(f"the layer {file.digest} unpacks to more than {most} bytes: it is refused")
        except DECOMPRESSION_ERRORS as error:
            raise InvalidImage(f"the compressed data of the layer {file.digest} is damaged: {error}") from error
    return f"sha256:{content.hexdigest()}"


def _publish(blobs: BlobStore, found: _Found, new: NewImage, report: Report) -> Imported:
    for file, _ in found.layers:
        if not blobs.has(file.digest):
            file.commit()
    for body in found.documents.values():
        blobs.put(body)
    image = record(blobs, new, found.names, Source.IMPORTED)
    shown = ", ".join(found.names) or new.digest
    report(Progress("Imported", shown, image.size, image.size))
    return Imported(image, found.names)
