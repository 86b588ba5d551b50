"""The scale subresource: autoscaling/v1 Scale over the replicas of a Deployment or ReplicaSet."""

from typing import Any

from apps.api.asgi import Send
from apps.api.bodies import decode_json, decode_object
from apps.api.errors import bad_request
from apps.api.negotiation import patch_format
from apps.api.options import dry_run
from apps.api.reads import stored_object
from apps.api.request import Request
from apps.api.responses import send_data
from apps.api.routing import Route
from apps.api.writes import apply_patch, commit
from apps.kinds.problems import Problem
from apps.kinds.status import Conflict, Invalid
from apps.store.rows import Stored
from apps.store.transaction import Transaction
from nodeworker.wire.selectors import selector_from_object

Json = dict[str, Any]
_KEPT = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")


def scale_of(obj: Json) -> Json:
    """Return the Scale that describes `obj`."""
    metadata = obj["metadata"]
    spec, status = obj.get("spec", {}), obj.get("status", {})
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {key: metadata[key] for key in _KEPT if key in metadata},
        "spec": {"replicas": spec.get("replicas", 1)},
        "status": {
            "replicas": status.get("replicas", 0),
            "selector": str(selector_from_object(spec.get("selector"))),
        },
    }


async def get_scale(request: Request, send: Send, route: Route) -> None:
    stored = await stored_object(route.kind, route.namespace, route.name)
    await send_data(request, send, scale_of(stored.object))


async def update_scale(request: Request, send: Send, route: Route) -> None:
    scale, _ = decode_object(await request.body(), request.header(b"content-type"))
    await _write(request, send, route, lambda _current: scale)


async def patch_scale(request: Request, send: Send, route: Route) -> None:
    patch_type = patch_format(request.header(b"content-type"))
    patch = decode_json(await request.body())
    await _write(request, send, route, lambda current: apply_patch(None, patch_type, current, patch))


async def _write(request: Request, send: Send, route: Route, wanted: Any) -> None:
    def change(current: Json) -> Json:
        scale = wanted(scale_of(current))
        current["spec"]["replicas"] = _replicas(route, current, scale)
        return current

    def work(transaction: Transaction) -> Stored:
        return transaction.modify(route.kind.kind, route.namespace, route.name, change)

    stored = await commit(request, work, trial=dry_run(request.query))
    await send_data(request, send, scale_of(stored.object))


def _replicas(route: Route, current: Json, scale: Json) -> int:
    if scale.get("kind", "Scale") != "Scale":
        raise bad_request(f"the kind in the data ({scale['kind']}) does not match the expected kind (Scale)")
    metadata, spec = scale.get("metadata") or {}, scale.get("spec") or {}
    if not isinstance(metadata, dict) or not isinstance(spec, dict):
        raise bad_request('a Scale would be an object such as {"spec": {"replicas": 3}}')
    revision = metadata.get("resourceVersion")
    if revision and revision != current["metadata"]["resourceVersion"]:
        raise Conflict.of(route.kind.resource, route.name)
    replicas = spec.get("replicas", 0)
    if isinstance(replicas, bool) or not isinstance(replicas, int) or not 0 <= replicas < 2**31:
        problem = Problem("spec.replicas", "Invalid", "must be a whole number greater than or equal to 0", replicas)
        raise Invalid("Scale.autoscaling", route.name, [problem])
    return replicas
