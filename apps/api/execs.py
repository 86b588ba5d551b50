"""pods/exec: a WebSocket of kubectl, a library or the browser's terminal, bridged to the node's one.

Frames are [channel byte][bytes]: 0 stdin, 1 stdout, 2 stderr, 3 the final Status, 4 the terminal's size, 255 (v5)
closes a channel. The node speaks v5; v4 is the same without 255, the oldest (channel.k8s.io) has a plain sentence on
channel 3. Everything that can be refused is refused before the upgrade, with a Status object.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from apps.api.asgi import Receive, Send
from apps.api.containers import container_name, node_name
from apps.api.errors import bad_request
from apps.api.guard import still_allowed
from apps.api.lifetime import long_lived
from apps.api.logs import endpoint_of_node
from apps.api.reads import stored_object
from apps.api.request import Query, Request
from apps.api.routing import Route
from apps.nodes.streaming_client import open_exec

V5, V4, V1 = "v5.channel.k8s.io", "v4.channel.k8s.io", "channel.k8s.io"
ERROR_CHANNEL, CLOSE_CHANNEL = 3, 255
NORMAL, GOING_AWAY = 1000, 1001

SPDY_REFUSED = (
    "exec, attach and port-forward over SPDY are not supported: use a client that speaks WebSocket "
    f"({V5} or {V4}), as kubectl does from 1.31 on"
)


def choose_protocol(offered: Sequence[str]) -> str:
    """Return the newest protocol that both sides speak; a client that offers none gets the oldest."""
    for protocol in (V5, V4, V1):
        if protocol in offered:
            return protocol
    if offered:
        raise bad_request(
            f"unable to upgrade: none of {', '.join(offered)} is spoken here; it would be {V5}, {V4} or {V1}"
        )
    return ""


def node_query(query: Query) -> list[tuple[str, str]]:
    """Translate PodExecOptions into the node's parameters."""
    command = query.texts("command")
    if not command:
        raise bad_request("you must specify at least one command for the container")
    streams = [(name, "true") for name in ("stdin", "stdout", "stderr", "tty") if query.boolean(name)]
    if not streams or [name for name, _ in streams] == ["tty"]:
        raise bad_request("you must specify at least one of stdin, stdout, stderr")
    return [*(("command", word) for word in command), *streams]


async def serve_exec(request: Request, send: Send, route: Route) -> None:
    """Bridge one accepted WebSocket to the container's process."""
    parameters = node_query(request.query)
    protocol = choose_protocol(request.scope.get("subprotocols", []))
    stored = await stored_object(route.kind, route.namespace, route.name)
    pod = stored.object
    container = container_name(pod, request.query.text("container"))
    phase = pod.get("status", {}).get("phase")
    if phase in ("Succeeded", "Failed"):
        raise bad_request(f"cannot exec into a container in a completed pod; current phase is {phase}")
    endpoint = await endpoint_of_node(node_name(pod))
    async with (
        long_lived(still_allowed(request.identity, "create", route)) as ended,
        open_exec(endpoint, stored.uid, container, parameters) as node,
    ):
        await send({"type": "websocket.accept", "subprotocol": protocol or None})
        tasks: list[asyncio.Task[Any]] = [
            asyncio.create_task(_to_client(node, send, protocol)),
            asyncio.create_task(_to_node(request.receive, node)),
            asyncio.create_task(ended.wait()),
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        if not _left(tasks[1]):
            await send({"type": "websocket.close", "code": GOING_AWAY if ended.is_set() else NORMAL})


def _left(task: "asyncio.Task[Any]") -> bool:
    """True when it was the client who went away: there is nobody to send a close frame to."""
    return not task.cancelled() and task.exception() is None


async def _to_client(node: ClientConnection, send: Send, protocol: str) -> None:
    try:
        async for frame in node:
            data = frame if isinstance(frame, bytes) else frame.encode()
            translated = translate_to_client(data, protocol)
            if translated:
                await send({"type": "websocket.send", "bytes": translated})
    except ConnectionClosed:
        return


async def _to_node(receive: Receive, node: ClientConnection) -> None:
    try:
        while True:
            message = await receive()
            if message["type"] == "websocket.disconnect":
                return
            data = message.get("bytes")
            if data is None:
                # The Python client sends text frames for text: the channel is their first character.
                data = (message.get("text") or "").encode()
            if data:
                await node.send(data)
    except ConnectionClosed:
        # The node ended first: what it sent last is still on its way to the client.
        await asyncio.Event().wait()


def translate_to_client(frame: bytes, protocol: str) -> bytes:
    """Return a frame of the node in the client's protocol; empty when that protocol has no such thing."""
    if not frame or protocol == V5:
        return frame
    if frame[0] == CLOSE_CHANNEL:
        return b""
    if frame[0] == ERROR_CHANNEL and protocol in (V1, ""):
        status = msgspec.json.decode(frame[1:])
        if status.get("status") == "Success":
            return b""
        return frame[:1] + str(status.get("message", "")).encode()
    return frame
