"""Client of a node's streaming endpoint: logs, exec, stats, over mutual TLS. Called by `apps.api` and `apps.console`.

The address is the one that the Node's own status gives, the certificate must come from the cluster's authority and name
the node, redirects are not followed and no proxy is asked: whoever answers is that node or nobody.
"""

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode
from weakref import WeakKeyDictionary

import httpx2
from django.conf import settings
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidHandshake, InvalidStatus

from apps.kinds.status import ApiError, BadRequest, NotFound, Unavailable
from nodeworker.wire.instance import Instance

# Its INFO lines tell every request.
logging.getLogger("httpx2").setLevel(logging.WARNING)
CONNECT_SECONDS = 5.0
EXEC_PROTOCOL = "v5.channel.k8s.io"
MESSAGE_LIMIT = 4 * 1024 * 1024


@dataclass(frozen=True)
class Endpoint:
    """Where a node's endpoint is and which node must answer there."""

    node: str
    address: str
    port: int

    def url(self, scheme: str, path: str, query: list[tuple[str, str]]) -> str:
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{scheme}://{host}:{self.port}{path}" + (f"?{urlencode(query)}" if query else "")

    def unreachable(self, error: Exception) -> ApiError:
        reason = str(error) or type(error).__name__
        return Unavailable(f'node "{self.node}" cannot be reached at {self.address}:{self.port}: {reason}')


def endpoint_of(node: dict[str, Any]) -> Endpoint:
    """Read the endpoint from a Node object; this machine's own node is met where it listens, which is loopback."""
    name, status = node["metadata"]["name"], node.get("status", {})
    own = _own_endpoint(name)
    if own is not None:
        return own
    port = status.get("daemonEndpoints", {}).get("kubeletEndpoint", {}).get("Port")
    addresses = {entry.get("type"): entry.get("address") for entry in reversed(status.get("addresses", []))}
    address = addresses.get("InternalIP")
    if not port or not address:
        raise Unavailable(f'node "{name}" has not told yet where its streaming endpoint listens')
    return Endpoint(name, str(address), int(port))


def _own_endpoint(name: str) -> Endpoint | None:
    try:
        instance = Instance.load(Path(settings.GANTRY_HOME))
    except FileNotFoundError:
        return None
    if instance.node_name != name:
        return None
    host, _, port = instance.stream_listen.rpartition(":")
    return Endpoint(name, host.strip("[]"), int(port))


def client_context(pki: Path) -> ssl.SSLContext:
    """Return the web process's side of mutual TLS: trusts the cluster's authority only, shows `web`'s certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_verify_locations(pki / "ca.crt")
    context.load_cert_chain(pki / "web.crt", pki / "web.key")
    return context


class _Clients:
    """One HTTP client an event loop, so that its connections die with it."""

    def __init__(self) -> None:
        self._by_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, tuple[httpx2.AsyncClient, ssl.SSLContext]] = (
            WeakKeyDictionary()
        )

    def get(self) -> tuple[httpx2.AsyncClient, ssl.SSLContext]:
        loop = asyncio.get_running_loop()
        if loop not in self._by_loop:
            context = client_context(Path(settings.GANTRY_HOME) / "pki")
            # A followed log may be silent for hours; only connecting has a limit.
            timeout = httpx2.Timeout(None, connect=CONNECT_SECONDS)
            # No connection is kept: one that was opened to a node must not be reused for another at its address.
            limits = httpx2.Limits(max_keepalive_connections=0)
            client = httpx2.AsyncClient(
                verify=context, timeout=timeout, limits=limits, follow_redirects=False, trust_env=False
            )
            self._by_loop[loop] = (client, context)
        return self._by_loop[loop]


_CLIENTS = _Clients()


@asynccontextmanager
async def open_stream(
    endpoint: Endpoint, path: str, query: list[tuple[str, str]]
) -> AsyncIterator[AsyncIterator[bytes]]:
    """GET `path` of the node and yield its body piece by piece; the node's refusals become API errors."""
    client, _ = _CLIENTS.get()
    request = client.build_request(
        "GET", endpoint.url("https", path, query), extensions={"sni_hostname": endpoint.node, "timeout": {"connect": 5}}
    )
    try:
        response = await client.send(request, stream=True)
    except httpx2.HTTPError as error:
        raise endpoint.unreachable(error) from None
    try:
        if response.status_code != 200:
            raise _refusal(response.status_code, (await response.aread())[:2000].decode(errors="replace"))
        yield response.aiter_bytes()
    finally:
        await response.aclose()


def open_logs(endpoint: Endpoint, uid: str, container: str, query: list[tuple[str, str]]) -> Any:
    """Open the log of one container; the node's parameters are in nodeworker/streaming."""
    return open_stream(endpoint, f"/v1/pods/{quote(uid, safe='')}/logs/{quote(container, safe='')}", query)


class _Connect(connect):
    """websockets' `connect` that goes where it was told and nowhere else."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


@asynccontextmanager
async def open_exec(
    endpoint: Endpoint, uid: str, container: str, query: list[tuple[str, str]]
) -> AsyncIterator[ClientConnection]:
    """Open a shell's socket (v5.channel.k8s.io) in one container."""
    _, context = _CLIENTS.get()
    path = f"/v1/pods/{quote(uid, safe='')}/exec/{quote(container, safe='')}"
    try:
        socket = await _Connect(
            endpoint.url("wss", path, query),
            ssl=context,
            server_hostname=endpoint.node,
            subprotocols=[EXEC_PROTOCOL],  # type: ignore[list-item]
            compression=None,
            max_size=MESSAGE_LIMIT,
            open_timeout=CONNECT_SECONDS,
            proxy=None,
            user_agent_header=None,
        )
    except InvalidStatus as error:
        body = (error.response.body or b"")[:2000].decode(errors="replace")
        raise _refusal(error.response.status_code, body) from None
    except (OSError, TimeoutError, InvalidHandshake) as error:
        raise endpoint.unreachable(error) from None
    try:
        yield socket
    finally:
        await socket.close()


def _refusal(code: int, text: str) -> ApiError:
    sentence = " ".join(text.split()) or f"the node answered {code}"
    return NotFound(sentence) if code == 404 else BadRequest(sentence) if code < 500 else Unavailable(sentence)
