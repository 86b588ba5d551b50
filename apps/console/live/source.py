"""The rows of one list, kept up to date from the log for everybody in this process who looks at that list."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

from apps.console.lists.base import ListView, Row
from apps.console.lists.query import Query
from apps.console.live.feed import Feed
from apps.store.pool import in_thread
from apps.store.read import list_objects
from apps.store.rows import Change

CACHED_QUERIES = 64
LONG_LIST = 2000
PAUSE = 0.02
PAUSE_OF_LONG_LISTS = 0.12


class Source(Feed):
    """All rows of a list and the queries over them; equal queries are answered once per change."""

    def __init__(self, view: ListView) -> None:
        super().__init__(view.name, frozenset({view.kind}))
        self.view = view
        self.rows: dict[str, Row] = {}
        self._version = 0
        self._answers: dict[Query, tuple[int, list[Row]]] = {}

    def answer(self, query: Query) -> list[Row]:
        """The rows of a query, in order."""
        known = self._answers.get(query)
        if known and known[0] == self._version:
            return known[1]
        rows = query.rows(self.view, self.rows.values())
        if len(self._answers) >= CACHED_QUERIES:
            self._answers.pop(next(iter(self._answers)))
        self._answers[query] = (self._version, rows)
        return rows

    async def _read(self) -> None:
        self.rows, self.revision = await in_thread(_read_rows, self.view)
        self._announce()

    async def _take(self, changes: Sequence[Change], revision: int) -> None:
        for change in changes:
            self._apply(change)
        self.revision = max(self.revision, revision)
        self._announce()
        # Changes that come in a burst are told together.
        await asyncio.sleep(PAUSE_OF_LONG_LISTS if len(self.rows) > LONG_LIST else PAUSE)

    def _apply(self, change: Change) -> None:
        if change.verb == "DELETED":
            self.rows.pop(change.uid, None)
        else:
            self.rows[change.uid] = self.view.row(change.object, change.revision, datetime.now(UTC))

    def _announce(self) -> None:
        self._version += 1
        self._wake()


def _read_rows(view: ListView) -> tuple[dict[str, Row], int]:
    listing = list_objects(view.kind)
    now = datetime.now(UTC)
    rows = (view.row(stored.object, stored.revision, now) for stored in listing.items)
    return {row.key: row for row in rows}, listing.revision
