"""The web process: `python -m dashboard.server --home HOME`, started by the supervisor.

One event loop (uvloop), two listeners: the console (plain HTTP on loopback, HTTPS elsewhere) and the API (always TLS,
client certificates optional). uvicorn hands out neither the client certificate nor the listener, so its two protocol
classes are extended to put both into the scope; the WebSocket protocol is built anew at the upgrade.
"""

import argparse
import asyncio
import contextlib
import ipaddress
import logging
import os
import signal
import socket
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import uvicorn
import uvloop
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from apps.api.lifetime import end_all
from nodeworker.wire.instance import Instance
from nodeworker.wire.notify import notify_ready

LOGGER = logging.getLogger("gantry.web")
GRACE_SECONDS = 3
# A client that sends nothing for this long loses its idle connection; nodes and controllers keep theirs busy.
KEEP_ALIVE_SECONDS = 75
WEBSOCKET_MESSAGE_LIMIT = 4 * 1024 * 1024


def client_certificate(transport: asyncio.BaseTransport) -> bytes | None:
    """Return the verified certificate (DER) that the client presented, if any."""
    tls = transport.get_extra_info("ssl_object")
    certificate: bytes | None = tls.getpeercert(binary_form=True) if tls is not None else None
    return certificate


class GantryHttpProtocol(HttpToolsProtocol):
    """HTTP whose scope says which listener took the connection and which certificate the client showed."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(cast(asyncio.Transport, transport))
        self.tls_extension = {"client_certificate": client_certificate(transport)}
        with contextlib.suppress(OSError):
            transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        scope = cast("dict[str, Any]", self.scope)
        scope["gantry.listener"] = cast("_Config", self.config).listener
        scope["extensions"] = {"tls": self.tls_extension}

    def _unsupported_upgrade_warning(self) -> None:
        """Say nothing: the application answers SPDY upgrades with a sentence of its own."""


class GantryWebSocketProtocol(WebSocketsSansIOProtocol):
    """The same two facts for WebSocket scopes."""

    async def run_asgi(self) -> None:
        scope = cast("dict[str, Any]", self.scope)
        scope["gantry.listener"] = cast("_Config", self.config).listener
        scope["extensions"]["tls"] = {"client_certificate": client_certificate(self.transport)}
        await super().run_asgi()

    async def send(self, message: Any) -> None:
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and not message.get("more_body"):
            # uvicorn forgets this, and then complains that a refused handshake was never completed.
            self.handshake_complete = True


class _Config(uvicorn.Config):
    """uvicorn's configuration of one listener, with the listener's name."""

    listener = ""


class _Server(uvicorn.Server):
    """A listener that leaves signals to `serve`, which stops both of them together, and says when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@dataclass(frozen=True)
class Listener:
    """Where one face of the web process listens; no `tls` means plain HTTP."""

    name: str
    host: str
    port: int
    tls: ssl.SSLContext | None


def split_address(text: str) -> tuple[str, int]:
    """Split "127.0.0.1:8000" or "[::1]:8000"."""
    host, _, port = text.rpartition(":")
    if not port.isdigit():
        raise ValueError(f"{text!r} is not an address: it would be ADDRESS:PORT, as in 127.0.0.1:8000")
    return host.strip("[]") or "127.0.0.1", int(port)


def is_loopback(host: str) -> bool:
    """True for addresses that only this machine reaches."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def server_context(certificate: Path, key: Path, authority: Path | None = None) -> ssl.SSLContext:
    """Return the TLS side of a listener; with `authority`, clients may show a certificate signed by it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key)
    context.set_alpn_protocols(["http/1.1"])
    if authority is not None:
        context.load_verify_locations(authority)
        context.verify_mode = ssl.CERT_OPTIONAL
    return context


def listeners(home: Path, instance: Instance, tls_certificate: str = "", tls_key: str = "") -> list[Listener]:
    """Return the console's and the API's listener of the instance in `home`."""
    pki = home / "pki"
    console_host, console_port = split_address(instance.listen)
    api_host, api_port = split_address(instance.api_listen)
    console_tls = None
    if tls_certificate:
        console_tls = server_context(Path(tls_certificate), Path(tls_key or tls_certificate))
    elif not is_loopback(console_host):
        console_tls = server_context(pki / "api.crt", pki / "api.key")
    api_tls = server_context(pki / "api.crt", pki / "api.key", pki / "ca.crt")
    return [
        Listener("console", console_host, console_port, console_tls),
        Listener("api", api_host, api_port, api_tls),
    ]


