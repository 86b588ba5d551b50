"""ConfigMap: configuration that pods read as files or environment."""

from collections.abc import Iterable, Iterator
from datetime import datetime

from apps.kinds import cells, rules
from apps.kinds.kind import Cell, Change, Column, Kind, Object
from apps.kinds.problems import Key, Problem, forbidden, invalid, too_long
from apps.kinds.schema import BOOLEAN, BYTES, STRING, Field, Map, Struct
from apps.kinds.shapes.meta import OBJECT_META, TYPE_META

SCHEMA = Struct(
    "io.k8s.api.core.v1.ConfigMap",
    {
        **TYPE_META,
        "metadata": Field(1, OBJECT_META),
        "immutable": Field(4, BOOLEAN),
        "data": Field(2, Map(STRING, check_key=rules.config_key)),
        "binaryData": Field(3, Map(BYTES, check_key=rules.config_key)),
    },
)


def _data(config_map: Object, _now: datetime) -> Cell:
    return str(len(config_map.get("data") or ()) + len(config_map.get("binaryData") or ()))


LARGEST = 1024 * 1024


def _rules(change: Change) -> list[Problem]:
    return list(_problems(change.object, change.old))


def _problems(config_map: Object, old: Object | None) -> Iterator[Problem]:
    data, binary = config_map.get("data") or {}, config_map.get("binaryData") or {}
    for key in data:
        if key in binary:
            yield invalid(((None, "data"), Key(key)), key, "duplicate of key present in binaryData")
    size = sum(len(value.encode()) for value in data.values()) + sum(len(value) * 3 // 4 for value in binary.values())
    if size > LARGEST:
        yield too_long((None, "data"), f"may not be more than {LARGEST} bytes")
    if old is not None:
        yield from immutable_problems(config_map, old, ("data", "binaryData"))


def immutable_problems(new: Object, old: Object, fields: Iterable[str]) -> Iterator[Problem]:
    """Yield what a change of an immutable ConfigMap or Secret touches."""
    if not old.get("immutable"):
        return
    if not new.get("immutable"):
        yield forbidden((None, "immutable"), "field is immutable when `immutable` is set")
    for field in fields:
        if (new.get(field) or {}) != (old.get(field) or {}):
            yield forbidden((None, field), "field is immutable when `immutable` is set")


CONFIG_MAP = Kind(
    kind="ConfigMap",
    group="",
    version="v1",
    plural="configmaps",
    singular="configmap",
    short_names=("cm",),
    schema=SCHEMA,
    rules=_rules,
    columns=(cells.NAME, Column("Data", _data, description="The number of entries."), cells.AGE),
)
