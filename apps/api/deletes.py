"""delete and deletecollection. Called by `apps.api.application` after the guard."""

from typing import Any

from apps.api.asgi import Send
from apps.api.bodies import decode_body
from apps.api.options import DeleteOptions, delete_options, list_options
from apps.api.reads import snapshot
from apps.api.request import Request
from apps.api.responses import send_data, send_json
from apps.api.routing import Route
from apps.api.shapes import join_list
from apps.api.writes import commit
from apps.kinds.status import NotFound, success_object
from apps.store.rows import Stored
from apps.store.transaction import Transaction


async def delete_object(request: Request, send: Send, route: Route) -> None:
    """DELETE of one object: the object while it ends, a Status when it is gone."""
    options = await _read_options(request)
    kind = route.kind

    def work(transaction: Transaction) -> tuple[Stored, Stored | None]:
        before = transaction.get(kind.kind, route.namespace, route.name)
        if before is None:
            raise NotFound.of(kind.resource, route.name)
        return before, _delete(transaction, before, options)

    before, after = await commit(request, work, trial=options.dry_run)
    if after is not None:
        await send_json(request, send, after.body)
    elif kind.kind == "Pod":
        await send_json(request, send, before.body)
    else:
        details = {"name": before.name, "group": kind.group, "kind": kind.plural, "uid": before.uid}
        await send_data(request, send, success_object({key: value for key, value in details.items() if value}))


async def delete_collection(request: Request, send: Send, route: Route) -> None:
    """DELETE of all objects that the selectors choose; the answer lists them."""
    selection = list_options(request.query)
    options = await _read_options(request)
    listing = await snapshot(route, selection)

    def work(transaction: Transaction) -> list[bytes]:
        bodies = []
        for item in listing.items:
            current = transaction.get(item.kind, item.namespace, item.name)
            if current is not None and current.uid == item.uid:
                bodies.append((_delete(transaction, current, options) or current).body)
        return bodies

    bodies = await commit(request, work, trial=options.dry_run)
    metadata: dict[str, Any] = {"resourceVersion": str(listing.revision)}
    await send_json(request, send, join_list(route.kind, metadata, bodies))


def _delete(transaction: Transaction, stored: Stored, options: DeleteOptions) -> Stored | None:
    return transaction.delete(
        stored.kind,
        stored.namespace,
        stored.name,
        uid=options.uid,
        revision=options.revision,
        grace_seconds=options.grace_seconds,
        propagation=options.propagation,
    )


async def _read_options(request: Request) -> DeleteOptions:
    body = await request.body()
    return delete_options(request.query, decode_body(body, request.header(b"content-type")) if body.strip() else None)
