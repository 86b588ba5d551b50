"""Secret: configuration that is encrypted at rest and shown to few."""

import base64
from collections.abc import Iterator, Mapping
from datetime import datetime

import msgspec

from apps.kinds import cells, rules
from apps.kinds.configmap import LARGEST, immutable_problems
from apps.kinds.kind import Cell, Change, Column, Kind, Object
from apps.kinds.problems import Key, Problem, invalid, required, too_long
from apps.kinds.schema import BOOLEAN, BYTES, STRING, Field, Map, Struct
from apps.kinds.shapes.meta import OBJECT_META, TYPE_META

SCHEMA = Struct(
    "io.k8s.api.core.v1.Secret",
    {
        **TYPE_META,
        "metadata": Field(1, OBJECT_META),
        "immutable": Field(5, BOOLEAN),
        "data": Field(2, Map(BYTES, check_key=rules.config_key)),
        "stringData": Field(4, Map(STRING, check_key=rules.config_key)),
        "type": Field(3, STRING, default="Opaque"),
    },
)


def _type(secret: Object, _now: datetime) -> Cell:
    return str(secret.get("type", "Opaque"))


def _data(secret: Object, _now: datetime) -> Cell:
    return len(secret.get("data") or ())


# What a secret of a type must hold.
_KEYS_OF_TYPES: Mapping[str, tuple[str, ...]] = {
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
}


def _fill(secret: Object) -> None:
    """Move stringData, which is only ever written, into data."""
    plain = secret.pop("stringData", None) or {}
    if plain:
        data = secret.setdefault("data", {})
        for key, value in plain.items():
            data[key] = base64.b64encode(value.encode()).decode()


def _rules(change: Change) -> list[Problem]:
    return list(_problems(change.object, change.old))


def _problems(secret: Object, old: Object | None) -> Iterator[Problem]:
    data = secret.get("data") or {}
    if sum(len(value) * 3 // 4 for value in data.values()) > LARGEST:
        yield too_long((None, "data"), f"may not be more than {LARGEST} bytes")
    for key in _KEYS_OF_TYPES.get(secret["type"], ()):
        if key not in data:
            yield required(((None, "data"), Key(key)))
        elif "docker" in secret["type"] and not _is_json_object(data[key]):
            yield invalid(((None, "data"), Key(key)), "<secret contents redacted>", "must be a JSON object")
    if secret["type"] == "kubernetes.io/basic-auth" and not data.keys() & {"username", "password"}:
        yield required(((None, "data"), Key("username")), "one of username and password is required")
    if old is not None:
        if old.get("type") != secret["type"]:
            yield invalid((None, "type"), secret["type"], "field is immutable")
        yield from immutable_problems(secret, old, ("data",))


def _is_json_object(encoded: str) -> bool:
    try:
        return isinstance(msgspec.json.decode(base64.b64decode(encoded)), dict)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return False


SECRET = Kind(
    kind="Secret",
    group="",
    version="v1",
    plural="secrets",
    singular="secret",
    schema=SCHEMA,
    fill=_fill,
    rules=_rules,
    columns=(
        cells.NAME,
        Column("Type", _type, description="What the secret is for."),
        Column("Data", _data, type="integer", description="The number of entries."),
        cells.AGE,
    ),
    fields=lambda secret: {"type": secret.get("type", "")},
)
