"""The OpenAPI documents that describe the kinds, made from the same descriptions that admission checks with.

Called by the API's /openapi/v2 and /openapi/v3. kubectl reads them to explain kinds, to check manifests before it sends
them, to know by which key lists merge, and to learn which kinds take `--dry-run=server`.
"""

from collections.abc import Iterator
from typing import Any

from apps.kinds import gnostic
from apps.kinds.kind import Kind
from apps.kinds.registry import KINDS
from apps.kinds.scale import SCHEMA as SCALE
from apps.kinds.schema import Anything, Field, Integer, IntOrString, List, Map, Quantity, Struct, Time, Type
from apps.kinds.shapes.meta import LIST_META

Json = dict[str, Any]

_META = "io.k8s.apimachinery.pkg.apis.meta.v1"
_QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"
_INT_OR_STRING = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
_TIME = f"{_META}.Time"
_FIELDS = f"{_META}.FieldsV1"
_PATCH_PARAMETERS = {
    "dryRun": "All: check and answer as if it were done, and do nothing.",
    "fieldManager": "Who makes the change.",
    "fieldValidation": "What unknown fields are: Ignore, Warn or Strict.",
}
_SHARED: Json = {
    _QUANTITY: {"description": "An amount such as 500m, 2 or 128Mi.", "type": "string"},
    _INT_OR_STRING: {"description": "A number, or a name or percentage.", "type": "string", "format": "int-or-string"},
    _TIME: {"description": "A time such as 2006-01-02T15:04:05Z.", "type": "string", "format": "date-time"},
    _FIELDS: {"description": "A set of fields.", "type": "object"},
}


def openapi_v2() -> Json:
    """Return the swagger document of all kinds."""
    writer = _Writer("#/definitions/")
    for kind in KINDS:
        writer.add_kind(kind)
    writer.add(SCALE)
    writer.definitions[SCALE.definition]["x-kubernetes-group-version-kind"] = [
        {"group": "autoscaling", "version": "v1", "kind": "Scale"}
    ]
    return {
        "swagger": "2.0",
        "info": {"title": "Gantry", "version": "v1"},
        "paths": {path: _patch_item(kind, "type") for kind in KINDS for path in [_object_path(kind)]},
        "definitions": dict(sorted(writer.definitions.items())),
    }


def openapi_v2_protobuf() -> bytes:
    """Return the same document in gnostic's protobuf form."""
    return gnostic.document(openapi_v2())


def openapi_v3(group_version: str) -> Json:
    """Return the OpenAPI 3 document of one group version ("v1", "apps/v1")."""
    writer = _Writer("#/components/schemas/")
    kinds = [kind for kind in KINDS if kind.api_version == group_version]
    for kind in kinds:
        writer.add_kind(kind)
    return {
        "openapi": "3.0.0",
        "info": {"title": "Gantry", "version": "v1"},
        "paths": {_object_path(kind): _patch_item(kind, "schema") for kind in kinds},
        "components": {"schemas": dict(sorted(writer.definitions.items()))},
    }


def _object_path(kind: Kind) -> str:
    root = f"/apis/{kind.group}/{kind.version}" if kind.group else f"/api/{kind.version}"
    namespace = "/namespaces/{namespace}" if kind.namespaced else ""
    return f"{root}{namespace}/{kind.plural}/{{name}}"


def _patch_item(kind: Kind, form: str) -> Json:
    """Return the path item by which kubectl learns that the kind takes these parameters."""
    typed: Json = {"type": "string"} if form == "type" else {"schema": {"type": "string"}}
    parameters = [
        {"name": name, "in": "query", "description": text, **typed} for name, text in _PATCH_PARAMETERS.items()
    ]
    return {
        "patch": {
            "operationId": f"patch{kind.group.split('.')[0].title()}{kind.version.title()}{kind.kind}",
            "parameters": parameters,
            "responses": {"200": {"description": "OK"}},
            "x-kubernetes-action": "patch",
            "x-kubernetes-group-version-kind": _group_version_kind(kind),
        }
    }


def _group_version_kind(kind: Kind, suffix: str = "") -> Json:
    return {"group": kind.group, "version": kind.version, "kind": kind.kind + suffix}


class _Writer:
    """Collects definitions, each once, whatever refers to it."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.definitions: Json = {}

    def add_kind(self, kind: Kind) -> None:
        self.add(kind.schema)
        definition = self.definitions[kind.schema.definition]
        definition["x-kubernetes-group-version-kind"] = [_group_version_kind(kind)]
        self.add(LIST_META)
        self.definitions[f"{kind.schema.definition}List"] = {
            "description": f"A list of objects of kind {kind.kind}.",
            "type": "object",
            "required": ["items"],
            "properties": {
                "apiVersion": {"type": "string"},
                "items": {"type": "array", "items": self._reference(kind.schema.definition)},
                "kind": {"type": "string"},
                "metadata": self._reference(LIST_META.definition),
            },
            "x-kubernetes-group-version-kind": [_group_version_kind(kind, "List")],
        }

    def add(self, schema: Struct) -> None:
        if schema.definition in self.definitions:
            return
        definition: Json = {"type": "object"}
        self.definitions[schema.definition] = definition  # before its fields, which may refer back to it
        if schema.help:
            definition["description"] = schema.help
        if required := [name for name, field in schema.fields.items() if field.required]:
            definition["required"] = required
        definition["properties"] = {name: self._property(field) for name, field in sorted(schema.fields.items())}

    def _property(self, field: Field) -> Json:
        described = {"description": field.help} if field.help else {}
        return {**described, **self._type(field.type), **dict(_extensions(field))}

    def _type(self, kind: Type) -> Json:
        match kind:
            case Struct():
                self.add(kind)
                return self._reference(kind.definition)
            case List():
                return {"type": "array", "items": self._type(kind.item)}
            case Map():
                return {"type": "object", "additionalProperties": self._type(kind.value)}
            case Quantity():
                return self._shared(_QUANTITY)
            case IntOrString():
                return self._shared(_INT_OR_STRING)
            case Time():
                return self._shared(_TIME)
            case Anything():
                return self._shared(_FIELDS)
            case Integer():
                return {"type": "integer", "format": f"int{kind.bits}"}
        return {"type": "string", "format": "byte"} if kind.name == "bytes" else {"type": kind.name}

    def _shared(self, name: str) -> Json:
        self.definitions[name] = _SHARED[name]
        return self._reference(name)

    def _reference(self, name: str) -> Json:
        return {"$ref": self.prefix + name}


def _extensions(field: Field) -> Iterator[tuple[str, Any]]:
    if field.patch:
        yield "x-kubernetes-patch-strategy", field.patch
    if field.merge_key:
        yield "x-kubernetes-patch-merge-key", field.merge_key
    if isinstance(field.type, List):
        if field.type.keys:
            yield "x-kubernetes-list-type", "map"
            yield "x-kubernetes-list-map-keys", list(field.type.keys)
        elif field.type.is_set:
            yield "x-kubernetes-list-type", "set"
