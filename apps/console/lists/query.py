"""Which rows of a list are wanted and in which order: parsed from the filter field and the address. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from apps.console.lists.base import ListView, Row, sort_key
from nodeworker.wire.selectors import Selector, SelectorError, parse_label_selector


class FilterError(ValueError):
    """The filter cannot be read; the message says what would be right."""


@dataclass(frozen=True)
class Query:
    """A filter, an order and a place; equal queries are one query."""

    view: str
    namespace: str = ""
    filter: str = ""
    sort: str = ""
    descending: bool = False
    owner: str = ""
    labels: str = ""
    facts: tuple[tuple[str, str], ...] = ()
    namespaces: frozenset[str] | None = None  # None: all may be seen

    def rows(self, view: ListView, rows: Iterable[Row]) -> list[Row]:
        """The rows that match, in order."""
        wanted = parse_filter(self.filter)
        labels = parse_filter(f"-l {self.labels}").selector if self.labels else None
        found = [
            row
            for row in rows
            if self._may_show(row) and wanted.matches(row) and (labels is None or labels.matches(row.labels))
        ]
        position = view.column(self.sort or view.sort)
        column = view.columns[position]
        descending = self.descending if self.sort else view.descending
        found.sort(key=lambda row: (row.namespace, row.name))
        found.sort(key=lambda row: sort_key(column, row.cells[position]), reverse=descending)
        return found

    def _may_show(self, row: Row) -> bool:
        if self.namespaces is not None and row.namespace not in self.namespaces:
            return False
        if self.namespace and row.namespace != self.namespace:
            return False
        if self.owner and row.owner not in self.owner.split(","):
            return False
        return all(row.facts.get(name) == value for name, value in self.facts)


@dataclass(frozen=True)
class Filter:
    """Words that must occur, words that must not, and a label selector."""

    words: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    selector: Selector | None = None

    def matches(self, row: Row) -> bool:
        """Whether a row is wanted."""
        if any(word not in row.text for word in self.words) or any(word in row.text for word in self.without):
            return False
        return self.selector is None or self.selector.matches(row.labels)


def parse_filter(text: str) -> Filter:
    """Read `nginx !canary -l app=web,tier!=db`: words, words that must be absent, labels."""
    words: list[str] = []
    without: list[str] = []
    head, marker, labels = f" {text} ".partition(" -l ")
    for word in head.lower().split():
        if word.startswith("!"):
            if len(word) > 1:
                without.append(word[1:])
        else:
            words.append(word)
    selector = None
    if marker and labels.strip():
        try:
            selector = parse_label_selector(labels.strip())
        except SelectorError as exc:
            raise FilterError(str(exc)) from exc
    return Filter(tuple(words), tuple(without), selector)


def query_from(view: ListView, params: Mapping[str, Any], namespaces: frozenset[str] | None) -> Query:
    """The query of a page's address or of a subscription; unknown parameters are ignored."""
    facts = tuple(sorted((name[5:], str(value)) for name, value in params.items() if name.startswith("fact.")))
    return Query(
        view=view.name,
        namespace=str(params.get("namespace") or ""),
        filter=str(params.get("filter") or "")[:500],
        sort=str(params.get("sort") or "").lstrip("-"),
        descending=str(params.get("sort") or "").startswith("-"),
        owner=str(params.get("owner") or ""),
        labels=str(params.get("labels") or ""),
        facts=facts,
        namespaces=namespaces,
    )
