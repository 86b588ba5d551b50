"""The images of this node: a name becomes unpacked layers, once, whoever asks and however often.

Called by the agent: `ensure` blocks (it runs in a thread of the agent's, which syncs the pod again when it returns),
`local`, `images` and `collect_garbage` do not. State on disk: images/<digest>.json, images/names.json, layers/.
"""

import contextlib
import errno
import os
import threading
import time
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from nodeworker.images.api import ImageApi, Resolved, ResolvedLayer
from nodeworker.images.files import read_json, write_json
from nodeworker.images.layers import Layers
from nodeworker.images.types import ApiClient, ImageError, Progress, ReadyImage, ReportProgress, ignore_progress
from nodeworker.images.unpack import UnpackError
from nodeworker.wire.reference import InvalidReference, Reference, parse_reference

_PARALLEL_LAYERS = 3
_FULL, _ROOMY = 0.85, 0.80  # the kubelet's thresholds of a disk from which, and down to which, images are removed


class ImageStore:
    """HOME/node/images and HOME/node/layers. Safe to use from several threads of one process."""

    def __init__(self, home: Path, api_client: ApiClient, blobs: Path | None = None) -> None:
        """`home` is HOME/node; `blobs` is HOME/blobs when the control plane's blobs lie on this machine."""
        self._folder = home / "images"
        self._folder.mkdir(parents=True, exist_ok=True)
        self._folder.chmod(0o700)
        self._api = ImageApi(api_client, home / "incoming", blobs)
        self._stamp_path = blobs / "names.stamp" if blobs is not None else None
        self._layers = Layers(home / "layers")
        self._lock = threading.Lock()
        self._fresh: dict[str, tuple[str, str]] = {}  # name: stamp of the catalogue when it was resolved, digest
        self._used: dict[str, float] = {}
        self._at_work: dict[str, int] = {}  # diff ids that an ensure needs: not to be collected
        self._images: dict[str, Resolved] = {}
        self._names: dict[str, str] = {}
        self._load()

    def ensure(self, reference: str, policy: str, progress: ReportProgress = ignore_progress) -> ReadyImage:
        """Return the image unpacked; `policy` is the container's imagePullPolicy.

        Raise ImageError with one sentence.
        """
        name = _parsed(reference)
        resolved = self._resolve(name, policy, progress)
        with self._needing(resolved):
            self._unpack(resolved, progress)
            self._record(name, resolved)
        return self._ready(str(name), resolved)

    def local(self, reference: str) -> ReadyImage | None:
        """Return the image as it is here, without asking anybody."""
        name = _parsed(reference)
        with self._lock:
            digest = name.digest or self._names.get(str(name), "")
            resolved = self._images.get(digest)
        if resolved is None or any(self._layers.path(layer.diff_id) is None for layer in resolved.layers):
            return None
        return self._ready(str(name), resolved)

    def images(self) -> list[dict[str, Any]]:
        """Return Node.status.images: the names, the digest first, and the size."""
        with self._lock:
            names: dict[str, list[str]] = {}
            for name, digest in sorted(self._names.items()):
                names.setdefault(digest, []).append(name)
            images = list(self._images.values())
        return [
            {
                "names": [_with_digest(image), *names.get(image.digest, [])],
                "sizeBytes": sum(layer.size for layer in image.layers),
            }
            for image in images
        ]

    def collect_garbage(self, in_use: Collection[str], *, min_age: float = 600.0) -> list[str]:
        """Remove images that no container uses and no name points to, and when the disk is filling up others too.

        `in_use` are digests. An image asked for within `min_age` seconds stays: its container may be about to start.
        Return the digests removed.
        """
        removed: list[str] = []
        for image in self._unused(in_use, min_age):
            with self._lock:
                named = image.digest in self._names.values()
            if named and not self._disk_above(_ROOMY if removed else _FULL):
                continue
            self._forget(image.digest)
            removed.append(image.digest)
            self._collect_layers()
        self._collect_layers()
        return removed

    def _resolve(self, name: Reference, policy: str, progress: ReportProgress) -> Resolved:
        stamp = self._stamp()
        known = self._known(name, policy, stamp)
        if known is not None:
            return known
        try:
            resolved = self._api.resolve(str(name), policy)
            if resolved is None:
                if policy == "Never":
                    raise ImageError(
                        "ErrImageNeverPull",
                        f'container image "{name.familiar()}" is not present with pull policy of Never: '
                        "import it with ./gantry image import FILE, or use the policy IfNotPresent",
                    )
                resolved = self._api.pull(str(name), progress)
        except OSError as error:
            # The control plane is away, perhaps being upgraded: what ran before may start again.
            local = self._images.get(name.digest or self._names.get(str(name), ""))
            if local is not None:
                return local
            raise ImageError("ErrImagePull", _away(name, error)) from error
        if stamp:
            with self._lock:
                self._fresh[str(name)] = (stamp, resolved.digest)
        return resolved

    def _known(self, name: Reference, policy: str, stamp: str) -> Resolved | None:
        """Return what need not be asked again: a digest, or a name when no name has moved in the catalogue since."""
        with self._lock:
            if name.digest:
                return self._images.get(name.digest)
            seen, digest = self._fresh.get(str(name), ("", ""))
            if policy == "Always" or not stamp or seen != stamp:
                return None
            return self._images.get(digest)

    def _stamp(self) -> str:
        """Return what changes whenever a name moves in the catalogue on this machine.

        Empty when that cannot be seen.
        """
        if self._stamp_path is None:
            return ""
        try:
            status = self._stamp_path.stat()
        except OSError:
            return ""
        return f"{status.st_ino}-{status.st_mtime_ns}"

    def _unpack(self, resolved: Resolved, progress: ReportProgress) -> None:
        missing = {layer.diff_id: layer for layer in resolved.layers if self._layers.path(layer.diff_id) is None}
        if not missing:
            return
        try:
            if len(missing) == 1:
                self._unpack_layer(next(iter(missing.values())), progress)
            else:
                with ThreadPoolExecutor(_PARALLEL_LAYERS, "unpack") as pool:
                    for _ in pool.map(lambda layer: self._unpack_layer(layer, progress), missing.values()):
                        pass
        except UnpackError as error:
            raise ImageError("ErrImagePull", f"{resolved.reference}: {error}") from error
        except OSError as error:
            raise ImageError("ErrImagePull", _sentence(resolved.reference, error)) from error
        threading.Thread(target=self._layers.sync, name="sync-layers", daemon=True).start()

    def _unpack_layer(self, layer: ResolvedLayer, progress: ReportProgress) -> None:
        def report(status: str, current: int) -> None:
            progress(Progress(status, layer.digest, current, layer.size))

        report("Unpacking", 0)
        try:
            self._layers.ensure(
                layer.diff_id,
                lambda: self._api.blob(layer.digest, layer.size, lambda current: report("Fetching", current)),
                lambda current: report("Unpacking", current),
            )
        except UnpackError as error:
            raise UnpackError(f"layer {layer.digest[:19]}: {error}", temporary=error.temporary) from error
        report("Unpacked", layer.size)

    def _record(self, name: Reference, resolved: Resolved) -> None:
        with self._lock:
            self._used[resolved.digest] = time.monotonic()
            if resolved.digest not in self._images:
                write_json(self._image_path(resolved.digest), resolved)
                self._images[resolved.digest] = resolved
            if not name.digest and self._names.get(str(name)) != resolved.digest:
                self._names[str(name)] = resolved.digest
                write_json(self._folder / "names.json", self._names)

    def _ready(self, reference: str, resolved: Resolved) -> ReadyImage:
        lower = [path for layer in reversed(resolved.layers) if (path := self._layers.path(layer.diff_id))]
        return ReadyImage(reference, resolved.digest, dict(resolved.config), list(dict.fromkeys(lower)))

    @contextlib.contextmanager
    def _needing(self, resolved: Resolved) -> Iterator[None]:
        """Keep the garbage collection away from the image's layers until it is recorded."""
        with self._lock:
            for layer in resolved.layers:
                self._at_work[layer.diff_id] = self._at_work.get(layer.diff_id, 0) + 1
        try:
            yield
        finally:
            with self._lock:
                for layer in resolved.layers:
                    self._at_work[layer.diff_id] -= 1

    def _unused(self, in_use: Collection[str], min_age: float) -> list[Resolved]:
        now = time.monotonic()
        with self._lock:
            unused = [
                image
                for digest, image in self._images.items()
                if digest not in in_use and now - self._used.get(digest, -min_age) >= min_age
            ]
            return sorted(unused, key=lambda image: self._used.get(image.digest, 0.0))

    def _forget(self, digest: str) -> None:
        with self._lock:
            self._images.pop(digest, None)
            self._image_path(digest).unlink(missing_ok=True)
            left = {name: target for name, target in self._names.items() if target != digest}
            if left != self._names:
                self._names = left
                write_json(self._folder / "names.json", left)

    def _collect_layers(self) -> None:
        with self._lock:
            keep = {layer.diff_id for image in self._images.values() for layer in image.layers}
            keep |= {diff_id for diff_id, count in self._at_work.items() if count}
            doomed = self._layers.set_aside_all_but(keep)
        self._layers.remove(doomed)

    def _disk_above(self, share: float) -> bool:
        status = os.statvfs(self._folder)
        return status.f_bavail < status.f_blocks * (1 - share)

    def _image_path(self, digest: str) -> Path:
        return self._folder / f"{digest.removeprefix('sha256:')}.json"

    def _load(self) -> None:
        for path in self._folder.glob("*.json"):
            image = read_json(path, Resolved)
            if image is not None and path == self._image_path(image.digest):
                self._images[image.digest] = image
        self._names = read_json(self._folder / "names.json", dict[str, str]) or {}


def _parsed(reference: str) -> Reference:
    try:
        return parse_reference(reference)
    except InvalidReference as error:
        raise ImageError("InvalidImageName", f"couldn't parse image name {reference!r}: {error}") from error


def _away(name: Reference, error: OSError) -> str:
    return f"the API could not be asked for the image {name.familiar()}: {error}"


def _with_digest(image: Resolved) -> str:
    name = parse_reference(image.reference)
    return f"{name.registry}/{name.repository}@{image.digest}"


def _sentence(reference: str, error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"{reference}: the disk that holds the node's images is full"
    return f"{reference}: {error}"
