"""Reading: objects by name, lists by selectors, children of an owner, pods of a node, history; each from one
snapshot.

Called from any thread, and with the `_async` twins from event loops. Pages of one listing are each a snapshot of
their own and carry the revision of the first: a watch from there tells everything that changed between the pages.
"""

from dataclasses import dataclass, field
from typing import Any

from apps.kinds.status import Gone
from apps.store import pool, query
from apps.store.errors import Compacted
from apps.store.rows import CHANGE_COLUMNS, OBJECT_COLUMNS, Change, Stored, change_from_row, stored_from_row
from nodeworker.wire.selectors import FieldSelector, Selector, parse_field_selector, parse_label_selector

HOT = frozenset({"Lease", "Event"})  # their old revisions are compacted within a minute
_GET = f"SELECT {OBJECT_COLUMNS} FROM store_object o WHERE o.kind = %s AND o.namespace = %s AND o.name = %s"
_GET_UID = f"SELECT {OBJECT_COLUMNS} FROM store_object o WHERE o.uid = %s"


@dataclass(frozen=True, slots=True)
class Listing:
    """A page of objects and the revision at which they were read."""

    items: list[Stored] = field(default_factory=list)
    revision: int = 0
    continue_token: str = ""
    remaining: int | None = None


def get(kind: str, namespace: str, name: str) -> Stored | None:
    """The object as it is now, or None."""
    with pool.pool().connection() as connection, connection.cursor() as cursor:
        cursor.execute(_GET, [kind, namespace, name])
        row = cursor.fetchone()
    return stored_from_row(row) if row else None


def by_uid(uid: str) -> Stored | None:
    """The object with this uid, or None."""
    with pool.pool().connection() as connection, connection.cursor() as cursor:
        cursor.execute(_GET_UID, [uid])
        row = cursor.fetchone()
    return stored_from_row(row) if row else None


def list_objects(
    kind: str,
    namespace: str | None = None,
    *,
    labels: Selector | str | None = None,
    fields: FieldSelector | str | None = None,
    limit: int | None = None,
    continue_token: str | None = None,
) -> Listing:
    """List by namespace and name. `limit` makes pages; `remaining` counts what is left after this one."""
    label_selector = parse_label_selector(labels) if isinstance(labels, str) else labels
    field_selector = parse_field_selector(fields) if isinstance(fields, str) else fields
    where, parameters = query.conditions(kind, namespace, label_selector, field_selector)
    token = query.read_token(continue_token) if continue_token else None
    with pool.snapshot() as cursor:
        revision = _counter(cursor, "revision")
        if token and token[0] < _counter(cursor, "compacted"):
            raise Gone("The provided continue parameter is too old; list again from the start")
        rows, remaining = _page(cursor, where, parameters, token, limit)
    items = [stored_from_row(row) for row in rows]
    first = token[0] if token else revision
    following = query.write_token(first, items[-1].namespace, items[-1].name) if remaining else ""
    if query.needs_match(label_selector) and label_selector is not None:
        items = [item for item in items if label_selector.matches(item.object["metadata"].get("labels"))]
    return Listing(items, first, following, remaining or None)


def _page(
    cursor: Any, where: str, parameters: list[Any], token: tuple[int, str, str] | None, limit: int | None
) -> tuple[list[Any], int]:
    """Return the rows of a page and how many follow it."""
    if token:
        where += " AND (o.namespace, o.name) > (%s, %s)"
        parameters = [*parameters, token[1], token[2]]
    statement = f"SELECT {OBJECT_COLUMNS} FROM store_object o WHERE {where} ORDER BY o.namespace, o.name"
    if not limit:
        cursor.execute(statement, parameters)
        return cursor.fetchall(), 0
    cursor.execute(f"{statement} LIMIT %s", [*parameters, limit + 1])
    rows = cursor.fetchall()
    if len(rows) <= limit:
        return rows, 0
    cursor.execute(f"SELECT COUNT(*) FROM store_object o WHERE {where}", parameters)
    return rows[:limit], cursor.fetchone()[0] - limit