def open_socket(listener: Listener) -> socket.socket:
    """Bind `listener`; a taken port is one clear sentence."""
    family = socket.AF_INET6 if ":" in listener.host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((listener.host, listener.port))
    except OSError as error:
        bound.close()
        reason = error.strerror or str(error)
        raise SystemExit(f"{listener.name}: cannot listen on {listener.host}:{listener.port}: {reason}") from error
    bound.setblocking(False)
    return bound


def configure(application: Any, listener: Listener, *, access_log: bool = False) -> _Config:
    """Return uvicorn's configuration of one listener."""
    context = listener.tls
    config = _Config(
        application,
        http=GantryHttpProtocol,
        ws=GantryWebSocketProtocol,
        lifespan="off",
        interface="asgi3",
        access_log=access_log,
        log_config=None,
        proxy_headers=False,
        server_header=False,
        ws_max_size=WEBSOCKET_MESSAGE_LIMIT,
        ws_per_message_deflate=False,
        ws_ping_interval=20.0,
        ws_ping_timeout=20.0,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=GRACE_SECONDS,
        ssl_context_factory=(lambda _config, _default: context) if context is not None else None,
    )
    config.listener = listener.name
    return config


async def serve(
    application: Any,
    faces: list[Listener],
    *,
    stop: asyncio.Event,
    on_ready: Callable[[], None] = lambda: None,
    access_log: bool = False,
) -> None:
    """Serve `application` on all `faces` until `stop` is set, then end within five seconds."""
    sockets = [open_socket(face) for face in faces]
    servers = [_Server(configure(application, face, access_log=access_log)) for face in faces]
    running = [asyncio.create_task(server.serve([s])) for server, s in zip(servers, sockets, strict=True)]
    await asyncio.gather(*(_listening(server, task) for server, task in zip(servers, running, strict=True)))
    on_ready()
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait([stopping, *running], return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    end_all()
    for server in servers:
        server.should_exit = True
    await asyncio.gather(*running)


async def _listening(server: _Server, running: asyncio.Task[None]) -> None:
    """Wait until `server` listens, or has failed to."""
    waiting = asyncio.create_task(server.listening.wait())
    await asyncio.wait([waiting, running], return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if running.done():
        running.result()


async def run(home: Path, *, tls_certificate: str, tls_key: str, access_log: bool) -> None:
    """Serve the instance in `home` until SIGTERM or SIGINT."""
    # Named, not imported above: it sets Django up, which needs GANTRY_HOME in the environment first.
    application = import_module("dashboard.asgi").application
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    faces = listeners(home, Instance.load(home), tls_certificate, tls_key)
    for face in faces:
        scheme = "https" if face.tls else "http"
        LOGGER.info("%s on %s://%s:%d", face.name, scheme, face.host, face.port)
    await serve(application, faces, stop=stop, on_ready=notify_ready, access_log=access_log)


def main(arguments: list[str] | None = None) -> None:
    """Parse the command line and serve."""
    parser = argparse.ArgumentParser(prog="dashboard.server", description="Gantry's web process.")
    parser.add_argument("--home", type=Path, default=Path(os.environ.get("GANTRY_HOME", "/var/lib/gantry")))
    parser.add_argument("--tls-cert", default=os.environ.get("GANTRY_TLS_CERT", ""), help="certificate of the console")
    parser.add_argument("--tls-key", default=os.environ.get("GANTRY_TLS_KEY", ""), help="its private key")
    parser.add_argument("--access-log", action="store_true", help="one line a request on standard error")
    options = parser.parse_args(arguments)
    # It would write each socket's address into the log, and with it the command of an exec.
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    os.environ["GANTRY_HOME"] = str(options.home)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dashboard.settings.production")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(
            run(options.home, tls_certificate=options.tls_cert, tls_key=options.tls_key, access_log=options.access_log)
        )


if __name__ == "__main__":
    main()
