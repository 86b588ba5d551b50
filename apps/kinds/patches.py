"""The three kinds of patches: JSON patch (RFC 6902), merge patch (RFC 7386) and Kubernetes' strategic merge patch.

Called by the API for PATCH. The object that comes in is never changed; the result goes through admission.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import jsonpatch
import jsonpointer
import msgspec

from apps.kinds.kind import Kind, Object
from apps.kinds.schema import DEEPEST, Field, List, Map, Struct, Type, too_deep
from apps.kinds.status import BadRequest, Unprocessable

MOST_OPERATIONS = 10_000
LARGEST = 3 * 1024 * 1024

_DIRECTIVE = "$patch"
_RETAIN = "$retainKeys"
_DELETE = "$deleteFromPrimitiveList/"
_ORDER = "$setElementOrder/"


def apply_json_patch(obj: Object, operations: Any) -> Object:
    """Apply a list of operations; raise BadRequest for no patch, Unprocessable for one that does not fit."""
    if not isinstance(operations, list) or not all(isinstance(operation, dict) for operation in operations):
        raise BadRequest('a JSON patch is a list of operations such as {"op": "replace", "path": "/a", "value": 1}')
    if len(operations) > MOST_OPERATIONS:
        raise BadRequest(f"a JSON patch may have at most {MOST_OPERATIONS} operations, this one has {len(operations)}")
    _check_depth(operations)
    document = msgspec.json.decode(msgspec.json.encode(obj))
    for index, operation in enumerate(operations):
        document = _apply_operation(document, index, operation)
    if not isinstance(document, dict):
        raise Unprocessable("the patch leaves no object behind")
    return document


def _apply_operation(document: Any, index: int, operation: Object) -> Any:
    try:
        document = jsonpatch.JsonPatch([operation]).apply(document, in_place=True)
    except (jsonpatch.InvalidJsonPatch, jsonpointer.JsonPointerException, TypeError, KeyError, ValueError) as error:
        raise Unprocessable(f"operation {index} of the JSON patch does not fit: {_sentence(error)}") from error
    except jsonpatch.JsonPatchException as error:  # includes a failed test and a path that is not there
        raise Unprocessable(f"operation {index} of the JSON patch does not fit: {_sentence(error)}") from error
    # Copies of copies double at every step: thirty operations would fill the memory.
    if operation.get("op") == "copy" and (too_deep(document) or len(msgspec.json.encode(document)) > LARGEST):
        raise Unprocessable("the JSON patch copies more than an object may hold")
    return document


def _sentence(error: Exception) -> str:
    return str(error)[:200]


def apply_merge_patch(obj: Any, patch: Any) -> Any:
    """Apply an RFC 7386 merge patch: null removes, objects merge, everything else replaces."""
    _check_depth(patch)
    if not isinstance(patch, dict):
        raise BadRequest("a merge patch is an object with the fields to change")
    return _merge(obj, patch)


def _merge(target: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = _merge(result.get(key), value)
    return result


def apply_strategic_merge_patch(kind: Kind, obj: Object, patch: Any) -> Object:
    """Apply a patch that merges lists by the merge keys of the kind's description."""
    _check_depth(patch)
    if not isinstance(patch, dict):
        raise BadRequest("a strategic merge patch is an object with the fields to change")
    return _merge_object(kind.schema, obj, patch)


def _merge_object(schema: Type | None, original: Object, patch: Object) -> Object:
    directive = patch.get(_DIRECTIVE)
    if directive == "replace":
        return {key: value for key, value in patch.items() if key != _DIRECTIVE}
    if directive == "delete":
        return {}
    if directive not in (None, "merge"):
        raise BadRequest(f"unknown patch directive {str(directive)[:50]!r}: use replace, merge or delete")
    result = _retained(original, patch)
    for key, value in patch.items():
        if key.startswith(_DELETE):
            _delete_primitives(result, key.removeprefix(_DELETE), value)
        elif key.startswith(_ORDER):
            name = key.removeprefix(_ORDER)
            if name not in patch:
                _reorder(schema, result, original, name, value)
        elif key not in (_DIRECTIVE, _RETAIN):
            _merge_field(schema, result, key, value, patch.get(_ORDER + key))
    return result


def _retained(original: Object, patch: Object) -> Object:
    """Return a copy of `original`, with `$retainKeys` of those keys only."""
    keys = patch.get(_RETAIN)
    if keys is None:
        return dict(original)
    if not isinstance(keys, list):
        raise BadRequest("$retainKeys must be a list of field names")
    extra = [key for key in patch if not key.startswith("$") and patch[key] is not None and key not in keys]
    if extra:
        raise BadRequest(f"the fields {', '.join(map(repr, extra))[:200]} are set but not in $retainKeys")
    return {key: value for key, value in original.items() if key in keys}


