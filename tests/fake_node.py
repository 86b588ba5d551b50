"""A node that runs nothing: the streaming endpoint (logs, exec) with canned answers, over mutual TLS as the real one.

It lives in a thread of the test process. Its exec is an echo: stdin comes back on stdout, a terminal size is told on
stdout, "exit N" ends it with that code, closing stdin ends it with success.
"""

import asyncio
import contextlib
import json
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from apps.api.asgi import Message, Receive, Scope, Send
from dashboard.server import Listener, serve, server_context
from tests.servers import ApiServer, free_port

STDIN, STDOUT, STDERR, ERROR, RESIZE, CLOSE = 0, 1, 2, 3, 4, 255
V5 = "v5.channel.k8s.io"


class FakeNode:
    """The endpoint and what it was asked."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, list[str]]]] = []
        self.lines = ["first line", "second line", "third line"]
        self.left = threading.Event()  # set when a client of a followed log has gone
        self.loop: asyncio.AbstractEventLoop | None = None
        self.more: asyncio.Queue[str] | None = None

    def say(self, line: str) -> None:
        """Append a line to every followed log."""
        assert self.loop is not None and self.more is not None
        self.loop.call_soon_threadsafe(self.more.put_nowait, line)

    async def application(self, scope: Scope, receive: Receive, send: Send) -> None:
        query = parse_qs(scope["query_string"].decode())
        self.requests.append((scope["path"], query))
        if scope["type"] == "websocket":
            await self._exec(query, receive, send)
        else:
            await self._logs(query, receive, send)

    async def _logs(self, query: dict[str, list[str]], receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        for line in self.lines[-int(query.get("tail", ["100"])[0]) :]:
            await send(_piece(line))
        if "follow" in query:
            gone = asyncio.create_task(_until_gone(receive))
            while not gone.done():
                assert self.more is not None
                next_line = asyncio.create_task(self.more.get())
                await asyncio.wait([gone, next_line], return_when=asyncio.FIRST_COMPLETED)
                if next_line.done():
                    await send(_piece(next_line.result()))
                next_line.cancel()
            self.left.set()
        await send({"type": "http.response.body", "body": b""})

    async def _exec(self, query: dict[str, list[str]], receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept", "subprotocol": V5})
        await send(_frame(STDOUT, f"ran {' '.join(query['command'])}\n".encode()))
        code = await _echo(receive, send) if "stdin" in query else 0
        await send(_frame(ERROR, _status(code)))
        await send({"type": "websocket.close", "code": 1000})


async def _echo(receive: Receive, send: Send) -> int:
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            return 0
        data: bytes = message["bytes"]
        if data[0] == CLOSE:
            return 0
        if data[0] == RESIZE:
            await send(_frame(STDOUT, b"size " + data[1:] + b"\n"))
        elif data[1:].startswith(b"exit "):
            return int(data[6:])
        else:
            await send(_frame(STDOUT, data[1:]))


def _status(code: int) -> bytes:
    if code == 0:
        return json.dumps({"metadata": {}, "status": "Success"}).encode()
    causes = [{"reason": "ExitCode", "message": str(code)}]
    message = f"command terminated with non-zero exit code: exit status {code}"
    failure = {"metadata": {}, "status": "Failure", "reason": "NonZeroExitCode", "message": message}
    return json.dumps(failure | {"details": {"causes": causes}}).encode()


def _frame(channel: int, data: bytes) -> Message:
    return {"type": "websocket.send", "bytes": bytes([channel]) + data}


def _piece(line: str) -> Message:
    return {"type": "http.response.body", "body": line.encode() + b"\n", "more_body": True}


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


@contextlib.contextmanager
def running_node(server: ApiServer, name: str = "n1") -> Iterator[FakeNode]:
    """Start the endpoint and register the Node that points to it."""
    # The web process looks for its own machine's node where the instance says, for others at their Node's address.
    own = server.instance.stream_listen.rpartition(":")[2] if name == server.instance.node_name else ""
    port = int(own) if own else free_port()
    node = FakeNode()
    listener = Listener("node", "127.0.0.1", port, _context(server.home / "pki", name))
    started, stop = threading.Event(), threading.Event()

    async def main() -> None:
        node.loop, node.more = asyncio.get_running_loop(), asyncio.Queue()
        ended = asyncio.Event()
        node.loop.run_in_executor(None, lambda: (stop.wait(), node.loop and node.loop.call_soon_threadsafe(ended.set)))
        await serve(node.application, [listener], stop=ended, on_ready=started.set)

    thread = threading.Thread(target=asyncio.run, args=(main(),), daemon=True)
    thread.start()
    assert started.wait(10)
    try:
        _register(server, name, port)
        yield node
    finally:
        stop.set()
        thread.join(10)


def _context(pki: Path, name: str) -> ssl.SSLContext:
    context = server_context(pki / f"node-{name}.crt", pki / f"node-{name}.key", pki / "ca.crt")
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def _register(server: ApiServer, name: str, port: int) -> None:
    status = {
        "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}, {"type": "Hostname", "address": name}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
    }
    with server.client() as client:
        client.post("/api/v1/nodes", json={"metadata": {"name": name}})
        answer = client.patch(
            f"/api/v1/nodes/{name}/status",
            json={"status": status},
            headers={"content-type": "application/merge-patch+json"},
        )
        answer.raise_for_status()


def running_pod(
    server: ApiServer, namespace: str, name: str, node: str = "n1", containers: tuple[str, ...] = ("main",)
) -> str:
    """Create a pod, bind it and say that it runs, as scheduler and node would; return its uid."""
    spec = {"containers": [{"name": container, "image": "busybox"} for container in containers]}
    pods = f"/api/v1/namespaces/{namespace}/pods"
    running: dict[str, Any] = {"running": {"startedAt": "2026-01-01T00:00:00Z"}}
    statuses = [
        {"name": container, "image": "busybox", "imageID": "", "ready": True, "restartCount": 0, "state": running}
        for container in containers
    ]
    with server.client() as client:
        created = client.post(pods, json={"metadata": {"name": name}, "spec": spec})
        created.raise_for_status()
        client.post(f"{pods}/{name}/binding", json={"target": {"kind": "Node", "name": node}}).raise_for_status()
        client.patch(
            f"{pods}/{name}/status",
            json={"status": {"phase": "Running", "containerStatuses": statuses}},
            headers={"content-type": "application/merge-patch+json"},
        ).raise_for_status()
    uid: str = created.json()["metadata"]["uid"]
    return uid
