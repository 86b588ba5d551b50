"""Answers of the Kubernetes protocol: bytes with their headers, gzip for big ones, YAML and `?pretty` when asked."""

import asyncio
from typing import Any

import msgspec
import yaml
from isal import igzip

from apps.api.asgi import Send
from apps.api.negotiation import YAML, negotiate
from apps.api.request import Request

GZIP_FROM_BYTES = 128 * 1024
# Compressing more than this takes longer than other requests should wait for the loop.
THREAD_FROM_BYTES = 512 * 1024

_NO_CACHE = (b"cache-control", b"no-cache, private")
_JSON_HEADER = (b"content-type", b"application/json")

encode = msgspec.json.Encoder().encode


async def send_json(request: Request, send: Send, body: bytes, status: int = 200) -> None:
    """Answer with a JSON document, rewritten as YAML or indented when the client asked for it."""
    accept = request.headers.get(b"accept", b"")
    if b"yaml" in accept and negotiate(accept.decode("latin-1")).media_type == YAML:
        await send_bytes(request, send, _to_yaml(body), b"application/yaml", status)
        return
    if b"pretty" in request.scope.get("query_string", b"") and request.query.boolean("pretty"):
        body = msgspec.json.format(body, indent=2) + b"\n"
    await send_bytes(request, send, body, b"application/json", status)


async def send_data(request: Request, send: Send, data: Any, status: int = 200) -> None:
    """Answer with plain data."""
    await send_json(request, send, encode(data), status)


async def send_bytes(request: Request, send: Send, body: bytes, content_type: bytes, status: int = 200) -> None:
    """Answer with `body` as it is, compressed when it is big and the client takes gzip."""
    headers = [(b"content-type", content_type), _NO_CACHE]
    if len(body) >= GZIP_FROM_BYTES and b"gzip" in request.headers.get(b"accept-encoding", b""):
        body = await _compressed(body)
        headers += [(b"content-encoding", b"gzip"), (b"vary", b"Accept-Encoding")]
    headers.append((b"content-length", b"%d" % len(body)))
    headers += warning_headers(request)
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if request.method == "HEAD" else body})


async def send_status(request: Request, send: Send, status: dict[str, Any]) -> None:
    """Answer with a Status object; its code is the response's."""
    body = encode(status)
    headers = [_JSON_HEADER, _NO_CACHE, (b"content-length", b"%d" % len(body)), *warning_headers(request)]
    retry = (status.get("details") or {}).get("retryAfterSeconds")
    if retry:
        headers.append((b"retry-after", b"%d" % retry))
    if status["code"] == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": status["code"], "headers": headers})
    await send({"type": "http.response.body", "body": b"" if request.method == "HEAD" else body})


async def start_stream(request: Request, send: Send, content_type: bytes) -> None:
    """Begin an answer whose length is not known; pieces follow by `send_piece`."""
    headers = [(b"content-type", content_type), _NO_CACHE, *warning_headers(request)]
    await send({"type": "http.response.start", "status": 200, "headers": headers})


async def send_piece(send: Send, piece: bytes) -> None:
    await send({"type": "http.response.body", "body": piece, "more_body": True})


async def end_stream(send: Send) -> None:
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def warning_headers(request: Request) -> list[tuple[bytes, bytes]]:
    """Return the warnings that verbs left on the request as kubectl prints them."""
    return [(b"warning", b'299 - "%s"' % _quoted(text)) for text in request.warnings]


def _quoted(text: str) -> bytes:
    printable = "".join(character if character.isprintable() else " " for character in text)[:1000]
    return printable.replace("\\", "\\\\").replace('"', '\\"').encode()


async def _compressed(body: bytes) -> bytes:
    if len(body) < THREAD_FROM_BYTES:
        return bytes(igzip.compress(body, compresslevel=1))
    return bytes(await asyncio.to_thread(igzip.compress, body, compresslevel=1))


def _to_yaml(body: bytes) -> bytes:
    text: str = yaml.dump(
        msgspec.json.decode(body),
        Dumper=yaml.CSafeDumper,
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=False,
    )
    return text.encode()