def children(owner_uid: str, kind: str) -> tuple[list[Stored], int]:
    """The objects that name `owner_uid` as their controller, and the counter for `check_children`."""
    with pool.snapshot() as cursor:
        cursor.execute(
            f"SELECT {OBJECT_COLUMNS} FROM store_object o JOIN store_owner w ON w.object_id = o.id"
            " WHERE w.owner_uid = %s AND w.kind = %s AND w.controller = %s ORDER BY o.name",
            [owner_uid, kind, True],
        )
        return [stored_from_row(row) for row in cursor.fetchall()], _counter(cursor, f"children/{owner_uid}")


def bound(node_name: str) -> tuple[list[Stored], int]:
    """The pods bound to a node, and the counter for `check_bound`."""
    where, parameters = query.conditions("Pod", None, None, parse_field_selector(f"spec.nodeName={node_name}"))
    with pool.snapshot() as cursor:
        cursor.execute(f"SELECT {OBJECT_COLUMNS} FROM store_object o WHERE {where} ORDER BY o.id", parameters)
        return [stored_from_row(row) for row in cursor.fetchall()], _counter(cursor, f"bound/{node_name}")


def current_revision() -> int:
    """The newest revision of the cluster."""
    with pool.pool().connection() as connection, connection.cursor() as cursor:
        return _counter(cursor, "revision")


def compacted_revision() -> int:
    """The newest revision that is compacted away; a watch may start from here, not earlier."""
    with pool.pool().connection() as connection, connection.cursor() as cursor:
        return _counter(cursor, "compacted")


def history(kind: str, namespace: str, name: str) -> list[Change]:
    """The kept changes of everything that had this name, oldest first."""
    with pool.pool().connection() as connection, connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {CHANGE_COLUMNS} FROM store_revision WHERE kind = %s AND namespace = %s AND name = %s"
            " ORDER BY number",
            [kind, namespace, name],
        )
        return [change_from_row(row) for row in cursor.fetchall()]


def changes_after(position: int, kinds: frozenset[str] | None, limit: int) -> tuple[list[Change], int]:
    """Read the log after `position`: at most `limit` changes, and the revision through which nothing was left out.

    Raises Compacted when changes after `position` are gone. Leases and Events are gone within a minute; only who asks
    for them by name is told.
    """
    with pool.snapshot() as cursor:
        newest = _counter(cursor, "revision")
        oldest = _counter(cursor, "compacted")
        if kinds is not None and kinds & HOT:
            oldest = max(oldest, _counter(cursor, "compacted-hot"))
        if position < oldest:
            raise Compacted(position, oldest)
        condition, parameters = _kinds(kinds)
        cursor.execute(
            f"SELECT {CHANGE_COLUMNS} FROM store_revision WHERE number > %s{condition} ORDER BY number LIMIT %s",
            [position, *parameters, limit],
        )
        changes = [change_from_row(row) for row in cursor.fetchall()]
    return changes, changes[-1].revision if len(changes) == limit else max(newest, position)


def _kinds(kinds: frozenset[str] | None) -> tuple[str, list[str]]:
    if kinds is None:
        return "", []
    return f" AND kind IN ({', '.join(['%s'] * len(kinds))})" if kinds else " AND 1 = 0", sorted(kinds)


def _counter(cursor: Any, name: str) -> int:
    cursor.execute("SELECT value FROM store_counter WHERE name = %s", [name])
    row = cursor.fetchone()
    return int(row[0]) if row else 0


async def get_async(kind: str, namespace: str, name: str) -> Stored | None:
    return await pool.in_thread(get, kind, namespace, name)


async def by_uid_async(uid: str) -> Stored | None:
    return await pool.in_thread(by_uid, uid)


async def list_objects_async(kind: str, namespace: str | None = None, **options: Any) -> Listing:
    return await pool.in_thread(list_objects, kind, namespace, **options)


async def children_async(owner_uid: str, kind: str) -> tuple[list[Stored], int]:
    return await pool.in_thread(children, owner_uid, kind)


async def bound_async(node_name: str) -> tuple[list[Stored], int]:
    return await pool.in_thread(bound, node_name)


async def current_revision_async() -> int:
    return await pool.in_thread(current_revision)


async def history_async(kind: str, namespace: str, name: str) -> list[Change]:
    return await pool.in_thread(history, kind, namespace, name)
