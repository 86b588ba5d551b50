"""Every write of an object: `commit(work, origin)` and the verbs of the `Transaction` that the work gets.

Called by the API, the controllers' `apply()`, the verbs of workloads, the console's actions. A verb checks the
version it was based on, takes the next revision, stores the object, appends to the log and keeps labels, owners,
counters and projections in step, all in the transaction of `writer`. Admission (defaults, validation) is
`apps.kinds.admission`.
"""

import asyncio
import random
import uuid
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from datetime import UTC, datetime
from typing import Any, TypeVar

from django.db.backends.base.base import BaseDatabaseWrapper

from apps.kinds import admission, registry
from apps.kinds.status import AlreadyExists, BadRequest, Conflict, Forbidden, NotFound
from apps.store import codecs, deletion, hooks, projections, writer
from apps.store.deletion import Propagation
from apps.store.rows import (
    OBJECT_COLUMNS,
    Json,
    Origin,
    Stored,
    Verb,
    encode_json,
    stored_from_row,
    to_milliseconds,
    write_map,
)

T = TypeVar("T")
Work = Callable[["Transaction"], T]
_SUFFIX = "bcdfghjklmnpqrstvwxz2456789"  # Kubernetes' alphabet: no vowels, no words

_SELECT = f"SELECT {OBJECT_COLUMNS} FROM store_object o WHERE o.kind = %s AND o.namespace = %s AND o.name = %s"
_SELECT_ROW = f"SELECT {OBJECT_COLUMNS} FROM store_object o WHERE o.id = %s"
_INSERT = (
    "INSERT INTO store_object (kind, namespace, name, uid, revision, generation, created, deletion_time, body)"
    " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) RETURNING id"
)
_UPDATE = "UPDATE store_object SET revision = %s, generation = %s, deletion_time = %s, body = %s WHERE id = %s"
_APPEND = (
    "INSERT INTO store_revision (number, verb, kind, namespace, name, uid, time, actor, cause, request, previous,"
    " labels, fields, previous_labels, previous_fields, body)"
    " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
)
_BUMP = (
    "INSERT INTO store_counter (name, value) VALUES (%s, 1)"
    " ON CONFLICT (name) DO UPDATE SET value = store_counter.value + 1"
)


def commit(work: Work[T], origin: Origin) -> T:
    """Run `work` in a transaction, wait until it is on disk and return what it returned; its error is raised here."""
    future: Future[T] = Future()
    writer.writer(Transaction).submit(writer.Pending(work, origin, future, None))
    return future.result()


