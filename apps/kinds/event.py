"""Event: something that happened to an object, told for people."""

from collections.abc import Mapping
from datetime import datetime

from apps.kinds import cells
from apps.kinds.kind import Cell, Change, Column, Kind, Object
from apps.kinds.problems import Path, Problem, invalid
from apps.kinds.schema import INTEGER, MICRO_TIME, STRING, TIME, Field, Struct
from apps.kinds.shapes.meta import OBJECT_META, TYPE_META
from apps.kinds.shapes.references import OBJECT_REFERENCE
from nodeworker.wire.podstatus import age

EVENT_SOURCE = Struct(
    "io.k8s.api.core.v1.EventSource",
    {
        "component": Field(1, STRING),
        "host": Field(2, STRING),
    },
)


EVENT_SERIES = Struct(
    "io.k8s.api.core.v1.EventSeries",
    {
        "count": Field(1, INTEGER),
        "lastObservedTime": Field(2, MICRO_TIME),
    },
)


SCHEMA = Struct(
    "io.k8s.api.core.v1.Event",
    {
        **TYPE_META,
        "metadata": Field(1, OBJECT_META),
        "involvedObject": Field(2, OBJECT_REFERENCE),
        "reason": Field(3, STRING),
        "message": Field(4, STRING),
        "source": Field(5, EVENT_SOURCE),
        "firstTimestamp": Field(6, TIME),
        "lastTimestamp": Field(7, TIME),
        "count": Field(8, INTEGER),
        "type": Field(9, STRING),
        "eventTime": Field(10, MICRO_TIME),
        "series": Field(11, EVENT_SERIES),
        "action": Field(12, STRING),
        "related": Field(13, OBJECT_REFERENCE),
        "reportingComponent": Field(14, STRING),
        "reportingInstance": Field(15, STRING),
    },
)


def _last_seen(event: Object, now: datetime) -> Cell:
    series = event.get("series") or {}
    return age(series.get("lastObservedTime") or event.get("lastTimestamp") or event.get("eventTime"), now)


def _first_seen(event: Object, now: datetime) -> Cell:
    return age(event.get("firstTimestamp") or event.get("eventTime"), now)


def _type(event: Object, _now: datetime) -> Cell:
    return str(event.get("type", ""))


def _reason(event: Object, _now: datetime) -> Cell:
    return str(event.get("reason", ""))


def _object(event: Object, _now: datetime) -> Cell:
    involved = event.get("involvedObject") or {}
    return f"{involved.get('kind', '').lower()}/{involved.get('name', '')}"


def _subobject(event: Object, _now: datetime) -> Cell:
    return str((event.get("involvedObject") or {}).get("fieldPath", ""))


def _source(event: Object, _now: datetime) -> Cell:
    source = event.get("source") or {}
    parts = [source.get("component") or event.get("reportingComponent", ""), source.get("host", "")]
    return ", ".join(part for part in parts if part)


def _message(event: Object, _now: datetime) -> Cell:
    return str(event.get("message", "")).strip()


def _count(event: Object, _now: datetime) -> Cell:
    return int((event.get("series") or {}).get("count") or event.get("count") or 1)


COLUMNS = (
    Column("Last Seen", _last_seen, description="When the event was last seen."),
    Column("Type", _type, description="Normal or Warning."),
    Column("Reason", _reason, description="Why, in one word."),
    Column("Object", _object, description="What it happened to."),
    Column("Subobject", _subobject, priority=1, description="The part of the object."),
    Column("Source", _source, priority=1, description="Who reports it."),
    Column("Message", _message, description="What happened."),
    Column("First Seen", _first_seen, priority=1, description="When the event was first seen."),
    Column("Count", _count, priority=1, description="How often it happened."),
    Column("Name", cells.name, priority=1, format="name", description="The name of the event."),
)


def _fields(event: Object) -> Mapping[str, str]:
    involved = event.get("involvedObject") or {}
    source = (event.get("source") or {}).get("component") or event.get("reportingComponent", "")
    return {
        **{f"involvedObject.{key}": involved.get(key, "") for key in _INVOLVED},
        "reason": event.get("reason", ""),
        "reportingComponent": event.get("reportingComponent", ""),
        "source": source,
        "type": event.get("type", ""),
    }


_INVOLVED = ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")


def _rules(change: Change) -> list[Problem]:
    involved = change.object.get("involvedObject") or {}
    namespace = change.object["metadata"].get("namespace")
    # Events about things without a namespace live in "default".
    if namespace in (involved.get("namespace"), None) or (not involved.get("namespace") and namespace == "default"):
        return []
    path: Path = ((None, "involvedObject"), "namespace")
    return [invalid(path, involved.get("namespace", ""), "does not match event.namespace")]


EVENT = Kind(
    kind="Event",
    group="",
    version="v1",
    plural="events",
    singular="event",
    short_names=("ev",),
    schema=SCHEMA,
    columns=COLUMNS,
    rules=_rules,
    fields=_fields,
)
