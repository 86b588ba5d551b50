"""Who asks and whether they may: the same questions before every verb. Called by `apps.api.application`."""

from collections.abc import Awaitable, Callable

from apps.access.authorize import authorize_async
from apps.access.identity import Identity, authenticate, check_origin, session_alive
from apps.api.request import Request
from apps.api.routing import Route
from apps.kinds.kind import Kind
from apps.kinds.status import Forbidden, Unauthorized
from nodeworker.wire.selectors import FieldSelector

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


async def authenticated(request: Request) -> Identity:
    """Return who asks; nobody is 401. A session's writes and sockets need the console's own origin."""
    identity = await authenticate(request.scope)
    if identity is None:
        raise Unauthorized()
    changes = request.method not in _SAFE_METHODS or request.scope["type"] == "websocket"
    if identity.source == "session" and changes and not check_origin(request.scope):
        raise Forbidden(
            "the request does not come from a page of this console: its Origin or CSRF token is missing or wrong"
        )
    return identity


async def require(
    identity: Identity, verb: str, kind: Kind, namespace: str, name: str = "", subresource: str = ""
) -> None:
    """Raise 403 in Kubernetes' words unless `identity` may do this."""
    decision = await authorize_async(identity, verb, kind.resource, namespace, name, subresource)
    if not decision.allowed:
        raise denied(identity, verb, kind, namespace, name, subresource, decision.reason)


def check_node_selects_itself(identity: Identity, verb: str, kind: Kind, fields: FieldSelector | None) -> None:
    """A node may list and watch its own pods only, so it must ask for those."""
    node = identity.node_name
    if node and kind.kind == "Pod" and (fields is None or fields.required("spec.nodeName") != node):
        reason = f"can only list/watch pods with spec.nodeName field selector set to {node}"
        raise denied(identity, verb, kind, "", "", "", reason)


def denied(
    identity: Identity, verb: str, kind: Kind, namespace: str, name: str, subresource: str, reason: str = ""
) -> Exception:
    """Return the 403 that says who may not do what where."""
    resource = f"{kind.plural}/{subresource}" if subresource else kind.plural
    place = f'in the namespace "{namespace}"' if namespace else "at the cluster scope"
    subject = f'{kind.resource} "{name}"' if name else kind.resource
    message = (
        f'{subject} is forbidden: User "{identity.name}" cannot {verb} resource "{resource}" '
        f'in API group "{kind.group}" {place}'
    )
    details = {"name": name, "group": kind.group, "kind": kind.plural}
    return Forbidden(
        message + (f": {reason}" if reason else ""), {key: value for key, value in details.items() if value}
    )


def still_allowed(identity: Identity, verb: str, route: Route) -> Callable[[], Awaitable[bool]]:
    """Return the question that a long-lived connection is asked every few seconds."""

    async def ask() -> bool:
        if not await session_alive(identity):
            return False
        decision = await authorize_async(identity, verb, route.resource, route.namespace, route.name, route.subresource)
        return bool(decision.allowed)

    return ask
