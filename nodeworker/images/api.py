"""What the node asks of the control plane's image catalogue: resolve a name, pull it, fetch a blob.

Called by nodeworker.images.store.
"""

import errno
import hashlib
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, BinaryIO, TypeVar, cast
from urllib.parse import quote

import msgspec

from nodeworker.images.types import ApiClient, ImageError, Progress, ReportProgress, Response

_CHUNK = 1 << 20
_ATTEMPTS = 4
_LONGEST_ANSWER = 16 << 20
_LONGEST_LINE = 8 << 20

Answer = TypeVar("Answer")
REASONS = frozenset({"InvalidImageName", "ErrImagePull", "ErrImageNeverPull"})
Digest = Annotated[str, msgspec.Meta(pattern="^sha256:[0-9a-f]{64}$")]


class ResolvedLayer(msgspec.Struct, frozen=True):
    """One layer of a resolved image, the lowest first."""

    digest: Digest
    diff_id: Digest
    size: int
    media_type: str = ""


class Resolved(msgspec.Struct, frozen=True):
    """The answer of `resolve`, and the record that the node keeps of an image."""

    reference: str
    digest: Digest
    config_digest: Digest
    config: dict[str, object]
    layers: list[ResolvedLayer]


class _PullLine(msgspec.Struct, frozen=True):
    status: str = ""
    layer: str = ""
    current: int = 0
    total: int = 0
    done: Resolved | None = None
    error: str = ""
    reason: str = ""


class _Refusal(msgspec.Struct, frozen=True):
    message: str = ""
    reason: str = ""


class ImageApi:
    """The image part of the API, spoken over the node's client."""

    def __init__(self, client: ApiClient, incoming: Path, blobs: Path | None) -> None:
        self._client = client
        self._incoming = incoming
        self._blobs = blobs
        incoming.mkdir(parents=True, exist_ok=True)

    def resolve(self, reference: str, policy: str) -> Resolved | None:
        """Return the image that the name means there, None when it would have to be pulled."""
        path = f"/rest/v1/images/resolve?reference={quote(reference, safe='')}&policy={policy}"
        with self._client.request("GET", path) as response:
            body = response.read(_LONGEST_ANSWER)
            if response.status == 404:
                return None
            if response.status != 200:
                raise _refused(response, body)
            return _decoded(body, Resolved)

    def pull(self, reference: str, report: ReportProgress) -> Resolved:
        """Have the control plane pull the image; its progress is passed on as it comes."""
        body = msgspec.json.encode({"reference": reference})
        headers = {"Content-Type": "application/json"}
        # The answer is a stream that is never silent for long: the time limit is between two lines of it.
        with self._client.request("POST", "/rest/v1/images/pull", headers=headers, body=body, timeout=120) as response:
            if response.status != 200:
                raise _refused(response, response.read(_LONGEST_ANSWER))
            while text := response.readline(_LONGEST_LINE):
                if not text.strip():
                    continue
                line = _decoded(text, _PullLine)
                if line.done is not None:
                    response.read()
                    return line.done
                if line.error:
                    response.read()
                    raise ImageError(line.reason or "ErrImagePull", line.error)
                report(Progress(line.status, line.layer, line.current, line.total))
        raise ImageError("ErrImagePull", f"the pull of {reference} broke off before it was done")

    def blob(self, digest: str, size: int, report: Callable[[int], None]) -> BinaryIO:
        """Return an open file with the blob: the control plane's own on the same machine, else fetched and verified."""
        if self._blobs is not None:
            try:
                return (self._blobs / "sha256" / digest.removeprefix("sha256:")).open("rb")
            except OSError:
                pass  # not readable from here: fetched as from any other machine
        return self._fetch(digest, size, report)

    def _fetch(self, digest: str, size: int, report: Callable[[int], None]) -> BinaryIO:
        # A file without a name: whatever happens, nothing of it is left behind.
        file = cast(BinaryIO, tempfile.TemporaryFile(dir=self._incoming))  # noqa: SIM115
        content = hashlib.sha256()
        try:
            for attempt in range(_ATTEMPTS):
                try:
                    self._continue(file, digest, size, content, report)
                except OSError as error:
                    if error.errno in (errno.ENOSPC, errno.EDQUOT) or attempt == _ATTEMPTS - 1:
                        raise
                if file.tell() >= size:
                    break
            if file.tell() != size or f"sha256:{content.hexdigest()}" != digest:
                raise ImageError("ErrImagePull", f"the blob {digest} did not arrive as it should: its content differs")
            file.seek(0)
            return file
        except BaseException:
            file.close()
            raise

    def _continue(
        self, file: BinaryIO, digest: str, size: int, content: "hashlib._Hash", report: Callable[[int], None]
    ) -> None:
        start = file.tell()
        headers = {"Range": f"bytes={start}-"} if start else {}
        with self._client.request("GET", f"/rest/v1/blobs/{digest}", headers=headers, timeout=60) as response:
            if response.status not in (200, 206):
                raise _refused(response, response.read(_LONGEST_ANSWER))
            if start and response.status == 200:
                raise ImageError("ErrImagePull", f"the transfer of the blob {digest} broke off and cannot be resumed")
            while piece := response.read(_CHUNK):
                content.update(piece)
                file.write(piece)
                if file.tell() > size:
                    raise ImageError("ErrImagePull", f"the blob {digest} is longer than the {size} bytes announced")
                report(file.tell())


def _decoded(body: bytes, kind: type[Answer]) -> Answer:
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.MsgspecError as error:
        raise ImageError("ErrImagePull", f"the API answered something that is no image: {error}") from error


def _refused(response: Response, body: bytes) -> ImageError:
    try:
        refusal = msgspec.json.decode(body, type=_Refusal)
    except msgspec.MsgspecError:
        refusal = _Refusal()
    reason = refusal.reason if refusal.reason in REASONS else "ErrImagePull"
    return ImageError(reason, refusal.message or f"the API answered {response.status} when it was asked for the image")
