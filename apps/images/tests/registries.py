"""A registry on loopback that lies in the way a test asks for."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from apps.images.tests.archives import oci_documents, sha

MANIFEST = "application/vnd.oci.image.manifest.v1+json"


@dataclass
class Reply:
    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    sends: int | None = None
    """How many bytes of the body are sent before the connection is cut."""


@dataclass
class Registry:
    """The answers by path below /v2/; `hook` sees each request first and may answer in their place."""

    host: str = ""
    replies: dict[str, Reply] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    """Path and Authorization header of each request."""
    hook: Callable[[str, dict[str, str]], Reply | None] = lambda _path, _headers: None

    def add(self, repository: str, tag: str, *layers: bytes) -> tuple[bytes, dict[str, bytes]]:
        manifest, blobs = oci_documents(*layers)
        self.add_manifest(repository, tag, manifest)
        for digest, data in blobs.items():
            self.replies[f"/v2/{repository}/blobs/{digest}"] = Reply(body=data)
        return manifest, blobs

    def add_manifest(self, repository: str, tag: str, manifest: bytes, media_type: str = MANIFEST) -> None:
        for version in (tag, f"sha256:{sha(manifest)}"):
            path = f"/v2/{repository}/manifests/{version}"
            self.replies[path] = Reply(body=manifest, headers={"Content-Type": media_type})


@contextmanager
def running() -> Iterator[Registry]:
    registry = Registry()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            registry.asked.append((self.path, self.headers.get("Authorization", "")))
            headers = {key.lower(): value for key, value in self.headers.items()}
            path = urlsplit(self.path).path
            reply = registry.hook(self.path, headers) or registry.replies.get(path, Reply(404, b"{}"))
            self._send(reply, headers.get("range", ""))

        def _send(self, reply: Reply, wanted: str) -> None:
            body, status, more = reply.body, reply.status, dict(reply.headers)
            if wanted and status == 200:
                start = int(wanted.removeprefix("bytes=").rstrip("-"))
                more["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
                body, status = body[start:], 206
            self.send_response(status)
            for key, value in ({"Content-Length": str(len(body))} | more).items():
                self.send_header(key, value)
            self.end_headers()
            self.wfile.write(body if reply.sends is None else body[: reply.sends])
            if reply.sends is not None:
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    registry.host = f"127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield registry
    finally:
        server.shutdown()
        server.server_close()


def with_tokens(registry: Registry, token: str = "let-me-in") -> None:
    """Make the registry ask for a token first, as Docker Hub does."""

    def hook(path: str, headers: dict[str, str]) -> Reply | None:
        address = urlsplit(path)
        if address.path == "/token":
            scope = parse_qs(address.query).get("scope", [""])[0]
            return Reply(body=json.dumps({"token": f"{token}/{scope}"}).encode())
        if not headers.get("authorization", "").startswith(f"Bearer {token}/repository:"):
            challenge = f'Bearer realm="http://{registry.host}/token",service="here",scope="repository:shop/web:pull"'
            return Reply(401, b"{}", {"WWW-Authenticate": challenge})
        return None

    registry.hook = hook
