"""Request bodies to plain data: JSON and YAML, with what could blow up limited. Pure; called by the verbs.

YAML is read as sigs.k8s.io/yaml reads it: a way of writing JSON. Time stamps and 12:30 stay text. An alias may not
multiply a small body into a large object ("billion laughs"), and depth is limited for both formats because everything
after this walks the object recursively.
"""

import json
import re
from collections.abc import Iterable
from typing import Any

import msgspec
import yaml

from apps.api.errors import bad_request
from apps.api.negotiation import YAML, body_format

MAX_DEPTH = 100
MAX_YAML_NODES = 200_000


def decode_body(body: bytes, content_type: str) -> Any:
    """Return the data that `body` holds."""
    return decode_yaml(body) if body_format(content_type) == YAML else decode_json(body)


def decode_object(body: bytes, content_type: str) -> tuple[dict[str, Any], list[str]]:
    """Return the object that `body` holds and the paths of keys that it gives twice."""
    duplicates: list[str] = []
    if body_format(content_type) == YAML:
        data = decode_yaml(body)
    else:
        data, duplicates = decode_json_strictly(body)
    if not isinstance(data, dict):
        raise bad_request(f"the body holds {_name_of(data)}; it would be an object with apiVersion, kind and metadata")
    return data, duplicates


def decode_json(body: bytes) -> Any:
    """Return what a JSON body holds."""
    try:
        data = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise bad_request(f"the body is not valid JSON: {error}") from None
    except RecursionError:
        raise _too_deep() from None
    _check_depth(body, data)
    return data


def decode_json_strictly(body: bytes) -> tuple[Any, list[str]]:
    """The same, and the paths of keys that one object gives twice (the last one counts)."""
    doubled: list[tuple[int, str]] = []

    def build(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(pairs)
        if len(result) != len(pairs):
            seen: set[str] = set()
            for key, _ in pairs:
                if key in seen:
                    doubled.append((id(result), key))
                seen.add(key)
        return result

    try:
        data = json.loads(body, object_pairs_hook=build, parse_constant=_refuse_constant)
    except (ValueError, UnicodeDecodeError) as error:
        raise bad_request(f"the body is not valid JSON: {error}") from None
    except RecursionError:
        raise _too_deep() from None
    _check_depth(body, data)
    return data, _paths_of(data, doubled) if doubled else []


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def _paths_of(data: Any, doubled: Iterable[tuple[int, str]]) -> list[str]:
    paths = {id(node): path for path, node in _walk(data, "") if isinstance(node, dict)}
    return [f"{paths[owner]}.{key}".lstrip(".") for owner, key in doubled if owner in paths]


def _walk(node: Any, path: str) -> Iterable[tuple[str, Any]]:
    yield path, node
    if isinstance(node, dict):
        for key, value in node.items():
            yield from _walk(value, f"{path}.{key}".lstrip("."))
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from _walk(value, f"{path}[{index}]")


def _check_depth(body: bytes, data: Any) -> None:
    # A body with few brackets cannot be deep; most are not walked at all.
    if body.count(b"{") + body.count(b"[") > MAX_DEPTH and _depth(data) > MAX_DEPTH:
        raise _too_deep()


def _depth(data: Any) -> int:
    depth, level = 0, [data]
    while level and depth <= MAX_DEPTH:
        depth += 1
        level = [child for node in level if isinstance(node, dict | list) for child in _children(node)]
    return depth


def _children(node: dict[str, Any] | list[Any]) -> Iterable[Any]:
    return node.values() if isinstance(node, dict) else node


class _Loader(yaml.CSafeLoader):
    """CSafeLoader whose scalars are JSON's: no time stamps, no base-60 numbers; a key given twice is an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.tag != "tag:yaml.org,2002:merge" and key.value in seen:
                mark = key.start_mark
                raise bad_request(f'the body is not valid YAML: line {mark.line + 1}: key "{key.value}" is given twice')
            if isinstance(key.value, str):
                seen.add(key.value)
        return super().construct_mapping(node, deep=deep)


_JSON_TAGS = ("bool", "null", "merge", "value")
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag.rpartition(":")[2] in _JSON_TAGS]
    for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:int", re.compile(r"^[-+]?(?:0|[1-9][0-9]*|0x[0-9a-fA-F]+|0[0-7]+)$"), "-+0123456789"
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?$"),
    "-+0123456789.",
)


def decode_yaml(body: bytes) -> Any:
    """Return what the first document of a YAML body holds."""
    try:
        _check_yaml(body)
        data = yaml.load(body, Loader=_Loader)
        if data is not None:
            # Whatever JSON cannot say (a set, a date by explicit tag, a key that is no text) ends here.
            data = msgspec.json.decode(msgspec.json.encode(data))
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, TypeError, OverflowError) as error:
        text = " ".join(str(error).split())
        raise bad_request(f"the body is not valid YAML: {text}") from None
    except RecursionError:
        raise _too_deep() from None
    return data


def _check_yaml(body: bytes) -> None:
    """Refuse what would grow: counts the nodes that the document becomes when its aliases are followed."""
    depth = count = 0
    open_anchors: list[tuple[str | None, int]] = []
    weights: dict[str, int] = {}
    for event in yaml.parse(body, Loader=yaml.CSafeLoader):
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in weights:
                raise bad_request(f"the body is not valid YAML: alias *{event.anchor} stands inside its own anchor")
            count += weights[event.anchor]
        elif isinstance(event, yaml.ScalarEvent):
            count += 1
            if event.anchor:
                weights[event.anchor] = 1
        elif isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            open_anchors.append((event.anchor, count))
            count += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
            anchor, before = open_anchors.pop()
            if anchor:
                weights[anchor] = count - before
        if depth > MAX_DEPTH:
            raise _too_deep()
        if count > MAX_YAML_NODES:
            raise bad_request(
                f"the body's aliases expand to more than {MAX_YAML_NODES} values; write it out or shorten it"
            )


def _too_deep() -> Exception:
    return bad_request(f"the body is nested more than {MAX_DEPTH} levels deep")


def _name_of(data: Any) -> str:
    names = {
        list: "a list",
        str: "a text",
        bool: "a boolean",
        int: "a number",
        float: "a number",
        type(None): "nothing",
    }
    return names.get(type(data), "something else")