async def commit_async(work: Work[T], origin: Origin) -> T:
    """Like `commit`, without blocking the event loop."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()
    writer.writer(Transaction).submit(writer.Pending(work, origin, future, loop))
    return await future


class Transaction:
    """What a work may do. It sees its own writes; `warnings` collects what admission wants the client to know."""

    def __init__(self, connection: BaseDatabaseWrapper, revision: int, origin: Origin) -> None:
        self.connection = connection
        self.cursor = connection.cursor()
        self.revision = revision
        self.origin = origin
        self.now = datetime.now(UTC)
        self.warnings: list[str] = []

    # Reading

    def get(self, kind: str, namespace: str, name: str) -> Stored | None:
        return self._one(_SELECT, [kind, namespace, name])

    def require(self, kind: str, namespace: str, name: str) -> Stored:
        """Like `get`; an absent object is the API's NotFound."""
        stored = self.get(kind, namespace, name)
        if stored is None:
            raise NotFound.of(registry.by_kind(kind).resource, name)
        return stored

    def by_uid(self, uid: str) -> Stored | None:
        return self._one(f"SELECT {OBJECT_COLUMNS} FROM store_object o WHERE o.uid = %s", [uid])

    def children(self, owner_uid: str) -> list[Stored]:
        """All objects that name `owner_uid` as an owner, controlled or not."""
        self.cursor.execute(
            f"SELECT {OBJECT_COLUMNS} FROM store_object o JOIN store_owner w ON w.object_id = o.id"
            " WHERE w.owner_uid = %s ORDER BY o.id",
            [owner_uid],
        )
        return [stored_from_row(row) for row in self.cursor.fetchall()]

    # Checking that a plan still stands

    def check_children(self, owner_uid: str, counter: int) -> None:
        """Raise Conflict when the set of objects controlled by `owner_uid` has changed since `counter` was read."""
        self._check_counter(f"children/{owner_uid}", counter, "the children of this owner have changed")

    def check_bound(self, node_name: str, counter: int) -> None:
        """Raise Conflict when the set of pods bound to the node has changed since `counter` was read."""
        self._check_counter(f"bound/{node_name}", counter, f"the pods bound to node {node_name} have changed")

    def check_revision(self, uid: str, revision: int) -> None:
        """Raise Conflict when the object is gone or no longer at `revision`."""
        self.cursor.execute("SELECT revision FROM store_object WHERE uid = %s", [uid])
        row = self.cursor.fetchone()
        if row is None or row[0] != revision:
            raise Conflict(f"the object {uid} is no longer at revision {revision}")

    def counter(self, name: str) -> int:
        self.cursor.execute("SELECT value FROM store_counter WHERE name = %s", [name])
        row = self.cursor.fetchone()
        return int(row[0]) if row else 0

    def _check_counter(self, name: str, expected: int, message: str) -> None:
        if self.counter(name) != expected:
            raise Conflict(f"{message}; look again")

    # Writing

    def create(self, kind: str, object: Json) -> Stored:
        described = registry.by_kind(kind)
        namespace = (object.get("metadata") or {}).get("namespace") or "" if described.namespaced else ""
        admitted = admission.admit_create(
            described, object, namespace=namespace, now=self.now, new_uid=str(uuid.uuid4()), new_suffix=_suffix()
        )
        self.warnings.extend(admitted.warnings)
        created = admitted.object
        metadata = created["metadata"]
        if kind == "Namespace":
            _begin_namespace(created)
        if described.namespaced:
            namespace = metadata["namespace"]
            self._check_namespace(described, namespace, metadata["name"])
        if self.get(kind, namespace, metadata["name"]) is not None:
            raise AlreadyExists.of(described.resource, metadata["name"])
        return self._insert(kind, namespace, hooks.filled(self, kind, created, None))

    def update(
        self, kind: str, object: Json, *, subresource: str | None = None, expected_revision: int | None = None
    ) -> Stored:
        described = registry.by_kind(kind)
        metadata = object.get("metadata") or {}
        namespace = metadata.get("namespace") or "" if described.namespaced else ""
        stored = self.require(kind, namespace, metadata.get("name") or "")
        if expected_revision is None and metadata.get("resourceVersion"):
            expected_revision = read_revision(metadata["resourceVersion"])
        if expected_revision not in (None, stored.revision):
            raise Conflict.of(described.resource, stored.name)
        if metadata.get("uid") and metadata["uid"] != stored.uid:
            raise _wrong_uid(described, stored, metadata["uid"])
        return self._change(described, stored, object, subresource)

    def modify(
        self,
        kind: str,
        namespace: str,
        name: str,
        change: Callable[[Json], Json | None],
        *,
        subresource: str | None = None,
    ) -> Stored:
        """Give a copy of the present object to `change` and store what it returns (None: leave it)."""
        stored = self.require(kind, namespace, name)
        changed = change(stored.object)
        if changed is None:
            return stored
        return self._change(registry.by_kind(kind), stored, changed, subresource)

    def delete(
        self,
        kind: str,
        namespace: str,
        name: str,
        *,
        uid: str | None = None,
        revision: int | None = None,
        grace_seconds: int | None = None,
        propagation: Propagation = "Background",
    ) -> Stored | None:
        """Delete, or begin to; return None when the object is gone, else as it stays until it is released."""
        described = registry.by_kind(kind)
        stored = self.require(kind, namespace, name)
        if uid and uid != stored.uid:
            raise _wrong_uid(described, stored, uid)
        if revision is not None and revision != stored.revision:
            raise Conflict.of(described.resource, name)
        if kind == "Namespace" and name in deletion.KEPT_NAMESPACES:
            raise Forbidden(f'namespaces "{name}" is forbidden: this namespace may not be deleted')
        if propagation == "Orphan":
            self._orphan_children(stored.uid)
        before = stored.object
        decision = deletion.decide(
            kind,
            before,
            grace=grace_seconds,
            propagation=propagation,
            children=propagation == "Foreground" and bool(self.children(stored.uid)),
            now=self.now,
        )
        match decision:
            case deletion.Keep():
                return stored
            case deletion.Mark(marked):
                return self._replace(described, stored, before, marked)
            case deletion.Remove():
                self._remove(described, stored, before, before)
        return None

    def release_child(self, child: Stored, owner_uids: Iterable[str]) -> Stored:
        """Take the references to these owners out of `child`."""
        gone = set(owner_uids)

        def without(object: Json) -> Json:
            references = object["metadata"].get("ownerReferences") or []
            kept = [reference for reference in references if reference.get("uid") not in gone]
            object["metadata"].pop("ownerReferences", None)
            if kept:
                object["metadata"]["ownerReferences"] = kept
            return object

        return self.modify(child.kind, child.namespace, child.name, without)

    def _orphan_children(self, owner_uid: str) -> None:
        for child in self.children(owner_uid):
            self.release_child(child, [owner_uid])

    # The steps of a write

    def _one(self, statement: str, parameters: list[Any]) -> Stored | None:
        self.cursor.execute(statement, parameters)
        row = self.cursor.fetchone()
        return stored_from_row(row) if row else None

    def _check_namespace(self, described: Any, namespace: str, name: str) -> None:
        found = self.get("Namespace", "", namespace)
        if found is None:
            raise NotFound.of("namespaces", namespace)
        if found.deletion_milliseconds is not None:
            raise Forbidden(
                f'{described.resource} "{name}" is forbidden: unable to create new content in namespace {namespace}'
                " because it is being terminated",
                {"name": name, "kind": described.plural, "causes": [{"reason": "NamespaceTerminating"}]},
            )

    def _insert(self, kind: str, namespace: str, created: Json) -> Stored:
        metadata = created["metadata"]
        self.revision += 1
        raw = self._encode(kind, created, self.revision)
        generation = metadata.get("generation") or 0
        key: tuple[str, str, str, str] = (kind, namespace, metadata["name"], metadata["uid"])
        self.cursor.execute(_INSERT, [*key, self.revision, generation, to_milliseconds(self.now), None, raw])
        row = int(self.cursor.fetchone()[0])
        stored = Stored(*key, self.revision, generation, None, raw, row)
        self._append("ADDED", stored, None, {}, created)
        self._index(stored, {}, created)
        return stored

    def _change(self, described: Any, stored: Stored, changed: Json, subresource: str | None) -> Stored:
        before = stored.object
        admitted = admission.admit_update(described, changed, before, subresource=subresource, now=self.now)
        self.warnings.extend(admitted.warnings)
        after = hooks.filled(self, described.kind, admitted.object, before)
        after = hooks.filled(self, stored.kind, after, before)
        if after == before:
            return stored
        if deletion.released(described.kind, after):
            return self._remove(described, stored, before, after)
        return self._replace(described, stored, before, after)

    def _replace(self, described: Any, stored: Stored, before: Json, after: Json) -> Stored:
        metadata = after["metadata"]
        self.revision += 1
        raw = self._encode(stored.kind, after, self.revision)
        generation = metadata.get("generation") or 0
        deletion_time = stored.deletion_milliseconds
        if "deletionTimestamp" in metadata and deletion_time is None:
            deletion_time = to_milliseconds(self.now)
        self.cursor.execute(_UPDATE, [self.revision, generation, deletion_time, raw, stored.row])
        key = (stored.kind, stored.namespace, stored.name, stored.uid)
        replaced = Stored(*key, self.revision, generation, deletion_time, raw, stored.row)
        self._append("MODIFIED", replaced, stored.revision, before, after)
        self._index(replaced, before, after)
        return replaced

    def _remove(self, described: Any, stored: Stored, before: Json, last: Json) -> Stored:
        self.revision += 1
        raw = self._encode(stored.kind, last, self.revision)
        for table, column in (("store_label", "object_id"), ("store_owner", "object_id"), ("store_object", "id")):
            self.cursor.execute(f"DELETE FROM {table} WHERE {column} = %s", [stored.row])
        key = (stored.kind, stored.namespace, stored.name, stored.uid)
        removed = Stored(*key, self.revision, stored.generation, stored.deletion_milliseconds, raw, stored.row)
        self._append("DELETED", removed, stored.revision, before, last)
        self._bump_counters(stored.kind, before, {})
        projections.remove(self.connection, stored.kind, stored.uid)
        return removed

    def _encode(self, kind: str, object: Json, revision: int) -> bytes:
        """Serialise once, with the revision inside; only this may enter a row."""
        object["metadata"]["resourceVersion"] = str(revision)
        return codecs.to_stored(kind, encode_json(object), object["metadata"]["uid"])

    def _append(self, verb: Verb, stored: Stored, previous: int | None, before: Json, after: Json) -> None:
        labels, fields = _selectable(stored.kind, after)
        previous_labels, previous_fields = _selectable(stored.kind, before) if before else ({}, {})
        origin = self.origin
        self.cursor.execute(
            _APPEND,
            [
                *(stored.revision, verb, stored.kind, stored.namespace, stored.name, stored.uid),
                *(to_milliseconds(self.now), origin.actor, origin.cause, origin.request, previous),
                *(write_map(labels), write_map(fields), write_map(previous_labels), write_map(previous_fields)),
                stored.raw,
            ],
        )

    def _index(self, stored: Stored, before: Json, after: Json) -> None:
        """Bring labels, owners, counters and projections in step with the object."""
        old_labels, old_fields = _selectable(stored.kind, before) if before else ({}, {})
        labels, fields = _selectable(stored.kind, after)
        self._index_labels(stored, False, old_labels, labels)
        self._index_labels(stored, True, old_fields, fields)
        self._index_owners(stored, _owners(before), _owners(after))
        self._bump_counters(stored.kind, before, after)
        projections.write(self.connection, stored, after)

    def _index_labels(self, stored: Stored, field: bool, before: dict[str, str], after: dict[str, str]) -> None:
        gone = [key for key in before if before[key] != after.get(key)]
        new = [(key, value) for key, value in after.items() if before.get(key) != value and (value or not field)]
        for key in gone:
            self.cursor.execute(
                "DELETE FROM store_label WHERE object_id = %s AND field = %s AND key = %s", [stored.row, field, key]
            )
        if new:
            self.cursor.executemany(
                "INSERT INTO store_label (object_id, kind, field, key, value) VALUES (%s, %s, %s, %s, %s)",
                [(stored.row, stored.kind, field, key, value) for key, value in new],
            )

    def _index_owners(self, stored: Stored, before: list[Json], after: list[Json]) -> None:
        if before == after:
            return
        if before:
            self.cursor.execute("DELETE FROM store_owner WHERE object_id = %s", [stored.row])
        self.cursor.executemany(
            "INSERT INTO store_owner (object_id, kind, owner_uid, controller, blocking) VALUES (%s, %s, %s, %s, %s)",
            [
                (
                    stored.row,
                    stored.kind,
                    reference["uid"],
                    bool(reference.get("controller")),
                    bool(reference.get("blockOwnerDeletion")),
                )
                for reference in after
            ],
        )

    def _bump_counters(self, kind: str, before: Json, after: Json) -> None:
        for name in changed_counters(kind, before, after):
            self.cursor.execute(_BUMP, [name])


