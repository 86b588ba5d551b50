"""The Kubernetes protocol as one ASGI application, without Django's request machinery. Mounted by `dashboard.asgi`.

    request → who asks (guard) → what is named (routing) → may they (guard) → the verb → stored bytes

Every refusal is a Status object; every request has an id, which the log of revisions keeps beside the actor.
"""

import logging
import secrets
from collections.abc import Awaitable, Callable

from apps.api import bindings, deletes, discovery, execs, health, logs, openapi, reads, reviews, scales, watches, writes
from apps.api.asgi import Message, Receive, Scope, Send
from apps.api.errors import bad_request, method_not_allowed, path_not_found
from apps.api.guard import authenticated, check_node_selects_itself, require
from apps.api.options import list_options
from apps.api.request import Request
from apps.api.responses import encode, send_data, send_status
from apps.api.routing import Route, find_route
from apps.kinds.status import ApiError, InternalError, Unavailable
from apps.store.errors import StoreError

LOGGER = logging.getLogger("gantry.api")

Handler = Callable[[Request, Send, Route], Awaitable[None]]

# (method, names one object, subresource) → the verb that roles speak of, and who does it
_VERBS: dict[tuple[str, bool, str], tuple[str, Handler]] = {
    ("GET", True, ""): ("get", reads.get_object),
    ("PUT", True, ""): ("update", writes.update_object),
    ("PATCH", True, ""): ("patch", writes.patch_object),
    ("DELETE", True, ""): ("delete", deletes.delete_object),
    ("POST", False, ""): ("create", writes.create_object),
    ("DELETE", False, ""): ("deletecollection", deletes.delete_collection),
    ("GET", True, "status"): ("get", reads.get_object),
    ("PUT", True, "status"): ("update", writes.update_object),
    ("PATCH", True, "status"): ("patch", writes.patch_object),
    ("GET", True, "scale"): ("get", scales.get_scale),
    ("PUT", True, "scale"): ("update", scales.update_scale),
    ("PATCH", True, "scale"): ("patch", scales.patch_scale),
    ("GET", True, "log"): ("get", logs.get_log),
    ("POST", True, "binding"): ("create", bindings.bind_pod),
    ("POST", True, "eviction"): ("create", bindings.evict_pod),
    ("PUT", True, "finalize"): ("update", writes.update_object),
}
# What only a WebSocket may ask, and what to say to plain HTTP and SPDY.
_SOCKETS = {
    "exec": execs.SPDY_REFUSED,
    "attach": "attach is not supported in this version: exec opens a new process in the container, logs -f follows it",
    "portforward": "port-forward is not supported in this version: publish the port by a Service of type NodePort",
}
_REVIEWS = {
    "apis/authorization.k8s.io/v1/selfsubjectaccessreviews": reviews.review_access,
    "apis/authorization.k8s.io/v1/selfsubjectrulesreviews": reviews.review_rules,
}


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Serve one request or one socket."""
    if scope["type"] == "websocket":
        await _serve_socket(Request(scope, receive, secrets.token_hex(8)), send)
        return
    request = Request(scope, receive, secrets.token_hex(8))
    answer = _Answer(send, request.request_id.encode())
    try:
        await _serve(request, answer)
    except Exception as error:
        refusal = _refusal(error)
        if answer.started:
            # The status line is out: breaking the connection off is all that tells the client.
            LOGGER.info("%s broken off: %r", request.path, error)
            return
        if refusal is not None:
            await send_status(request, answer, refusal.status)


class _Answer:
    """`send` that remembers whether the answer has begun and adds the request's id to it."""

    __slots__ = ("request_id", "send", "started")

    def __init__(self, send: Send, request_id: bytes) -> None:
        self.send = send
        self.request_id = request_id
        self.started = False

    async def __call__(self, message: Message) -> None:
        if not self.started:
            self.started = True
            message["headers"].append((b"audit-id", self.request_id))
        await self.send(message)


