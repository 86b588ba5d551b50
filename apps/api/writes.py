"""create, update and patch. Called by `apps.api.application` after the guard; every one ends in the store."""

from collections.abc import Callable
from typing import Any, TypeVar

from apps.api.asgi import Send
from apps.api.bodies import decode_json, decode_object
from apps.api.errors import bad_request
from apps.api.guard import require
from apps.api.negotiation import JSON_PATCH, MERGE_PATCH, negotiate, patch_format
from apps.api.options import dry_run, field_validation
from apps.api.request import Request
from apps.api.responses import send_json
from apps.api.routing import Route
from apps.api.shapes import object_body
from apps.kinds.admission import unknown_fields
from apps.kinds.kind import Kind
from apps.kinds.patches import apply_json_patch, apply_merge_patch, apply_strategic_merge_patch
from apps.kinds.status import Conflict
from apps.store.rows import Origin, Stored
from apps.store.transaction import Transaction, commit_async

T = TypeVar("T")
Json = dict[str, Any]


class _Trial(Exception):  # noqa: N818 - not an error: it carries the result out of a write that is rolled back
    def __init__(self, result: Any) -> None:
        self.result = result


def origin_of(request: Request) -> Origin:
    """Return who writes, for the log."""
    return Origin(request.identity.name, request=request.request_id)


async def commit(request: Request, work: Callable[[Transaction], T], *, trial: bool = False) -> T:
    """Run `work` in the store; a trial (dryRun=All) does everything and is then rolled back."""

    warnings: list[str] = []

    def run(transaction: Transaction) -> T:
        result = work(transaction)
        # The store may run a work twice (a lost connection), so this replaces and never adds.
        warnings[:] = transaction.warnings
        if trial:
            raise _Trial(result)
        return result

    try:
        result = await commit_async(run, origin_of(request))
    except _Trial as end:
        result = end.result
    request.warnings += warnings
    return result


async def create_object(request: Request, send: Send, route: Route) -> None:
    """POST to a collection."""
    obj = await _read_object(request, route)
    if request.identity.node_name:
        # Only the body says which object a node wants to create; it may be its own Node or Lease and no other's.
        await require(request.identity, "create", route.kind, route.namespace, str(obj["metadata"].get("name") or ""))
    stored = await commit(
        request, lambda transaction: transaction.create(route.kind.kind, obj), trial=dry_run(request.query)
    )
    await _send_stored(request, send, route.kind, stored, 201)


async def update_object(request: Request, send: Send, route: Route) -> None:
    """PUT of an object or of its status."""
    obj = await _read_object(request, route)
    subresource = route.subresource or None

    def work(transaction: Transaction) -> Stored:
        return transaction.update(route.kind.kind, obj, subresource=subresource)

    stored = await commit(request, work, trial=dry_run(request.query))
    await _send_stored(request, send, route.kind, stored, 200)


async def patch_object(request: Request, send: Send, route: Route) -> None:
    """PATCH of an object or of its status; the patch is applied to the newest version inside the transaction."""
    kind = route.kind
    patch_type = patch_format(request.header(b"content-type"))
    patch = decode_json(await request.body())
    validation = field_validation(request.query)
    unknown: list[str] = []

    def change(current: Json) -> Json:
        patched = apply_patch(kind, patch_type, current, patch)
        _check_same_revision(kind, current, patched)
        if validation != "Ignore":
            unknown[:] = unknown_fields(kind, patched)
            if unknown and validation == "Strict":
                raise _strict_error(kind, unknown, [])
        return patched

    def work(transaction: Transaction) -> Stored:
        return transaction.modify(kind.kind, route.namespace, route.name, change, subresource=route.subresource or None)

    stored = await commit(request, work, trial=dry_run(request.query))
    request.warnings += unknown
    await _send_stored(request, send, kind, stored, 200)


def apply_patch(kind: Kind | None, patch_type: str, current: Json, patch: Any) -> Json:
    """Return `current` with `patch`; a kind without a description (Scale) merges where others merge strategically."""
    if patch_type == JSON_PATCH:
        if not isinstance(patch, list):
            raise bad_request(
                'a JSON patch would be a list of operations, as in [{"op": "add", "path": "/a", "value": 1}]'
            )
        return apply_json_patch(current, patch)
    if not isinstance(patch, dict):
        raise bad_request("a merge patch would be an object with the fields to change")
    if patch_type == MERGE_PATCH or kind is None:
        merged: Json = apply_merge_patch(current, patch)
        return merged
    return apply_strategic_merge_patch(kind, current, patch)


def _check_same_revision(kind: Kind, current: Json, patched: Any) -> None:
    """A patch that names a resourceVersion is meant for that one only."""
    if not isinstance(patched, dict) or not isinstance(patched.get("metadata"), dict):
        raise bad_request("the patch leaves no object with metadata")
    name = current["metadata"]["name"]
    if patched["metadata"].get("name", name) != name:
        raise bad_request(
            f"the name of the object ({patched['metadata']['name']}) does not match the name on the URL ({name})"
        )
    wanted = patched["metadata"].get("resourceVersion")
    if wanted and wanted != current["metadata"]["resourceVersion"]:
        raise Conflict.of(kind.resource, name)


async def _read_object(request: Request, route: Route) -> Json:
    """Return the object in the body, checked against the address and for fields that nobody knows."""
    kind = route.kind
    obj, duplicates = decode_object(await request.body(), request.header(b"content-type"))
    _check_type(kind, obj)
    metadata = obj.setdefault("metadata", {})
    if not isinstance(metadata, dict):
        raise bad_request(f"{kind.kind}: metadata would be an object with a name")
    if kind.namespaced:
        if metadata.get("namespace") not in (None, "", route.namespace):
            raise bad_request(
                "the namespace of the provided object does not match the namespace sent on the request"
                f' ("{metadata["namespace"]}" and "{route.namespace}")'
            )
        metadata["namespace"] = route.namespace
    if route.name and metadata.setdefault("name", route.name) != route.name:
        raise bad_request(
            f"the name of the object ({metadata['name']}) does not match the name on the URL ({route.name})"
        )
    _check_fields(request, kind, obj, duplicates)
    return obj


def _check_type(kind: Kind, obj: Json) -> None:
    if obj.setdefault("apiVersion", kind.api_version) != kind.api_version:
        raise bad_request(
            f"the API version in the data ({obj['apiVersion']}) does not match "
            f"the expected API version ({kind.api_version})"
        )
    if obj.setdefault("kind", kind.kind) != kind.kind:
        raise bad_request(f"the kind in the data ({obj['kind']}) does not match the expected kind ({kind.kind})")


def _check_fields(request: Request, kind: Kind, obj: Json, duplicates: list[str]) -> None:
    validation = field_validation(request.query)
    if validation == "Ignore":
        return
    unknown = unknown_fields(kind, obj)
    if validation == "Strict" and (unknown or duplicates):
        raise _strict_error(kind, unknown, duplicates)
    request.warnings += unknown
    request.warnings += [f'duplicate field "{path}"' for path in duplicates]


def _strict_error(kind: Kind, unknown: list[str], duplicates: list[str]) -> Exception:
    problems = unknown + [f'duplicate field "{path}"' for path in duplicates]
    return bad_request(
        f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: '
        f"strict decoding error: {', '.join(problems)}"
    )


async def _send_stored(request: Request, send: Send, kind: Kind, stored: Stored, status: int) -> None:
    wanted = negotiate(request.header(b"accept"))
    await send_json(request, send, object_body(kind, stored, wanted, request.query.text("includeObject")), status)
