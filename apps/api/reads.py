"""get and list. Called by `apps.api.application` after the guard."""

from apps.api.asgi import Send
from apps.api.errors import expired, too_large_revision
from apps.api.negotiation import negotiate
from apps.api.options import ListOptions
from apps.api.request import Request
from apps.api.responses import send_json
from apps.api.routing import Route
from apps.api.shapes import list_body, object_body
from apps.kinds.kind import Kind
from apps.kinds.status import NotFound
from apps.store import read
from apps.store.rows import Stored


async def get_object(request: Request, send: Send, route: Route) -> None:
    """Answer with the stored bytes of one object."""
    stored = await stored_object(route.kind, route.namespace, route.name)
    wanted = negotiate(request.header(b"accept"))
    include = request.query.text("includeObject") if wanted.shape else ""
    await send_json(request, send, object_body(route.kind, stored, wanted, include))


async def stored_object(kind: Kind, namespace: str, name: str) -> Stored:
    """Return one object or raise 404."""
    stored = await read.get_async(kind.kind, namespace, name)
    if stored is None:
        raise NotFound.of(kind.resource, name)
    return stored


async def list_objects(request: Request, send: Send, route: Route, options: ListOptions) -> None:
    """Answer with the stored bytes of many objects, joined."""
    wanted = negotiate(request.header(b"accept"))
    listing = await snapshot(route, options)
    body = list_body(route.kind, listing, wanted, request.query.text("includeObject"))
    await send_json(request, send, body)


async def snapshot(route: Route, options: ListOptions) -> read.Listing:
    """Read the list that the options describe; its revision and rows come from one moment."""
    listing = await read.list_objects_async(
        route.kind.kind,
        route.namespace or None,
        labels=options.labels,
        fields=options.fields,
        limit=options.limit or None,
        continue_token=options.continue_token or None,
    )
    if options.revision is not None and not options.watch:
        _check_revision(options.revision, options.match, listing.revision)
    return listing


def _check_revision(asked: int, match: str, current: int) -> None:
    if asked > current:
        raise too_large_revision(asked, current)
    if match == "Exact" and asked != current:
        raise expired(f"The provided resource version {asked} is gone: lists are read at the newest one, {current}")
