"""The rows of one list, kept up to date from the log for everybody in this process who looks at that list."""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from apps.console.lists.base import ListView, Row
from apps.console.lists.query import Query
from apps.store.errors import StoreError
from apps.store.log import log_reader
from apps.store.pool import in_thread
from apps.store.read import list_objects
from apps.store.rows import Change

logger = logging.getLogger(__name__)
CACHED_QUERIES = 64


class Source:
    """All rows of a list and the queries over them; equal queries are answered once per change."""

    def __init__(self, view: ListView) -> None:
        self.view = view
        self.rows: dict[str, Row] = {}
        self.revision = 0
        self._version = 0
        self._answers: dict[Query, tuple[int, list[Row]]] = {}
        self._watchers: set[asyncio.Event] = set()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Read everything once, then follow the log."""
        await self._load()
        self._task = asyncio.create_task(self._follow(), name=f"console-{self.view.name}")

    def stop(self) -> None:
        """Stop following."""
        if self._task:
            self._task.cancel()

    @contextmanager
    def watched(self) -> Iterator[asyncio.Event]:
        """An event that is set at every change, while the context lasts."""
        event = asyncio.Event()
        self._watchers.add(event)
        try:
            yield event
        finally:
            self._watchers.discard(event)

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

    async def _load(self) -> None:
        self.rows, self.revision = await in_thread(_read_rows, self.view)
        self._announce()

    async def _follow(self) -> None:
        while True:
            subscription = log_reader().subscribe(self.revision, frozenset({self.view.kind}))
            try:
                while True:
                    for change in await subscription.next_batch():
                        self._apply(change)
                    self.revision = max(self.revision, subscription.revision)
                    self._announce()
                    # Changes that come in a burst are told together.
                    await asyncio.sleep(0.12 if len(self.rows) > 2000 else 0.02)
            except StoreError as error:
                # Compacted, or the reader has ended: begin again with the present state.
                logger.info("the list of %s is read anew: %s", self.view.name, error)
                await asyncio.sleep(0.5)
                await self._load()
            finally:
                subscription.close()

    def _apply(self, change: Change) -> None:
        if change.verb == "DELETED":
            self.rows.pop(change.uid, None)
        else:
            self.rows[change.uid] = self.view.row(change.object, change.revision, datetime.now(UTC))

    def _announce(self) -> None:
        self._version += 1
        for event in self._watchers:
            event.set()


def _read_rows(view: ListView) -> tuple[dict[str, Row], int]:
    listing = list_objects(view.kind)
    now = datetime.now(UTC)
    rows = (view.row(stored.object, stored.revision, now) for stored in listing.items)
    return {row.key: row for row in rows}, listing.revision
