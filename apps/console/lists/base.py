"""What a list is: columns with a cell function, and rows made from objects. For pages, live tables and CSV."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from django.utils.functional import Promise

Object = Mapping[str, Any]
CellType = Literal["name", "state", "text", "mono", "number", "age", "ready", "link", "bar"]
# name: text, linked to the row's page. state: [look, word, note?]. age: RFC 3339. ready: [ready, total].
# link: [text, address]. bar: [fraction, text]. All others: a string or a number.
Cell = str | int | float | None | list[Any]
Words = str | Promise


@dataclass(frozen=True)
class Column:
    """One column: priority 1 is always shown, 3 only on wide screens."""

    name: str
    title: Words
    type: CellType
    cell: Callable[[Object, datetime], Cell]
    priority: int = 1
    hidden: bool = False

    def description(self, hide_namespace: bool) -> dict[str, Any]:
        """The column as the browser needs it."""
        hidden = self.hidden or (hide_namespace and self.name == "namespace")
        return {
            "name": self.name,
            "title": str(self.title),
            "type": self.type,
            "priority": self.priority,
            "hidden": hidden,
        }


@dataclass(frozen=True)
class Row:
    """One object in a list: what is shown, and what it is filtered and sorted by."""

    key: str
    namespace: str
    name: str
    href: str
    labels: Mapping[str, str]
    cells: tuple[Cell, ...]
    text: str
    revision: int
    owner: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)

    def message(self) -> dict[str, Any]:
        """The row as it goes over the socket."""
        return {"k": self.key, "h": self.href, "c": self.cells}


@dataclass(frozen=True)
class ListView:
    """A list of one kind: the one description from which page, live rows and CSV come."""

    name: str
    kind: str
    resource: str
    title: Words
    columns: tuple[Column, ...]
    href: Callable[[Object], str]
    namespaced: bool = True
    icon: str = "box"
    sort: str = "name"
    descending: bool = False
    facts: Callable[[Object], Mapping[str, str]] = lambda _object: {}
    empty: Words = ""

    def row(self, object_: Object, revision: int, now: datetime) -> Row:
        """The row of one object."""
        metadata = object_["metadata"]
        cells = tuple(column.cell(object_, now) for column in self.columns)
        labels = metadata.get("labels") or {}
        words = [
            cell_text(column, cell) for column, cell in zip(self.columns, cells, strict=True) if column.type != "age"
        ]
        owner = next((o["uid"] for o in metadata.get("ownerReferences") or () if o.get("controller")), "")
        return Row(
            key=metadata["uid"],
            namespace=metadata.get("namespace", ""),
            name=metadata["name"],
            href=self.href(object_),
            labels=labels,
            cells=cells,
            text=" ".join([*words, *(f"{k}={v}" for k, v in labels.items())]).lower(),
            revision=revision,
            owner=owner,
            facts=self.facts(object_),
        )

    def column(self, name: str) -> int:
        """The position of a column; the default sort when there is none of that name."""
        for position, column in enumerate(self.columns):
            if column.name == name:
                return position
        return self.column(self.sort) if name != self.sort else 0


def cell_text(column: Column, cell: Cell) -> str:
    """A cell as plain text, for the filter and for CSV."""
    if cell is None:
        return ""
    if isinstance(cell, list):
        if column.type == "ready":
            return f"{cell[0]}/{cell[1]}"
        if column.type == "state":
            return str(cell[1])
        return str(cell[1] if column.type == "bar" else cell[0])
    return str(cell)


def sort_key(column: Column, cell: Cell) -> tuple[int, Any]:
    """What a cell sorts by; empty cells come last, numbers sort as numbers and names naturally (web-2, web-10)."""
    if cell is None or cell == "":
        return (1, ())
    if isinstance(cell, list):
        if column.type == "ready":
            return (0, (cell[0], cell[1]))
        if column.type == "bar":
            return (0, (cell[0],))
        return (0, _natural(str(cell[1 if column.type == "state" else 0])))
    if isinstance(cell, str):
        return (0, _natural(cell))
    return (0, (cell,))


def _natural(text: str) -> tuple[tuple[int, Any], ...]:
    parts: list[tuple[int, Any]] = []
    digits = ""
    word = ""
    for character in text.lower():
        if character.isascii() and character.isdigit():
            if word:
                parts.append((1, word))
                word = ""
            digits += character
        else:
            if digits:
                parts.append((0, int(digits)))
                digits = ""
            word += character
    if digits:
        parts.append((0, int(digits)))
    if word:
        parts.append((1, word))
    return tuple(parts)


def name_of(object_: Object, _now: datetime) -> str:
    """Cell: the object's name."""
    return str(object_["metadata"]["name"])


def namespace_of(object_: Object, _now: datetime) -> str:
    """Cell: the object's namespace."""
    return str(object_["metadata"].get("namespace", ""))


def created_of(object_: Object, _now: datetime) -> str:
    """Cell: when the object was created."""
    return str(object_["metadata"].get("creationTimestamp") or "")
