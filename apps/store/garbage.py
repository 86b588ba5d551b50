"""Garbage collection: children of owners that are gone, foreground deletion, namespaces on their way out.

The controllers' process asks `keys(change)` which keys a change makes worth a look, and calls `collect(key)` for
each in a task; `sweep()` finds everything by index, for the resync. Deciding is pure (`decide_child`); applying is
one commit a child.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from apps.kinds.registry import KINDS
from apps.kinds.status import Conflict, NotFound
from apps.store import deletion, pool, read
from apps.store.rows import OBJECT_COLUMNS, Change, Json, Origin, Stored, stored_from_row
from apps.store.transaction import Transaction, commit

ORIGIN = "system:controller:garbage-collector"
BATCH = 200
Verdict = Literal["keep", "release", "delete"]


def keys(change: Change) -> list[str]:
    """Name what a change makes worth a look: `owner/<uid>`, `namespace/<name>`."""
    if change.verb == "DELETED":
        owners = [f"owner/{uid}" for uid in _owner_uids(change.object)]
        return [f"owner/{change.uid}", *owners, *([f"namespace/{change.namespace}"] if change.namespace else [])]
    if change.verb == "ADDED":
        # A child may be born after its owner went.
        return [f"owner/{uid}" for uid in _owner_uids(change.object)] if _may_have(change, b"ownerReferences") else []
    if not _may_have(change, b"deletionTimestamp"):
        return []
    return [f"namespace/{change.name}"] if change.kind == "Namespace" else [f"owner/{change.uid}"]


def _may_have(change: Change, word: bytes) -> bool:
    return word in change.body


def _owner_uids(object: Json) -> list[str]:
    return [reference["uid"] for reference in object["metadata"].get("ownerReferences") or ()]


def decide_child(owners: Sequence[str], living: frozenset[str], going: frozenset[str]) -> Verdict:
    """Decide about a child by its owners: it goes with the last of them, and lets go of those that are gone.

    `going` are owners in foreground deletion: they count as gone for their children, but wait for them.
    """
    staying = [uid for uid in owners if uid in living and uid not in going]
    if not owners or len(staying) == len(owners):
        return "keep"
    if staying:
        return "release" if any(uid not in living for uid in owners) else "keep"
    return "delete"


def collect(key: str, cause: int | None = None) -> bool:
    """Look at one key; return whether something was done."""
    what, _, name = key.partition("/")
    origin = Origin(ORIGIN, cause)
    match what:
        case "owner":
            return _collect_owner(name, origin)
        case "namespace":
            return _collect_namespace(name, origin)
    raise ValueError(f"{key!r} is no key of the garbage collector: owner/<uid> or namespace/<name>")


def sweep() -> list[str]:
    """Find every key that may have work: owners gone or going that still have children, terminating namespaces."""
    with pool.snapshot() as cursor:
        cursor.execute(
            "SELECT DISTINCT w.owner_uid FROM store_owner w WHERE NOT EXISTS"
            " (SELECT 1 FROM store_object o WHERE o.uid = w.owner_uid AND o.deletion_time IS NULL)"
        )
        gone = {row[0] for row in cursor.fetchall()}
        cursor.execute("SELECT uid, kind, name FROM store_object WHERE deletion_time IS NOT NULL")
        going = cursor.fetchall()
    namespaces = [f"namespace/{name}" for _, kind, name in going if kind == "Namespace"]
    return sorted(f"owner/{uid}" for uid in gone | {row[0] for row in going if row[1] != "Namespace"}) + namespaces


# Owners


def _collect_owner(uid: str, origin: Origin) -> bool:
    owner = read.by_uid(uid)
    if owner is not None and not _is_foreground(owner):
        return False
    done = False
    for child in _children(uid):
        done |= commit(lambda transaction, row=child: _apply_to_child(transaction, row), origin)  # type: ignore[misc]
    if owner is not None:
        done |= commit(lambda transaction: _finish_foreground(transaction, uid), origin)
    return done


def _is_foreground(stored: Stored) -> bool:
    if stored.deletion_milliseconds is None:
        return False
    return deletion.FOREGROUND in (stored.object["metadata"].get("finalizers") or ())


def _children(uid: str) -> list[Stored]:
    with pool.pool().connection() as connection, connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {OBJECT_COLUMNS} FROM store_object o JOIN store_owner w ON w.object_id = o.id"
            " WHERE w.owner_uid = %s ORDER BY o.id",
            [uid],
        )
        return [stored_from_row(row) for row in cursor.fetchall()]


def _apply_to_child(transaction: Transaction, seen: Stored) -> bool:
    child = transaction.by_uid(seen.uid)
    if child is None:
        return False
    owners = _owner_uids(child.object)
    found = {uid: transaction.by_uid(uid) for uid in owners}
    living = frozenset(uid for uid, owner in found.items() if owner is not None)
    going = frozenset(uid for uid, owner in found.items() if owner is not None and _is_foreground(owner))
    match decide_child(owners, living, going):
        case "release":
            transaction.release_child(child, set(owners) - living)
            return True
        case "delete" if child.deletion_milliseconds is None:
            # Foreground goes down the whole tree: a child with children of its own waits for them too.
            how: deletion.Propagation = "Foreground" if going else "Background"
            transaction.delete(child.kind, child.namespace, child.name, uid=child.uid, propagation=how)
            return True
    return False


def _finish_foreground(transaction: Transaction, uid: str) -> bool:
    """Let an owner in foreground deletion go when no child that blocks it is left."""
    owner = transaction.by_uid(uid)
    if owner is None:
        return False
    transaction.cursor.execute("SELECT 1 FROM store_owner WHERE owner_uid = %s AND blocking = %s LIMIT 1", [uid, True])
    if transaction.cursor.fetchone() is not None:
        return False
    transaction.modify(owner.kind, owner.namespace, owner.name, _without_finalizer(deletion.FOREGROUND))
    return True


def _without_finalizer(finalizer: str) -> Any:
    def change(object: Json) -> Json:
        metadata = object["metadata"]
        kept = [held for held in metadata.get("finalizers") or () if held != finalizer]
        metadata.pop("finalizers", None)
        if kept:
            metadata["finalizers"] = kept
        return object

    return change


# Namespaces


@dataclass(frozen=True, slots=True)
class _Content:
    """An object in a namespace that is going."""

    kind: str
    name: str
    uid: str


def _collect_namespace(name: str, origin: Origin) -> bool:
    """Empty a terminating namespace, and let it go once it is empty."""
    namespace = read.get("Namespace", "", name)
    if namespace is None or namespace.deletion_milliseconds is None:
        return False
    done = False
    while content := _content(name):
        done = True
        commit(lambda transaction, some=content: _delete_all(transaction, name, some), origin)  # type: ignore[misc]
    if not _is_empty(name):
        return done
    try:
        commit(
            lambda transaction: transaction.modify("Namespace", "", name, _finalized, subresource="finalize"), origin
        )
    except NotFound:
        return done
    return True


def _content(namespace: str) -> list[_Content]:
    """What is in the namespace and has not been told to go yet."""
    kinds = [kind.kind for kind in KINDS if kind.namespaced]
    places = ", ".join(["%s"] * len(kinds))
    with pool.pool().connection() as connection, connection.cursor() as cursor:
        cursor.execute(
            f"SELECT kind, name, uid FROM store_object WHERE kind IN ({places}) AND namespace = %s"
            " AND deletion_time IS NULL LIMIT %s",
            [*kinds, namespace, BATCH],
        )
        return [_Content(*row) for row in cursor.fetchall()]


def _is_empty(namespace: str) -> bool:
    kinds = [kind.kind for kind in KINDS if kind.namespaced]
    places = ", ".join(["%s"] * len(kinds))
    with pool.pool().connection() as connection, connection.cursor() as cursor:
        cursor.execute(
            f"SELECT 1 FROM store_object WHERE kind IN ({places}) AND namespace = %s LIMIT 1", [*kinds, namespace]
        )
        return cursor.fetchone() is None


def _delete_all(transaction: Transaction, namespace: str, content: Sequence[_Content]) -> None:
    for one in content:
        try:
            transaction.delete(one.kind, namespace, one.name, uid=one.uid)
        except (NotFound, Conflict):
            continue  # gone, or another of that name: the next look sees it


def _finalized(namespace: Json) -> Json:
    namespace.setdefault("spec", {})["finalizers"] = []
    return namespace