def _merge_field(schema: Type | None, result: Object, key: str, value: Any, order: Any) -> None:
    if value is None:
        result.pop(key, None)
        return
    field = schema.fields.get(key) if isinstance(schema, Struct) else None
    below = _type_below(schema, field)
    present = result.get(key)
    if isinstance(value, dict):
        replaced = field is not None and "replace" in field.patch
        result[key] = _merge_object(below, present if isinstance(present, dict) and not replaced else {}, value)
    elif isinstance(value, list) and field is not None and "merge" in field.patch.split(","):
        result[key] = _merge_list(field, present if isinstance(present, list) else [], value, order)
    else:
        result[key] = value


def _type_below(schema: Type | None, field: Field | None) -> Type | None:
    if field is not None:
        return field.type
    return schema.value if isinstance(schema, Map) else None


def _merge_list(field: Field, original: Sequence[Any], patch: Sequence[Any], order: Any) -> list[Any]:
    if not field.merge_key:
        added: list[Any] = []
        for item in patch:
            if item not in original and item not in added:
                added.append(item)
        return _in_order([*original, *added], original, order or list(patch), _identity)
    item_type = field.type.item if isinstance(field.type, List) else None
    merge_key = field.merge_key
    plain, deleted, replace = _sort_directives(patch, merge_key)
    if replace:
        return plain
    merged = [item for item in original if not (isinstance(item, dict) and item.get(merge_key) in deleted)]
    for item in plain:
        index = next((i for i, old in enumerate(merged) if old.get(merge_key) == item[merge_key]), None)
        if index is None:
            merged.append(_merge_object(item_type, {}, item))
        else:
            merged[index] = _merge_object(item_type, merged[index], item)

    def key_of(item: Any) -> Any:
        return item.get(merge_key) if isinstance(item, dict) else item

    return _in_order(merged, original, plain if order is None else order, key_of)


def _sort_directives(patch: Sequence[Any], merge_key: str) -> tuple[list[Object], list[Any], bool]:
    """Tell the plain items of a patch from those that delete, and see whether the list is to be replaced."""
    plain: list[Object] = []
    deleted: list[Any] = []
    replace = False
    for item in patch:
        if not isinstance(item, dict):
            raise BadRequest(f"the items of a list that merges by {merge_key!r} must be objects")
        directive = item.get(_DIRECTIVE)
        rest = {key: value for key, value in item.items() if key != _DIRECTIVE}
        if directive == "replace":
            replace = True
            if rest:
                plain.append(rest)
            continue
        if merge_key not in item:
            raise BadRequest(f"an item of the patch does not contain the declared merge key: {merge_key}")
        if directive == "delete":
            deleted.append(item[merge_key])
        else:
            plain.append(item)
    return plain, deleted, replace


def _in_order(merged: Sequence[Any], original: Sequence[Any], order: Any, key_of: Any) -> list[Any]:
    """Order `merged`: what the patch names goes by `order`, the rest keeps its place among the original items."""
    if not isinstance(order, list):
        raise BadRequest("$setElementOrder must be a list")
    wanted = [key_of(item) for item in order]
    before = [key_of(item) for item in original]
    named = sorted((item for item in merged if key_of(item) in wanted), key=lambda item: wanted.index(key_of(item)))
    others = [item for item in merged if key_of(item) not in wanted]
    result: list[Any] = []
    while named and others:
        new, old = key_of(named[0]), key_of(others[0])
        # What the patch adds comes first, as Kubernetes has it.
        old_goes = new in before and before.index(old) < before.index(new)
        result.append((others if old_goes else named).pop(0))
    return result + others + named


def _identity(item: Any) -> Any:
    return item


def _reorder(schema: Type | None, result: Object, original: Object, name: str, order: Any) -> None:
    """Apply an order that comes without a change of the list itself."""
    present = result.get(name)
    field = schema.fields.get(name) if isinstance(schema, Struct) else None
    if not isinstance(present, list) or field is None:
        return
    merge_key = field.merge_key

    def key_of(item: Any) -> Any:
        return item.get(merge_key) if merge_key and isinstance(item, dict) else item

    result[name] = _in_order(present, original.get(name) or [], order, key_of)


def _delete_primitives(result: Object, name: str, values: Any) -> None:
    if not isinstance(values, list):
        raise BadRequest(f"{_DELETE}{name} must be a list of values")
    present = result.get(name)
    if isinstance(present, list):
        result[name] = [item for item in present if item not in values]


def _check_depth(patch: Any) -> None:
    if too_deep(patch, DEEPEST * 2):
        raise BadRequest(f"the patch is nested more than {DEEPEST * 2} levels deep")


PATCH_TYPES: Mapping[str, str] = {
    "application/json-patch+json": "json",
    "application/merge-patch+json": "merge",
    "application/strategic-merge-patch+json": "strategic",
}
