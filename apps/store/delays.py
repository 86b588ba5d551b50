"""Delayed looks: "look at this key again then", as rows, because a countdown in a broker is lost with it.

Controllers call `look_again` (or `plan`, inside a transaction of their own); the process that feeds the queues calls
`due` about once a second and whenever it likes. Being asked twice keeps the earlier time.
"""

from datetime import datetime

from apps.store import pool
from apps.store.rows import Origin, from_milliseconds, to_milliseconds
from apps.store.transaction import Transaction, commit

_PLAN = (
    "INSERT INTO store_delay (queue, key, due) VALUES (%s, %s, %s) ON CONFLICT (queue, key) DO UPDATE"
    " SET due = CASE WHEN excluded.due < store_delay.due THEN excluded.due ELSE store_delay.due END"
)
_ORIGIN = Origin("system:delays")


def look_again(queue: str, key: str, at: datetime) -> None:
    """Have `key` looked at again at `at`."""
    commit(lambda transaction: plan(transaction, queue, key, at), _ORIGIN)


def plan(transaction: Transaction, queue: str, key: str, at: datetime) -> None:
    """Like `look_again`, in the transaction of a work."""
    transaction.cursor.execute(_PLAN, [queue, key, to_milliseconds(at)])


def due(now: datetime) -> list[tuple[str, str]]:
    """Take the (queue, key) pairs whose time has come. A crash after this loses them to the next resync, no further."""
    if not _any_due(now):
        return []
    return commit(lambda transaction: _take(transaction, now), _ORIGIN)


def next_due() -> datetime | None:
    """When the next look is due."""
    with pool.pool().connection() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT MIN(due) FROM store_delay")
        first = cursor.fetchone()[0]
    return None if first is None else from_milliseconds(first)


def _any_due(now: datetime) -> bool:
    with pool.pool().connection() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM store_delay WHERE due <= %s LIMIT 1", [to_milliseconds(now)])
        return cursor.fetchone() is not None


def _take(transaction: Transaction, now: datetime) -> list[tuple[str, str]]:
    transaction.cursor.execute("DELETE FROM store_delay WHERE due <= %s RETURNING queue, key", [to_milliseconds(now)])
    return [(queue, key) for queue, key in transaction.cursor.fetchall()]
