"""The swagger document in the protobuf form that every kubectl asks for (gnostic's openapi_v2.Document).

Called by openapi.py. The numbers are those of OpenAPIv2.proto in google/gnostic; each function writes one message.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from apps.kinds.protobuf import chunk, flag, text

Json = Mapping[str, Any]


def document(swagger: Json) -> bytes:
    """Write the whole document."""
    info = text(1, swagger["info"]["title"]) + text(2, swagger["info"]["version"])
    paths = b"".join(chunk(2, _named(path, _path_item(item))) for path, item in swagger["paths"].items())
    return text(1, swagger["swagger"]) + chunk(2, info) + chunk(8, paths) + chunk(9, _schemas(swagger["definitions"]))


def _schemas(schemas: Json) -> bytes:
    """Write Definitions or Properties: both are lists of NamedSchema."""
    return b"".join(chunk(1, _named(name, _schema(schema))) for name, schema in schemas.items())


def _schema(schema: Json) -> bytes:
    parts = [text(1, schema.get("$ref", "")), text(2, schema.get("format", "")), text(4, schema.get("description", ""))]
    if "default" in schema:
        parts.append(chunk(5, _any(schema["default"])))
    parts += [text(19, name) for name in schema.get("required", ())]
    parts += [chunk(20, _any(word)) for word in schema.get("enum", ())]
    if "additionalProperties" in schema:
        parts.append(chunk(21, chunk(1, _schema(schema["additionalProperties"]))))
    if "type" in schema:
        parts.append(chunk(22, text(1, schema["type"])))
    if "items" in schema:
        parts.append(chunk(23, chunk(1, _schema(schema["items"]))))
    if "properties" in schema:
        parts.append(chunk(25, _schemas(schema["properties"])))
    return b"".join(parts) + _extensions(31, schema)


def _path_item(item: Json) -> bytes:
    return chunk(8, _operation(item["patch"]))


def _operation(operation: Json) -> bytes:
    parameters = b"".join(chunk(8, chunk(1, _parameter(parameter))) for parameter in operation["parameters"])
    return text(5, operation["operationId"]) + parameters + _extensions(13, operation)


def _parameter(parameter: Json) -> bytes:
    """Write a Parameter that is a NonBodyParameter that is a QueryParameterSubSchema."""
    query = (
        flag(1, parameter.get("required", False))
        + text(2, parameter["in"])
        + text(3, parameter.get("description", ""))
        + text(4, parameter["name"])
        + text(6, parameter["type"])
    )
    return chunk(2, chunk(3, query))


def _extensions(number: int, holder: Json) -> bytes:
    """Write what begins with x- as NamedAny."""
    return b"".join(chunk(number, _named(name, _any(value))) for name, value in holder.items() if name.startswith("x-"))


def _named(name: str, value: bytes) -> bytes:
    return text(1, name) + chunk(2, value)


def _any(value: Any) -> bytes:
    """Write a value as YAML, of which JSON is a part."""
    return text(2, msgspec.json.encode(value).decode())