def changed_counters(kind: str, before: Json, after: Json) -> set[str]:
    """Name the counters that a change moves: a child or a bound pod came, went, changed hands or began to go."""
    begins_to_go = _is_going(after) and not _is_going(before)
    names = set()
    old, new = _controller(before), _controller(after)
    if old != new or begins_to_go:
        names |= {f"children/{uid}" for uid in (old, new) if uid}
    if kind == "Pod":
        old, new = _node(before), _node(after)
        if old != new:
            names |= {f"bound/{node}" for node in (old, new) if node}
    return names


def _controller(object: Json) -> str:
    return next((str(reference["uid"]) for reference in _owners(object) if reference.get("controller")), "")


def _owners(object: Json) -> list[Json]:
    return (object.get("metadata") or {}).get("ownerReferences") or []


def _node(object: Json) -> str:
    return (object.get("spec") or {}).get("nodeName") or ""


def _is_going(object: Json) -> bool:
    return "deletionTimestamp" in (object.get("metadata") or {})


def _selectable(kind: str, object: Json) -> tuple[dict[str, str], dict[str, str]]:
    labels = (object.get("metadata") or {}).get("labels") or {}
    fields = registry.by_kind(kind).selectable_fields(object)
    # Name and namespace are columns of their own.
    fields.pop("metadata.name", None)
    fields.pop("metadata.namespace", None)
    return labels, fields


