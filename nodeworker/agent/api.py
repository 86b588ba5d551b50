"""The node's way to the API: mutual TLS, connections kept alive, safe to use from several threads.

Only the standard library: the node starts quickly and a status write costs two system calls. Used by everything in
agent/ and, as `nodeworker.images.types.ApiClient`, by the image store.
"""

import contextlib
import http.client
import json
import ssl
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import msgspec

IDLE_KEPT = 8
STRATEGIC = "application/strategic-merge-patch+json"
_STALE = (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError, ssl.SSLEOFError)


class ApiError(Exception):
    """The API answered no. `code` and `reason` are those of its Status object."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.code, self.reason, self.message = code, reason, message


def tls_context(ca: str, certificate: str, key: str) -> ssl.SSLContext:
    """A context that trusts the cluster's CA only and shows the node's certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(ca)
    context.load_cert_chain(certificate, key)
    context.set_alpn_protocols(["http/1.1"])
    return context


class ApiClient:
    """A small pool of connections to one API server."""

    def __init__(self, base: str, context: ssl.SSLContext | None = None) -> None:
        parts = urlsplit(base)
        self.host = parts.hostname or "127.0.0.1"
        self.port = parts.port or (443 if parts.scheme == "https" else 80)
        self.context = context if parts.scheme == "https" else None
        self._idle: deque[http.client.HTTPConnection] = deque()
        self._lock = threading.Lock()

    @classmethod
    def from_files(cls, base: str, ca: str, certificate: str, key: str) -> "ApiClient":
        if base.startswith("http://"):
            return cls(base)
        for path in (ca, certificate, key):
            if not Path(path).exists():
                raise SystemExit(f"{path} does not exist: `./gantry up` writes the node's certificates.")
        return cls(base, tls_context(ca, certificate, key))

    @contextlib.contextmanager
    def request(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        timeout: float = 30.0,
    ) -> Iterator[http.client.HTTPResponse]:
        """Send one request; OSError when the API cannot be reached. Read the response to its end inside the `with`."""
        connection, response = self._send(method, path, dict(headers or {}), body, timeout)
        reusable = False
        try:
            yield response
            reusable = response.isclosed() or not response.read(65536)
            reusable = reusable and response.isclosed() and not response.will_close
        finally:
            if reusable:
                self._give_back(connection)
            else:
                connection.close()

    def call(
        self, method: str, path: str, body: Any = None, *, content_type: str = "application/json", timeout: float = 30.0
    ) -> Any:
        """Send JSON, return the decoded answer; ApiError for any status from 400 on."""
        data = None if body is None else msgspec.json.encode(body)
        headers = {"Accept": "application/json"}
        if data is not None:
            headers["Content-Type"] = content_type
        with self.request(method, path, headers=headers, body=data, timeout=timeout) as response:
            text, status = response.read(), response.status
        if status >= 400:  # said outside, so that the connection is kept: a handshake costs both sides milliseconds
            raise _error(status, text)
        return msgspec.json.decode(text) if text else None

    def get(self, path: str) -> Any:
        return self.call("GET", path)

    def close(self) -> None:
        with self._lock:
            while self._idle:
                self._idle.pop().close()

    def _send(
        self, method: str, path: str, headers: dict[str, str], body: bytes | None, timeout: float
    ) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        while True:
            connection, reused = self._take(timeout)
            try:
                connection.request(method, path, body=body, headers=headers)
                return connection, connection.getresponse()
            except _STALE:
                # The server closed a kept connection while it was idle: that request was never read.
                connection.close()
                if not reused:
                    raise
            except (http.client.HTTPException, ValueError) as problem:
                connection.close()
                raise ConnectionError(f"{method} {path}: {problem}") from problem
            except BaseException:
                connection.close()
                raise

    def _take(self, timeout: float) -> tuple[http.client.HTTPConnection, bool]:
        with self._lock:
            if self._idle:
                connection = self._idle.pop()
                if connection.sock is not None:
                    connection.sock.settimeout(timeout)
                return connection, True
        if self.context is not None:
            return http.client.HTTPSConnection(self.host, self.port, timeout=timeout, context=self.context), False
        return http.client.HTTPConnection(self.host, self.port, timeout=timeout), False

    def _give_back(self, connection: http.client.HTTPConnection) -> None:
        with self._lock:
            if len(self._idle) < IDLE_KEPT:
                self._idle.append(connection)
                return
        connection.close()


def _error(code: int, text: bytes) -> ApiError:
    try:
        status = json.loads(text)
        return ApiError(code, str(status.get("reason", "")), str(status.get("message") or status))
    except (ValueError, AttributeError):
        return ApiError(code, "", text[:300].decode("utf-8", "replace") or f"HTTP {code}")


def pod_path(namespace: str, name: str, subresource: str = "") -> str:
    path = f"/api/v1/namespaces/{quote(namespace)}/pods/{quote(name)}"
    return f"{path}/{subresource}" if subresource else path


def named_path(plural: str, namespace: str, name: str) -> str:
    """The path of a namespaced object of the core group."""
    return f"/api/v1/namespaces/{quote(namespace)}/{plural}/{quote(name)}"
