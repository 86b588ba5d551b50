"""pods/binding: the scheduler's verb, for schedulers other than our own too."""

from typing import Any

from apps.api.asgi import Send
from apps.api.bodies import decode_object
from apps.api.errors import bad_request
from apps.api.options import dry_run
from apps.api.request import Request
from apps.api.responses import send_data
from apps.api.routing import Route
from apps.api.writes import commit
from apps.kinds.status import Conflict, NotFound, success_object
from apps.store.rows import Stored
from apps.store.transaction import Transaction

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
        bound = pod["spec"].get("nodeName")
        if bound:
            raise Conflict(
                f'Operation cannot be fulfilled on pods/binding "{route.name}": '
                f'pod {route.name} is already assigned to node "{bound}"',
                {"name": route.name, "kind": "pods/binding"},
            )
        pod["spec"]["nodeName"] = node
        return pod

    def work(transaction: Transaction) -> Stored:
        if transaction.get("Node", "", node) is None:
            raise NotFound.of("nodes", node)
        return transaction.modify("Pod", route.namespace, route.name, change, subresource="binding")

    await commit(request, work, trial=dry_run(request.query))
    await send_data(request, send, success_object() | {"code": 201}, 201)
