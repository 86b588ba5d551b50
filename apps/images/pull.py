"""Pull an image from a registry: manifest, configuration, layers in parallel, all verified, then recorded.

Called by rest.py, in a thread. A layer that breaks off is continued where it ended.
"""

import contextlib
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx2

from apps.images.blobs import BlobStore, BlobWriter, digest_of
from apps.images.catalog import NewImage, NewLayer, parse_name, record
from apps.images.errors import ImageError, InvalidImage, NoSpace, PullFailed
from apps.images.manifests import (
    MAX_DEPTH,
    MAX_DOCUMENT,
    OCI_LAYER,
    OCI_MANIFEST,
    Descriptor,
    Manifest,
    choose,
    parse_config,
    parse_document,
    this_platform,
)
from apps.images.models import Image, Source
from apps.images.progress import Progress, Report
from apps.images.registry import Registry
from nodeworker.wire.reference import Reference

_PARALLEL = 3
_ATTEMPTS = 5
_REPORT_SECONDS = 0.2
# A connection that brings less than this in this time has died or wants to hold us.
_SLOWEST_BYTES, _SLOWEST_SECONDS = 16 << 10, 60.0

_busy: dict[str, threading.Lock] = {}
_busy_lock = threading.Lock()


def pull(blobs: BlobStore, reference: str, report: Report) -> Image:
    """Pull an image and let its name point to it. Raise an ImageError with one sentence when it cannot be had."""
    name = parse_name(reference)
    try:
        with blobs.adding(), Registry(name) as registry:
            report(Progress("Resolving", name.familiar()))
            new = _fetch(blobs, registry, name, report)
            return record(blobs, new, [str(name)], Source.PULLED)
    except InvalidImage as error:
        raise PullFailed(f"the image {name.familiar()} from {name.registry} is refused: {error}") from error


def _fetch(blobs: BlobStore, registry: Registry, name: Reference, report: Report) -> NewImage:
    digest, body, media_type, manifest = _find_manifest(registry, name)
    _check_space(blobs, manifest)
    _fetch_blob(blobs, registry, manifest.config, report)
    config, _ = parse_config(blobs.read(manifest.config.digest, MAX_DOCUMENT + 1), len(manifest.layers))
    with ThreadPoolExecutor(_PARALLEL, "pull") as pool:
        waiting = [pool.submit(_fetch_blob, blobs, registry, layer, report) for layer in manifest.layers]
        try:
            for one in waiting:
                one.result()
        except ImageError:
            for one in waiting:
                one.cancel()
            raise
    blobs.put(body)
    layers = [
        NewLayer(layer.digest, diff_id, layer.size, layer.media_type or OCI_LAYER)
        for layer, diff_id in zip(manifest.layers, config.rootfs.diff_ids, strict=True)
    ]
    return NewImage(digest, media_type, manifest.config.digest, config, layers)


def _find_manifest(registry: Registry, name: Reference) -> tuple[str, bytes, str, Manifest]:
    """Follow indexes down to the manifest for this machine."""
    version = name.digest or name.tag or "latest"
    announced = name.digest or ""
    for _ in range(MAX_DEPTH):
        body, media_type = registry.manifest(version)
        digest = digest_of(body)
        if announced and digest != announced:
            raise InvalidImage(f"its manifest has the digest {digest}, but {announced} was asked for")
        document = parse_document(body, media_type)
        if isinstance(document, Manifest):
            return digest, body, document.media_type or media_type or OCI_MANIFEST, document
        version = announced = choose(document, this_platform()).digest
    raise InvalidImage(f"its indexes are nested more than {MAX_DEPTH} deep")


def _check_space(blobs: BlobStore, manifest: Manifest) -> None:
    missing = sum(layer.size for layer in manifest.layers if not blobs.has(layer.digest))
    status = os.statvfs(blobs.root)
    free = status.f_bavail * status.f_frsize
    if missing > free:
        raise NoSpace(f"the image needs {missing} bytes, but the disk that holds {blobs.root} has {free} left")


def _fetch_blob(blobs: BlobStore, registry: Registry, blob: Descriptor, report: Report) -> None:
    if blob is not None and blob.size > MAX_DOCUMENT and blob.media_type.endswith("+json"):
        raise InvalidImage(f"its configuration is larger than {MAX_DOCUMENT} bytes")
    with _one_at_a_time(blob.digest):
        if blobs.has(blob.digest):
            report(Progress("Already here", blob.digest, blob.size, blob.size))
            return
        with blobs.writer() as writer:
            _receive(registry, blob, writer, report)
            writer.commit(blob.digest, blob.size)
    report(Progress("Pulled", blob.digest, blob.size, blob.size))


def _receive(registry: Registry, blob: Descriptor, writer: BlobWriter, report: Report) -> None:
    for attempt in range(_ATTEMPTS):
        before = writer.size
        try:
            _continue(registry, blob, writer, report)
        except (httpx2.TransportError, PullFailed):
            # Only a connection that brought something is worth another try at once.
            if writer.size == before or attempt == _ATTEMPTS - 1:
                raise
        if writer.size >= blob.size:
            return
    raise PullFailed(f"the registry {registry.host} broke off the layer {blob.digest} {_ATTEMPTS} times")


def _continue(registry: Registry, blob: Descriptor, writer: BlobWriter, report: Report) -> None:
    headers = {"Accept-Encoding": "identity"}
    if writer.size:
        headers["Range"] = f"bytes={writer.size}-"
    with registry.request(f"blobs/{blob.digest}", headers) as response:
        if writer.size and response.status_code == 200:
            writer.restart()
        elif writer.size and not str(response.headers.get("content-range", "")).startswith(f"bytes {writer.size}-"):
            raise InvalidImage(f"the registry {registry.host} continued the layer {blob.digest} at the wrong place")
        reported, watched, mark = 0.0, time.monotonic(), writer.size
        for piece in response.iter_raw():  # as it comes: what a chunker holds back would be lost when it breaks off
            if writer.size + len(piece) > blob.size:
                raise InvalidImage(f"the blob {blob.digest} is longer than the {blob.size} bytes announced")
            writer.write(piece)
            now = time.monotonic()
            if now - reported >= _REPORT_SECONDS:
                report(Progress("Pulling", blob.digest, writer.size, blob.size))
                reported = now
            if now - watched >= _SLOWEST_SECONDS:
                if writer.size - mark < _SLOWEST_BYTES:
                    raise PullFailed(f"the registry {registry.host} is too slow: less than 16 KiB in a minute")
                watched, mark = now, writer.size


@contextlib.contextmanager
def _one_at_a_time(digest: str) -> Iterator[None]:
    """Let one of several pulls fetch a blob; the others then find it here."""
    with _busy_lock:
        lock = _busy.setdefault(digest, threading.Lock())
    with lock:
        yield
    with _busy_lock:
        if not lock.locked():
            _busy.pop(digest, None)