def _refusal(error: Exception) -> ApiError | None:
    """Return what to tell the client about an error; None when nobody is left to be told."""
    match error:
        case ApiError():
            return error
        case ConnectionResetError():
            return None
        case StoreError():
            LOGGER.warning("%s", error)
            return Unavailable(str(error))
    LOGGER.error("a request failed", exc_info=error)
    return InternalError("Internal error occurred: the log of the web process says more")


async def _serve(request: Request, send: Send) -> None:
    path = request.path.strip("/")
    root = path.partition("/")[0]
    if root in health.PATHS:
        await health.get_health(request, send, root)
        return
    if path == "version":
        await send_data(request, send, discovery.version())
        return
    request.identity = await authenticated(request)
    route = find_route(path)
    if route is not None:
        await _serve_resource(request, send, route)
    elif path in _REVIEWS:
        if request.method != "POST":
            raise method_not_allowed()
        await _REVIEWS[path](request, send)
    elif request.method not in ("GET", "HEAD"):
        raise path_not_found()
    elif root == "openapi":
        await openapi.get_openapi(request, send, path.split("/"))
    else:
        await _serve_discovery(request, send, path.split("/"))


async def _serve_discovery(request: Request, send: Send, parts: list[str]) -> None:
    document = None
    match parts:
        case ["api"]:
            document = discovery.api_versions()
        case ["apis"]:
            document = discovery.api_group_list()
        case ["api", version]:
            document = discovery.resource_list("", version)
        case ["apis", group]:
            document = discovery.api_group(group)
        case ["apis", group, version]:
            document = discovery.resource_list(group, version)
    if document is None:
        raise path_not_found()
    await send_data(request, send, document)


async def _serve_resource(request: Request, send: Send, route: Route) -> None:
    method = "GET" if request.method == "HEAD" else request.method
    if route.subresource and route.subresource not in route.kind.subresources:
        raise path_not_found()
    if method == "GET" and not route.name:
        await _serve_collection(request, send, route)
        return
    if route.subresource in _SOCKETS:
        await require(request.identity, "create", route.kind, route.namespace, route.name, route.subresource)
        raise bad_request(_SOCKETS[route.subresource])
    found = _VERBS.get((method, bool(route.name), route.subresource))
    if found is None or (method == "POST" and route.kind.namespaced and not route.namespace):
        raise method_not_allowed()
    verb, handler = found
    await require(request.identity, verb, route.kind, route.namespace, route.name, route.subresource)
    await handler(request, send, route)


async def _serve_collection(request: Request, send: Send, route: Route) -> None:
    options = list_options(request.query)
    verb = "watch" if options.watch else "list"
    await require(request.identity, verb, route.kind, route.namespace)
    check_node_selects_itself(request.identity, verb, route.kind, options.fields)
    serve = watches.watch if options.watch else reads.list_objects
    await serve(request, send, route, options)


async def _serve_socket(request: Request, send: Send) -> None:
    """exec is the one resource with a socket; what is refused is refused with a Status before the upgrade."""
    await request.receive()
    accepted = False

    async def tracked(message: Message) -> None:
        nonlocal accepted
        accepted = True
        await send(message)

    try:
        request.identity = await authenticated(request)
        route = find_route(request.path)
        if route is None or route.subresource not in _SOCKETS or route.subresource not in route.kind.subresources:
            raise path_not_found()
        await require(request.identity, "create", route.kind, route.namespace, route.name, route.subresource)
        if route.subresource != "exec":
            raise bad_request(_SOCKETS[route.subresource])
        await execs.serve_exec(request, tracked, route)
    except Exception as error:
        refusal = _refusal(error)
        if accepted:
            await send({"type": "websocket.close", "code": 1011})
        elif refusal is not None:
            await _refuse_upgrade(send, refusal)


async def _refuse_upgrade(send: Send, refusal: ApiError) -> None:
    body = encode(refusal.status)
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "websocket.http.response.start", "status": refusal.code, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": body})
