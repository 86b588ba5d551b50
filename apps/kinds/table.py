"""Lists as meta.k8s.io/v1 Tables: what kubectl prints. Called by the API and, through the columns, by the console."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Literal

from apps.kinds.kind import Kind, Object

Include = Literal["None", "Metadata", "Object"]


def to_table(kind: Kind, objects: Iterable[Object], now: datetime, include: str = "Metadata") -> dict[str, Any]:
    """Return a Table of `objects`; `include` says what of each object travels with its row."""
    columns = kind.columns
    cells = [column.cell for column in columns]
    rows = [_row(obj, [cell(obj, now) for cell in cells], include) for obj in objects]
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {"resourceVersion": ""},
        "columnDefinitions": definitions(kind),
        "rows": rows,
    }


def definitions(kind: Kind) -> list[dict[str, Any]]:
    """Return the column definitions of a kind's Table."""
    return [
        {
            "name": column.name,
            "type": column.type,
            "format": column.format,
            "description": column.description,
            "priority": column.priority,
        }
        for column in kind.columns
    ]


def _row(obj: Object, cells: list[Any], include: str) -> dict[str, Any]:
    row: dict[str, Any] = {"cells": cells}
    if include == "Object":
        row["object"] = obj
    elif include != "None":
        row["object"] = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": obj["metadata"]}
    return row
