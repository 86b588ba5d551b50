"""The little of HTTP/1.1 that the streaming endpoint needs: heads of GET requests, chunked and whole answers.

Its only client is the control plane's web process, with a certificate; a full server framework would cost 20 MB.
"""

import asyncio
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

LONGEST_HEAD = 65536
REASONS = {200: "OK", 400: "Bad Request", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed", 500: "Error"}


class RequestProblem(Exception):  # noqa: N818
    """The request cannot be served; a status and a sentence."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


@dataclass(frozen=True)
class Request:
    """The head of one request."""

    method: str
    parts: tuple[str, ...]  # of the path, decoded
    query: dict[str, list[str]]
    headers: dict[str, str]
    raw: bytes

    @property
    def is_websocket(self) -> bool:
        return self.headers.get("upgrade", "").lower() == "websocket"

    def value(self, name: str, default: str = "") -> str:
        return self.query.get(name, [default])[0]

    def flag(self, name: str) -> bool:
        return self.value(name).lower() in ("1", "true", "yes")

    def number(self, name: str) -> int | None:
        """A whole number, or None when it is not given."""
        text = self.value(name)
        if not text:
            return None
        try:
            number = int(text)
        except ValueError:
            raise RequestProblem(400, f"{name}={text!r} is not a whole number") from None
        if number < 0:
            raise RequestProblem(400, f"{name}={number} must not be negative")
        return number


async def read_request(reader: asyncio.StreamReader) -> Request | None:
    """The next request of a connection; None when it was closed."""
    try:
        raw = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    except asyncio.LimitOverrunError:
        raise RequestProblem(400, "the head of the request is too long") from None
    first, *lines = raw.decode("latin-1").split("\r\n")
    words = first.split(" ")
    if len(words) != 3:
        raise RequestProblem(400, "not an HTTP request")
    address = urlsplit(words[1])
    headers = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if colon:
            headers[name.strip().lower()] = value.strip()
    parts = tuple(unquote(part) for part in address.path.split("/") if part)
    return Request(words[0], parts, parse_qs(address.query, keep_blank_values=True), headers, raw)


class Answer:
    """The answer to one request."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        self.started = False

    async def whole(self, status: int, body: Any) -> None:
        """A JSON document."""
        self.started = True
        content = json.dumps(body).encode()
        self.writer.write(_head(status, "application/json", f"Content-Length: {len(content)}") + content)
        await self.writer.drain()

    async def begin(self, content_type: str) -> None:
        """The head of an answer that comes in chunks."""
        self.started = True
        self.writer.write(_head(200, content_type, "Transfer-Encoding: chunked"))
        await self.writer.drain()

    async def chunk(self, content: bytes) -> None:
        """One piece; waits while the other side does not read."""
        if content:
            self.writer.write(b"%x\r\n%b\r\n" % (len(content), content))
            await self.writer.drain()

    async def end(self) -> None:
        self.writer.write(b"0\r\n\r\n")
        await self.writer.drain()


def _head(status: int, content_type: str, length: str) -> bytes:
    reason = REASONS.get(status, "Error")
    return f"HTTP/1.1 {status} {reason}\r\nContent-Type: {content_type}\r\n{length}\r\n\r\n".encode()
