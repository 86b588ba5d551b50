"""A stand-in for the API's image part: images by name, blobs by digest, with the faults that a test asks for."""

import contextlib
import io
import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

from nodeworker.images.tests.layers import sha
from nodeworker.images.types import Response


class Answer(io.BytesIO):
    """What http.client would return."""

    def __init__(self, status: int, body: bytes, breaks_after: int | None = None) -> None:
        super().__init__(body if breaks_after is None else body[:breaks_after])
        self.status = status

    def getheader(self, name: str, default: str, /) -> str:
        return default


@dataclass
class Image:
    layers: list[bytes]
    digest: str = ""

    def __post_init__(self) -> None:
        self.digest = self.digest or sha(b"manifest" + b"".join(self.layers))


@dataclass
class StubApi:
    """Implements ApiClient."""

    images: dict[str, Image] = field(default_factory=dict)
    elsewhere: dict[str, Image] = field(default_factory=dict)
    """What only a pull brings."""
    blobs: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    away: bool = False
    break_after: int | None = None
    refuse_pull: tuple[str, str] | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, name: str, *layers: bytes, pull: bool = False) -> Image:
        image = Image(list(layers))
        (self.elsewhere if pull else self.images)[name] = image
        self.blobs |= {sha(layer): layer for layer in layers}
        return image

    @contextlib.contextmanager
    def request(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        timeout: float = 30.0,
    ) -> Iterator[Response]:
        with self._lock:
            self.asked.append(f"{method} {path.split('?')[0]}")
        if self.away:
            raise ConnectionRefusedError("connection refused")
        address = urlsplit(path)
        if address.path.startswith("/rest/v1/blobs/"):
            yield self._blob(address.path.rpartition("/")[2], dict(headers or {}))
        elif address.path.endswith("/resolve"):
            yield self._resolve(parse_qs(address.query)["reference"][0])
        else:
            yield self._pull(json.loads(body or b"{}")["reference"])

    def _resolve(self, name: str) -> Answer:
        if name not in self.images:
            return Answer(404, json.dumps({"message": "not here", "reason": "NotFound"}).encode())
        return Answer(200, json.dumps(self._described(name, self.images[name])).encode())

    def _pull(self, name: str) -> Answer:
        lines: list[object] = [{"status": "Pulling", "layer": "x", "current": 1, "total": 2}]
        if self.refuse_pull or name not in self.elsewhere:
            reason, sentence = self.refuse_pull or ("ErrImagePull", f'image "{name}" was not found')
            lines.append({"error": sentence, "reason": reason})
        else:
            self.images[name] = self.elsewhere[name]
            lines.append({"done": self._described(name, self.elsewhere[name])})
        return Answer(200, b"".join(json.dumps(line).encode() + b"\n" for line in lines))

    def _blob(self, digest: str, headers: dict[str, str]) -> Answer:
        content = self.blobs[digest]
        start = int(headers.get("Range", "bytes=0-")[6:-1])
        breaks, self.break_after = self.break_after, None
        return Answer(206 if start else 200, content[start:], breaks)

    def _described(self, name: str, image: Image) -> dict[str, object]:
        layers = [
            {"digest": sha(layer), "diff_id": sha(layer), "size": len(layer), "media_type": ""}
            for layer in image.layers
        ]
        config = {"config": {"Cmd": ["sh"]}}
        return {
            "reference": name,
            "digest": image.digest,
            "config_digest": sha(b"config"),
            "config": config,
            "layers": layers,
        }
