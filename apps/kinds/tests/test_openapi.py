"""The OpenAPI documents hold together, and the protobuf form says the same as the JSON form."""

from collections.abc import Iterator
from typing import Any

import msgspec

from apps.kinds.openapi import openapi_v2, openapi_v2_protobuf, openapi_v3
from apps.kinds.protobuf import chunk, flag, text, varint
from apps.kinds.registry import KINDS


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if "$ref" in value:
            yield value["$ref"]
        for item in value.values():
            yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


def test_every_reference_has_a_definition() -> None:
    swagger = openapi_v2()
    assert {ref.removeprefix("#/definitions/") for ref in references(swagger)} <= swagger["definitions"].keys()
    for group_version in sorted({kind.api_version for kind in KINDS}):
        schemas = openapi_v3(group_version)["components"]["schemas"]
        assert {ref.removeprefix("#/components/schemas/") for ref in references(schemas)} <= schemas.keys()


def test_every_kind_is_named_by_its_group_version_and_kind() -> None:
    definitions = openapi_v2()["definitions"].values()
    named = [entry for d in definitions for entry in d.get("x-kubernetes-group-version-kind", [])]
    for kind in KINDS:
        assert {"group": kind.group, "version": kind.version, "kind": kind.kind} in named
        assert {"group": kind.group, "version": kind.version, "kind": kind.list_kind} in named


def test_merge_keys_are_told() -> None:
    containers = openapi_v2()["definitions"]["io.k8s.api.core.v1.PodSpec"]["properties"]["containers"]
    assert containers == {
        "type": "array",
        "items": {"$ref": "#/definitions/io.k8s.api.core.v1.Container"},
        "x-kubernetes-patch-strategy": "merge",
        "x-kubernetes-patch-merge-key": "name",
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["name"],
    }


def test_every_kind_says_that_it_takes_a_dry_run() -> None:
    for document in (openapi_v2(), openapi_v3("apps/v1")):
        for item in document["paths"].values():
            assert "dryRun" in [parameter["name"] for parameter in item["patch"]["parameters"]]


def fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """Read a protobuf message: the oracle of the writer."""
    position = 0

    def number() -> int:
        nonlocal position
        value = shift = 0
        while True:
            byte = message[position]
            position += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while position < len(message):
        key = number()
        if key & 7 == 0:
            yield key >> 3, number()
        else:
            assert key & 7 == 2
            length = number()
            yield key >> 3, message[position : position + length]
            position += length


def named(message: bytes) -> dict[str, bytes]:
    return {dict(fields(entry))[1].decode(): dict(fields(entry))[2] for _, entry in fields(message)}


def test_the_protobuf_document_says_the_same() -> None:
    swagger = openapi_v2()
    document = dict(fields(openapi_v2_protobuf()))
    assert document[1] == b"2.0"
    definitions = named(document[9])
    assert list(definitions) == list(swagger["definitions"])
    container = dict(fields(definitions["io.k8s.api.core.v1.Container"]))
    properties = named(container[25])
    assert list(properties) == list(swagger["definitions"]["io.k8s.api.core.v1.Container"]["properties"])
    ports = list(fields(properties["ports"]))
    extensions = {dict(fields(raw))[1]: dict(fields(dict(fields(raw))[2]))[2] for number, raw in ports if number == 31}
    assert extensions[b"x-kubernetes-patch-merge-key"] == b'"containerPort"'
    assert msgspec.json.decode(extensions[b"x-kubernetes-list-map-keys"]) == ["containerPort", "protocol"]


def test_the_writer_writes_the_wire_format() -> None:
    assert varint(300) == b"\xac\x02"
    assert text(1, "2.0") == b"\x0a\x032.0"
    assert (text(1, ""), flag(2, False), flag(2, True)) == (b"", b"", b"\x10\x01")
    assert chunk(16, b"x") == b"\x82\x01\x01x"
