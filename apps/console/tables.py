"""A list as a template needs it: the first rows with their columns, and what the live table goes on with."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.utils.translation import gettext as _

from apps.console.lists.base import Column, ListView, Row
from apps.console.lists.query import FilterError, Query, query_from
from apps.console.lists.registry import LISTS
from apps.console.live.hub import source
from apps.console.viewer import Viewer

FIRST_ROWS = 50


@dataclass(frozen=True)
class Table:
    """The first rows of a list and its place in a page."""

    view: ListView
    query: Query
    rows: list[Row]
    total: int
    revision: int
    params: Mapping[str, str]
    sort: str = ""
    main: bool = False
    problem: str = ""
    key: str = ""
    csv: str = ""
    hidden: frozenset[str] = field(default_factory=frozenset)

    @property
    def columns(self) -> list[tuple[int, Column]]:
        """The columns that are shown, with their place in a row's cells."""
        return [(position, column) for position, column in enumerate(self.view.columns) if not self._is_hidden(column)]

    def _is_hidden(self, column: Column) -> bool:
        return (
            column.hidden or column.name in self.hidden or (column.name == "namespace" and bool(self.query.namespace))
        )

    @property
    def initial(self) -> dict[str, Any]:
        """What the browser goes on with."""
        columns = [{**column.description(False), "hidden": self._is_hidden(column)} for column in self.view.columns]
        return {
            "columns": columns,
            "rows": [row.message() for row in self.rows],
            "total": self.total,
            "revision": self.revision,
            "sort": self.sort,
            "filter": self.query.filter,
            "params": dict(self.params),
        }


async def load_table(
    viewer: Viewer,
    name: str,
    params: Mapping[str, str],
    *,
    main: bool = False,
    csv: str = "",
    hidden: frozenset[str] = frozenset(),
    limit: int | None = FIRST_ROWS,
) -> Table:
    """Read the first rows of a list for someone; `params` are those of the address or of a part of a page."""
    view = LISTS[name]
    fixed = {key: value for key, value in params.items() if value and key not in ("filter", "sort")}
    async with source(name) as rows, source("namespaces") as namespaces:
        names = (row.name for row in namespaces.rows.values())
        visible = viewer.visible_namespaces(view.resource, names) if view.namespaced else None
        query = query_from(view, params, visible)
        problem = ""
        try:
            found = rows.answer(query)
        except FilterError as error:
            found, problem = [], _("The filter cannot be read: %s") % error
        revision = rows.revision
    return Table(
        view=view,
        query=query,
        rows=found[:limit],
        total=len(found),
        revision=revision,
        params=fixed,
        sort=str(params.get("sort") or ""),
        main=main,
        problem=problem,
        key=f"table-{name}",
        csv=csv,
        hidden=hidden,
    )
