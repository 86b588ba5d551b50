"""One subscriber's window of a list: what was sent, and what has to be sent so that it is right again.

It compares states, it keeps no queue: a subscriber that was slow or away is told the present, whatever happened
meanwhile.
"""

from typing import Any

from apps.console.lists.query import Query
from apps.console.live.source import Source

LONGEST_WINDOW = 400


class TableWindow:
    """The rows from `start` on that one subscriber holds."""

    def __init__(self, query: Query, start: int, count: int) -> None:
        self.query = query
        self.move(start, count)
        self._sent: dict[str, int] = {}
        self._keys: list[str] | None = None
        self._total = -1
        self._sent_start = -1

    def move(self, start: int, count: int) -> None:
        """Hold other rows from now on."""
        self.start = max(0, start)
        self.count = max(1, min(count, LONGEST_WINDOW))

    def difference(self, source: Source) -> dict[str, Any] | None:
        """The message that brings the subscriber up to date; None when it is."""
        rows = source.answer(self.query)
        total = len(rows)
        # A window beyond the end, after a filter or a deletion, shows the last rows instead of nothing.
        start = min(self.start, max(0, total - 1) // 50 * 50) if self.start >= total else self.start
        window = rows[start : start + self.count]
        keys = [row.key for row in window]
        upsert = [row.message() for row in window if self._sent.get(row.key) != row.revision]
        remove = sorted(set(self._sent).difference(keys))
        same_order = keys == self._keys and start == self._sent_start
        if same_order and not upsert and not remove and total == self._total:
            return None
        self._sent = {row.key: row.revision for row in window}
        self._keys, self._total, self._sent_start = keys, total, start
        return {
            "type": "rows",
            "revision": source.revision,
            "start": start,
            "keys": None if same_order else keys,
            "upsert": upsert,
            "remove": remove,
            "total": total,
        }