def _begin_namespace(created: Json) -> None:
    """Give a new namespace what keeps it until it is empty, and the label that selectors of namespaces use."""
    created["spec"] = {"finalizers": ["kubernetes"]}
    created["status"] = {"phase": "Active"}
    metadata = created["metadata"]
    metadata["labels"] = {**(metadata.get("labels") or {}), "kubernetes.io/metadata.name": metadata["name"]}


def read_revision(text: Any) -> int:
    """Read a resourceVersion that a client sent."""
    if not isinstance(text, str) or not text.isascii() or not text.isdigit() or len(text) > 18:
        raise BadRequest(
            f"metadata.resourceVersion: Invalid value: {str(text)[:40]!r}: must be a version that this API gave"
        )
    return int(text)


def _wrong_uid(described: Any, stored: Stored, asked: str) -> Conflict:
    message = Conflict.of(described.resource, stored.name)
    text = f"Precondition failed: UID in precondition: {asked}, UID in object meta: {stored.uid}"
    return Conflict(f'Operation cannot be fulfilled on {described.resource} "{stored.name}": {text}', message.details)


def _suffix() -> str:
    return "".join(random.choices(_SUFFIX, k=5))


# One-call conveniences: a commit of a single verb


def create(kind: str, object: Json, origin: Origin) -> Stored:
    return commit(lambda transaction: transaction.create(kind, object), origin)


