"""Forgets old revisions, in small steps, so that the log keeps a set time and count.

Called by the controllers' process every half minute and by `manage.py compact`. Leases and Events are renewed all
the time: their old revisions go within a minute. `compacted` remembers how far the log is gone, so that a watch from
before is told 410 Gone instead of missing something.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from apps.store import pool
from apps.store.read import HOT
from apps.store.rows import Origin, to_milliseconds
from apps.store.transaction import Transaction, commit

STEP = 1000
_ORIGIN = Origin("system:compaction")
_REMEMBER = (
    "INSERT INTO store_counter (name, value) VALUES (%s, %s) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
)


@dataclass(frozen=True, slots=True)
class Keep:
    """What is kept: everything younger than `age`, but never more than `most` nor fewer than `least` revisions."""

    age: timedelta = timedelta(hours=24)
    most: int = 200_000
    least: int = 1_000
    hot_age: timedelta = timedelta(seconds=50)


def compact(keep: Keep | None = None, now: datetime | None = None) -> int:
    """Forget what need not be kept; return how many revisions went."""
    keep, now = keep or Keep(), now or datetime.now(UTC)
    newest = _newest()
    through = max(_newest_before(now - keep.age), newest - keep.most)
    removed = _advance("compacted", min(through, newest - keep.least), None)
    removed += _advance("compacted-hot", _newest_before(now - keep.hot_age), HOT)
    _drop_counters()
    return removed


def _advance(mark: str, through: int, kinds: frozenset[str] | None) -> int:
    """Move a mark to `through` in steps that are commits of their own, so that writers get their turn."""
    removed = 0
    position = _mark(mark)
    while position < through:
        upto = min(position + STEP, through)
        removed += commit(lambda transaction, a=position, b=upto: _step(transaction, mark, a, b, kinds), _ORIGIN)  # type: ignore[misc]
        position = upto
    return removed


# Counters of owners that are gone and have no children left; uids do not come back, so nobody asks for them again.
_LEFT_OVER = (
    " FROM store_counter WHERE name LIKE 'children/%%'"
    " AND NOT EXISTS (SELECT 1 FROM store_object o WHERE o.uid = substr(store_counter.name, 10))"
    " AND NOT EXISTS (SELECT 1 FROM store_owner w WHERE w.owner_uid = substr(store_counter.name, 10))"
)


def _drop_counters() -> None:
    with pool.pool().connection() as connection, connection.cursor() as cursor:
        cursor.execute(f"SELECT 1{_LEFT_OVER} LIMIT 1", [])
        any_left = cursor.fetchone() is not None
    if any_left:
        commit(lambda transaction: transaction.cursor.execute(f"DELETE{_LEFT_OVER}", []), _ORIGIN)


def _step(transaction: Transaction, mark: str, after: int, upto: int, kinds: frozenset[str] | None) -> int:
    condition, parameters = "", list[Any]()
    if kinds is not None:
        condition, parameters = f" AND kind IN ({', '.join(['%s'] * len(kinds))})", sorted(kinds)
    cursor = transaction.cursor
    cursor.execute(
        f"DELETE FROM store_revision WHERE number > %s AND number <= %s{condition}", [after, upto, *parameters]
    )
    removed = cursor.rowcount
    cursor.execute(_REMEMBER, [mark, upto])
    return int(removed)


def _newest_before(moment: datetime) -> int:
    """The newest revision made before `moment`, by halving: numbers and times rise together; times have no index."""
    wanted = to_milliseconds(moment)
    low, high = _mark("compacted"), _newest()
    with pool.pool().connection() as connection, connection.cursor() as cursor:
        while low < high:
            middle = (low + high + 1) // 2
            cursor.execute("SELECT time FROM store_revision WHERE number >= %s ORDER BY number LIMIT 1", [middle])
            row = cursor.fetchone()
            if row is not None and row[0] < wanted:
                low = middle
            else:
                high = middle - 1
    return low


def _newest() -> int:
    return _mark("revision")


def _mark(name: str) -> int:
    with pool.pool().connection() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT value FROM store_counter WHERE name = %s", [name])
        row = cursor.fetchone()
    return int(row[0]) if row else 0
