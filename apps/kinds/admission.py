"""The way of an object into the store: copied, checked, defaulted. Called by `Transaction.create` and `.update` only.

Pure: the time, the uid and the suffix of a generated name are arguments. The object that comes in is never changed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from apps.kinds import rules
from apps.kinds.kind import Change, Kind, Object
from apps.kinds.problems import Path, Problem, child, invalid, required
from apps.kinds.schema import Walk
from apps.kinds.status import BadRequest, Conflict, Invalid
from nodeworker.wire.time import format_time

# What only the server writes; an update keeps it whatever it says.
_KEPT = ("uid", "creationTimestamp", "generateName", "selfLink", "deletionTimestamp", "deletionGracePeriodSeconds")
_METADATA: Path = (None, "metadata")
_LONGEST_ANNOTATIONS = 256 * 1024


@dataclass(frozen=True, slots=True)
class Admitted:
    """An object fit for the store, and what to tell who sent it."""

    object: Object
    warnings: Sequence[str] = ()
    unknown: Sequence[str] = ()


def admit_create(
    kind: Kind, obj: Object, *, namespace: str, now: datetime, new_uid: str, new_suffix: str = ""
) -> Admitted:
    """Return `obj` as it shall be stored; raise BadRequest or Invalid."""
    _check_type(kind, obj)
    walk = Walk(collect_warnings=True)
    created: Object = kind.schema.clean(obj, None, walk)
    metadata = created.setdefault("metadata", {})
    _fill_metadata(kind, metadata, namespace, now, new_uid, new_suffix)
    if "status" in kind.schema.fields and not kind.status_on_create:
        created["status"] = {}
    created["apiVersion"], created["kind"] = kind.api_version, kind.kind
    if not walk.problems:
        kind.fill(created)
        kind.fill_created(created)
        walk.problems += kind.rules(Change(created))
    problems = [*_name_problems(kind, metadata), *_metadata_problems(metadata), *walk.problems]
    if problems:
        raise Invalid(kind.qualified, metadata.get("name", ""), problems)
    return Admitted(_ordered(created), [*walk.warnings, *kind.advise(created)], _unknown_texts(walk))


def admit_update(
    kind: Kind, new: Object, old: Object, *, subresource: str | None = None, now: datetime | None = None
) -> Admitted:
    """Return what `old` becomes; raise BadRequest or Invalid. Equal to `old` when nothing would change."""
    _check_type(kind, new)
    if subresource == "status":
        return _admit_status(kind, new, old)
    if subresource == "finalize":
        return _admit_finalize(kind, new, old)
    if subresource == "binding":
        return _admit_binding(kind, new, old)
    walk = Walk(collect_warnings=True)
    updated: Object = kind.schema.clean(new, None, walk)
    metadata = updated.setdefault("metadata", {})
    problems = _keep_metadata(metadata, old["metadata"])
    updated["apiVersion"], updated["kind"] = kind.api_version, kind.kind
    if "status" in kind.schema.fields:
        _keep_status(updated, old)
    if not walk.problems:
        kind.carry(updated, old)
        kind.fill(updated)
        walk.problems += kind.rules(Change(updated, old, subresource))
    problems += [*_metadata_problems(metadata), *walk.problems]
    if problems:
        raise Invalid(kind.qualified, old["metadata"].get("name", ""), problems)
    if kind.has_generation and _desired(updated) != _desired(old):
        metadata["generation"] = old["metadata"].get("generation", 0) + 1
    return Admitted(_ordered(updated), [*walk.warnings, *kind.advise(updated)], _unknown_texts(walk))


def _desired(obj: Object) -> Object:
    """Return the part of an object whose changes count as a new generation."""
    if "spec" in obj:
        desired: Object = obj["spec"]
        return desired
    return {name: value for name, value in obj.items() if name not in ("metadata", "status", "apiVersion", "kind")}


def unknown_fields(kind: Kind, obj: Object) -> list[str]:
    """Return `unknown field "spec.containers[0].imagee", did you mean "image"?` for each field that nobody knows."""
    walk = Walk()
    kind.schema.clean(obj, None, walk)
    return _unknown_texts(walk)


def _unknown_texts(walk: Walk) -> list[str]:
    return [f'unknown field "{path}"' + (f", {advice}" if advice else "") for path, advice in walk.unknown]


def _check_type(kind: Kind, obj: Object) -> None:
    if not isinstance(obj, dict):
        raise BadRequest(f"the body must be one object of kind {kind.kind}")
    for name, wanted in (("apiVersion", kind.api_version), ("kind", kind.kind)):
        found: object = obj.get(name)
        if found not in (None, "", wanted):
            raise BadRequest(f'{name} must be "{wanted}" here, not "{str(found)[:100]}"')
    if not isinstance(obj.get("metadata") or {}, dict):
        raise BadRequest("metadata must be an object")


def _fill_metadata(kind: Kind, metadata: Object, namespace: str, now: datetime, new_uid: str, new_suffix: str) -> None:
    if kind.namespaced:
        given = metadata.get("namespace") or namespace
        if given != namespace:
            raise BadRequest(
                f"the namespace of the provided object does not match the namespace sent on the request "
                f'("{given[:100]}" and "{namespace}")'
            )
        metadata["namespace"] = namespace
    else:
        metadata.pop("namespace", None)
    if not metadata.get("name") and metadata.get("generateName"):
        metadata["name"] = metadata["generateName"][: 63 - len(new_suffix)] + new_suffix
    for name in ("resourceVersion", "generation", "selfLink", "deletionTimestamp", "deletionGracePeriodSeconds"):
        metadata.pop(name, None)
    metadata["uid"] = new_uid
    metadata["creationTimestamp"] = format_time(now)
    if kind.has_generation:
        metadata["generation"] = 1


def _name_problems(kind: Kind, metadata: Object) -> list[Problem]:
    name = metadata.get("name")
    if not name:
        return [required(child(_METADATA, "name"), "name or generateName is required")]
    message = kind.check_name(name) or rules.plain_name(name)
    problems = [invalid(child(_METADATA, "name"), name, message)] if message else []
    namespace = metadata.get("namespace")
    if namespace and (message := rules.dns_label(namespace)):
        problems.append(invalid(child(_METADATA, "namespace"), namespace, message))
    return problems


def _metadata_problems(metadata: Object) -> list[Problem]:
    problems = []
    annotations = metadata.get("annotations")
    if annotations and sum(len(key) + len(value) for key, value in annotations.items()) > _LONGEST_ANNOTATIONS:
        text = f"may not be more than {_LONGEST_ANNOTATIONS} bytes"
        problems.append(Problem("metadata.annotations", "TooLong", text))
    for index, finalizer in enumerate(metadata.get("finalizers") or ()):
        if message := rules.label_key(finalizer):
            problems.append(invalid(child(_METADATA, "finalizers", index), finalizer, f"name is invalid: {message}"))
    owners = metadata.get("ownerReferences") or ()
    if sum(bool(owner.get("controller")) for owner in owners) > 1:
        text = "Only one reference can have Controller set to true"
        problems.append(invalid(child(_METADATA, "ownerReferences"), [owner["name"] for owner in owners], text))
    return problems


def _keep_metadata(metadata: Object, old: Object) -> list[Problem]:
    """Carry over what an update cannot change; tell it where it was asked for."""
    problems = []
    for name in ("name", "namespace", "uid", "creationTimestamp"):
        given = metadata.get(name)
        if given and given != old.get(name):
            problems.append(invalid(child(_METADATA, name), given, "field is immutable"))
    for name in ("name", "namespace", "generation", "resourceVersion", *_KEPT):
        if name in old:
            metadata[name] = old[name]
        else:
            metadata.pop(name, None)
    return problems


def _keep_status(updated: Object, old: Object) -> None:
    if "status" in old:
        updated["status"] = old["status"]
    else:
        updated.pop("status", None)


def _admit_status(kind: Kind, new: Object, old: Object) -> Admitted:
    """Take the status of `new` and nothing else."""
    walk = Walk()
    status_type = kind.schema.fields["status"].type
    updated = {**old, "status": status_type.clean(new.get("status") or {}, (None, "status"), walk)}
    walk.problems += kind.rules(Change(updated, old, "status"))
    if walk.problems:
        raise Invalid(kind.qualified, old["metadata"].get("name", ""), walk.problems)
    return Admitted(updated, (), _unknown_texts(walk))


def _admit_binding(kind: Kind, new: Object, old: Object) -> Admitted:
    """Take the node of a pod that has none, and the condition that tells it: one write, as Kubernetes does it."""
    bound = (old.get("spec") or {}).get("nodeName")
    if bound:
        raise Conflict(f'pod "{old["metadata"]["name"]}" is already assigned to node "{bound}"')
    node = (new.get("spec") or {}).get("nodeName") or ""
    if message := rules.dns_subdomain(node):
        problem = invalid(child((None, "spec"), "nodeName"), node, message)
        raise Invalid(kind.qualified, old["metadata"]["name"], [problem])
    admitted = _admit_status(kind, new, old)
    return Admitted({**admitted.object, "spec": {**old["spec"], "nodeName": node}}, (), admitted.unknown)


def _admit_finalize(kind: Kind, new: Object, old: Object) -> Admitted:
    """Take the finalizers of a namespace, which nothing else may change."""
    walk = Walk()
    spec = kind.schema.fields["spec"].type.clean(new.get("spec") or {}, (None, "spec"), walk)
    if walk.problems:
        raise Invalid(kind.qualified, old["metadata"].get("name", ""), walk.problems)
    return Admitted({**old, "spec": spec})


def _ordered(obj: Object) -> Object:
    """Put the fields into the order in which people read them."""
    first: Object = {name: obj[name] for name in ("apiVersion", "kind", "metadata", "spec") if name in obj}
    return {**first, **{name: value for name, value in obj.items() if name not in first}}