def update(kind: str, object: Json, origin: Origin, **options: Any) -> Stored:
    return commit(lambda transaction: transaction.update(kind, object, **options), origin)


def modify(
    kind: str, namespace: str, name: str, change: Callable[[Json], Json | None], origin: Origin, **options: Any
) -> Stored:
    return commit(lambda transaction: transaction.modify(kind, namespace, name, change, **options), origin)


def delete(kind: str, namespace: str, name: str, origin: Origin, **options: Any) -> Stored | None:
    return commit(lambda transaction: transaction.delete(kind, namespace, name, **options), origin)


async def create_async(kind: str, object: Json, origin: Origin) -> Stored:
    return await commit_async(lambda transaction: transaction.create(kind, object), origin)


async def update_async(kind: str, object: Json, origin: Origin, **options: Any) -> Stored:
    return await commit_async(lambda transaction: transaction.update(kind, object, **options), origin)


async def modify_async(
    kind: str, namespace: str, name: str, change: Callable[[Json], Json | None], origin: Origin, **options: Any
) -> Stored:
    return await commit_async(lambda transaction: transaction.modify(kind, namespace, name, change, **options), origin)


async def delete_async(kind: str, namespace: str, name: str, origin: Origin, **options: Any) -> Stored | None:
    return await commit_async(lambda transaction: transaction.delete(kind, namespace, name, **options), origin)
