"""pods/log: from the node's streaming endpoint to the client. Called by `apps.api.application` after the guard."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from apps.api.asgi import Send
from apps.api.containers import check_has_logs, container_name, node_name
from apps.api.errors import bad_request
from apps.api.guard import still_allowed
from apps.api.lifetime import first_of, long_lived
from apps.api.reads import stored_object
from apps.api.request import Query, Request
from apps.api.responses import end_stream, send_piece, start_stream
from apps.api.routing import Route
from apps.kinds.problems import Problem
from apps.kinds.status import Invalid, NotFound
from apps.nodes.streaming_client import Endpoint, endpoint_of, open_logs
from apps.store import read
from nodeworker.wire.time import parse_time

WRITE_SECONDS = 60.0
# name in the API, name at the node, the least value that means something
_NUMBERS = (("tailLines", "tail", 0), ("limitBytes", "limit_bytes", 1), ("sinceSeconds", "since_seconds", 1))


def node_query(query: Query) -> list[tuple[str, str]]:
    """Translate PodLogOptions into the node's parameters; wrong values are all told at once."""
    problems: list[Problem] = []
    parameters = [("format", "text")]
    for name, node_parameter, least in _NUMBERS:
        value = query.number(name)
        if value is None:
            continue
        if value < least:
            problems.append(Problem(name, "Invalid", f"must be greater than or equal to {least}", value))
        parameters.append((node_parameter, str(value)))
    since = query.text("sinceTime")
    if since:
        if query.text("sinceSeconds"):
            problems.append(
                Problem("sinceTime", "Forbidden", "at most one of `sinceTime` or `sinceSeconds` may be specified")
            )
        try:
            parse_time(since)
        except ValueError as error:
            raise bad_request(f"sinceTime: {error}") from None
        parameters.append(("since_time", since))
    if problems:
        raise Invalid("PodLogOptions", "", problems)
    parameters += [(name, "true") for name in ("follow", "previous", "timestamps") if query.boolean(name)]
    return parameters


async def get_log(request: Request, send: Send, route: Route) -> None:
    """Stream the log of one container as text, for as long as the client follows it."""
    parameters = node_query(request.query)
    stored = await stored_object(route.kind, route.namespace, route.name)
    pod = stored.object
    container = container_name(pod, request.query.text("container"))
    node = node_name(pod)
    check_has_logs(pod, container, request.query.boolean("previous"))
    endpoint = await endpoint_of_node(node)
    async with (
        long_lived(still_allowed(request.identity, "get", route)) as ended,
        open_logs(endpoint, stored.uid, container, parameters) as pieces,
    ):
        await start_stream(request, send, b"text/plain; charset=utf-8")
        pump = asyncio.create_task(_pump(send, pieces))
        await first_of(pump, ended, request.receive, None)
        if not pump.cancelled():
            pump.result()
    await end_stream(send)


async def endpoint_of_node(name: str) -> Endpoint:
    """Return where the node `name` listens."""
    node = await read.get_async("Node", "", name)
    if node is None:
        raise NotFound.of("nodes", name)
    return endpoint_of(node.object)


async def _pump(send: Send, pieces: AsyncIterator[bytes]) -> None:
    async with contextlib.aclosing(pieces):  # type: ignore[type-var]
        async for piece in pieces:
            async with asyncio.timeout(WRITE_SECONDS):
                await send_piece(send, piece)
