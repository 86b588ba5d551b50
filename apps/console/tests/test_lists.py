"""Lists: what a filter finds, how columns sort, and what a subscriber's window is told."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.console.lists.base import Row
from apps.console.lists.query import FilterError, Query, parse_filter, query_from
from apps.console.lists.workloads import PODS
from apps.console.live.source import Source
from apps.console.live.table import TableWindow

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def pod(name: str, namespace: str = "shop", **labels: str) -> dict[str, Any]:
    return {
        "metadata": {"uid": f"{namespace}/{name}", "name": name, "namespace": namespace, "labels": labels},
        "spec": {"nodeName": "n1", "containers": [{"name": "main", "image": "nginx"}]},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
    }


def rows(*pods: dict[str, Any], revision: int = 1) -> list[Row]:
    return [PODS.row(one, revision, NOW) for one in pods]


def found(text: str, *pods: dict[str, Any]) -> list[str]:
    query = query_from(PODS, {"filter": text}, None)
    return [row.name for row in query.rows(PODS, rows(*pods))]


WEB, DATABASE = pod("web-1", app="web"), pod("db-1", app="db")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", ["db-1", "web-1"]),
        ("web", ["web-1"]),
        ("WEB", ["web-1"]),
        ("!web", ["db-1"]),
        ("running", ["db-1", "web-1"]),
        ("-l app=web", ["web-1"]),
        ("db -l app!=web", ["db-1"]),
        ("app=db", ["db-1"]),
        ("nothing", []),
    ],
)
def test_a_filter_finds(text: str, names: list[str]) -> None:
    assert found(text, WEB, DATABASE) == names


def test_a_filter_that_cannot_be_read_says_so() -> None:
    with pytest.raises(FilterError):
        parse_filter("-l app in (")


def test_names_sort_as_people_count() -> None:
    assert found("", pod("web-10"), pod("web-9"), pod("web-2")) == ["web-2", "web-9", "web-10"]


def test_a_minus_before_the_column_turns_the_order_round() -> None:
    query = query_from(PODS, {"sort": "-name"}, None)
    assert [row.name for row in query.rows(PODS, rows(WEB, DATABASE))] == ["web-1", "db-1"]


def test_rows_of_namespaces_that_may_not_be_seen_are_left_out() -> None:
    query = query_from(PODS, {}, frozenset({"shop"}))
    assert [row.name for row in query.rows(PODS, rows(WEB, pod("hidden", "secret")))] == ["web-1"]


def test_an_unknown_sort_column_is_the_default_one() -> None:
    query = query_from(PODS, {"sort": "nonsense"}, None)
    assert [row.name for row in query.rows(PODS, rows(WEB, DATABASE))] == ["db-1", "web-1"]


class Browser:
    """What a tab does with the messages that it is sent."""

    def __init__(self) -> None:
        self.rows: dict[str, Any] = {}
        self.order: list[str] = []
        self.total = 0

    def take(self, message: dict[str, Any] | None) -> None:
        if message is None:
            return
        for key in message["remove"]:
            self.rows.pop(key)
        self.rows.update({row["k"]: row["c"] for row in message["upsert"]})
        self.order = self.order if message["keys"] is None else message["keys"]
        self.total = message["total"]

    def shown(self) -> list[Any]:
        return [self.rows[key] for key in self.order]


def source_of(world: Sequence[Row]) -> Source:
    source = Source(PODS)
    source.rows = {row.key: row for row in world}
    source._announce()
    return source


def test_a_window_without_change_is_told_nothing() -> None:
    source = source_of(rows(WEB, DATABASE))
    window = TableWindow(Query("pods"), 0, 50)
    assert window.difference(source) is not None
    assert window.difference(source) is None


def test_a_row_that_left_is_removed_and_a_new_one_is_sent_alone() -> None:
    source = source_of(rows(WEB, DATABASE))
    window = TableWindow(Query("pods"), 0, 50)
    window.difference(source)
    source.rows = {row.key: row for row in rows(DATABASE, pod("new-1"))}
    source._announce()
    message = window.difference(source)
    assert message is not None
    assert message["remove"] == ["shop/web-1"]
    assert [row["k"] for row in message["upsert"]] == ["shop/new-1"]


WORLDS = st.lists(st.dictionaries(st.integers(0, 30), st.integers(1, 5), max_size=20), min_size=1, max_size=8)


@given(WORLDS, st.integers(0, 25), st.integers(1, 10))
def test_whatever_happens_in_between_a_tab_shows_exactly_its_window(
    worlds: list[dict[int, int]], start: int, count: int
) -> None:
    source, tab, window = source_of([]), Browser(), TableWindow(Query("pods"), start, count)
    for world in worlds:
        source.rows = {row.key: row for n, rev in world.items() for row in rows(pod(f"p-{n}"), revision=rev)}
        source._announce()
        tab.take(window.difference(source))
        everything = source.answer(Query("pods"))
        first = start if start < len(everything) else max(0, len(everything) - 1) // 50 * 50
        assert tab.shown() == [row.cells for row in everything[first : first + count]]
        assert tab.total == len(everything)
