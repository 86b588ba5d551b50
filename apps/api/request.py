"""One HTTP request of the Kubernetes protocol: its query, headers and body. Built by `apps.api.application`."""

from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from apps.api.asgi import Receive, Scope
from apps.api.errors import bad_request, too_large

if TYPE_CHECKING:
    from apps.access.identity import Identity

MAX_BODY_BYTES = 3 * 1024 * 1024

_TRUE = frozenset({"1", "t", "T", "true", "TRUE", "True"})
_FALSE = frozenset({"0", "f", "F", "false", "FALSE", "False", ""})


class Query:
    """Query parameters as Kubernetes reads them: the first value counts, several are kept for `command`."""

    __slots__ = ("_values",)

    def __init__(self, raw: bytes) -> None:
        self._values: dict[str, list[str]] = {}
        if raw:
            for name, value in parse_qsl(raw.decode("latin-1"), keep_blank_values=True):
                self._values.setdefault(name, []).append(value)

    def text(self, name: str, default: str = "") -> str:
        values = self._values.get(name)
        return values[0] if values else default

    def texts(self, name: str) -> list[str]:
        return self._values.get(name, [])

    def boolean(self, name: str, default: bool = False) -> bool:
        value = self.text(name)
        if name not in self._values:
            return default
        if value in _TRUE:
            return True
        if value in _FALSE:
            return False
        raise bad_request(f'Invalid value for {name}: "{value}" is not a boolean; it would be true or false')

    def number(self, name: str) -> int | None:
        value = self.text(name)
        if not value:
            return None
        if not value.removeprefix("-").isascii() or not value.removeprefix("-").isdigit() or len(value) > 18:
            raise bad_request(f'Invalid value for {name}: "{value}" is not a whole number')
        return int(value)

    def __contains__(self, name: str) -> bool:
        return name in self._values


class Request:
    """What the verbs need of a request; the body is read only by those that want it."""

    __slots__ = ("_query", "headers", "identity", "method", "path", "receive", "request_id", "scope", "warnings")

    identity: "Identity"

    def __init__(self, scope: Scope, receive: Receive, request_id: str) -> None:
        self.scope = scope
        self.receive = receive
        self.method: str = scope.get("method", "GET")
        self.path: str = scope["path"]
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self.request_id = request_id
        self.warnings: list[str] = []
        self._query: Query | None = None

    @property
    def query(self) -> Query:
        if self._query is None:
            self._query = Query(self.scope.get("query_string", b""))
        return self._query

    def header(self, name: bytes) -> str:
        return self.headers.get(name, b"").decode("latin-1")

    async def body(self) -> bytes:
        """Return the whole body; more than 3 MiB is refused before it is kept."""
        length = self.headers.get(b"content-length", b"")
        if length.isdigit() and int(length) > MAX_BODY_BYTES:
            raise too_large(MAX_BODY_BYTES)
        chunks: list[bytes] = []
        size = 0
        while True:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise ConnectionResetError("the client went away while it sent the body")
            chunk: bytes = message.get("body", b"")
            size += len(chunk)
            if size > MAX_BODY_BYTES:
                raise too_large(MAX_BODY_BYTES)
            chunks.append(chunk)
            if not message.get("more_body"):
                return chunks[0] if len(chunks) == 1 else b"".join(chunks)
