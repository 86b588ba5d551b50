"""pods/binding and pods/eviction: the verbs by which a pod gets its node and leaves it."""

from datetime import UTC, datetime
from typing import Any

from apps.api.asgi import Send
from apps.api.bodies import decode_object
from apps.api.errors import bad_request
from apps.api.options import delete_options, dry_run
from apps.api.request import Request
from apps.api.responses import send_data
from apps.api.routing import Route
from apps.api.writes import commit
from apps.kinds.status import Conflict, NotFound, success_object
from apps.scheduling.controller import bound
from apps.store.rows import Stored
from apps.store.transaction import Transaction
from nodeworker.wire.time import format_time

Json = dict[str, Any]


async def bind_pod(request: Request, send: Send, route: Route) -> None:
    """POST of a Binding: the pod gets its node, once."""
    binding, _ = decode_object(await request.body(), request.header(b"content-type"))
    target = binding.get("target")
    target = target if isinstance(target, dict) else {}
    node = target.get("name")
    if not isinstance(node, str) or not node or target.get("kind", "Node") not in ("", "Node"):
        raise bad_request('target: a Binding names a node, as in {"target": {"kind": "Node", "name": "n1"}}')

    def change(pod: Json) -> Json:
        present = pod["spec"].get("nodeName")
        if present:
            raise Conflict(
                f'Operation cannot be fulfilled on pods/binding "{route.name}": '
                f'pod {route.name} is already assigned to node "{present}"',
                {"name": route.name, "kind": "pods/binding"},
            )
        return bound(pod, node, format_time(datetime.now(UTC)))

    def work(transaction: Transaction) -> Stored:
        if transaction.get("Node", "", node) is None:
            raise NotFound.of("nodes", node)
        return transaction.modify("Pod", route.namespace, route.name, change, subresource="binding")

    await commit(request, work, trial=dry_run(request.query))
    await send_data(request, send, success_object() | {"code": 201}, 201)


async def evict_pod(request: Request, send: Send, route: Route) -> None:
    """POST of an Eviction: a deletion that may one day be refused by a disruption budget."""
    eviction, _ = decode_object(await request.body(), request.header(b"content-type"))
    options = delete_options(request.query, eviction.get("deleteOptions"))

    def work(transaction: Transaction) -> Stored | None:
        return transaction.delete(
            "Pod",
            route.namespace,
            route.name,
            uid=options.uid,
            revision=options.revision,
            grace_seconds=options.grace_seconds,
            propagation=options.propagation,
        )

    await commit(request, work, trial=options.dry_run)
    await send_data(request, send, success_object() | {"code": 201}, 201)
