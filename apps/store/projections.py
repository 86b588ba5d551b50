"""Typed rows beside the bodies, for the admin, the ORM and SQL: one Django model for each kind that people query.

An app subclasses `Projection`, names its `kind`, gives the columns and registers the class; `transaction` fills the
row in the same commit as the object, and `manage.py rebuild_projections` fills it anew after a column was added.
"""

from datetime import UTC, datetime
from typing import Any, ClassVar, TypeVar

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper

from apps.store.guard import GuardedModel
from apps.store.rows import Json, Stored
from nodeworker.wire.time import parse_time


class Projection(GuardedModel):
    """Base of the typed rows; `columns(object)` gives the values of the subclass's own fields."""

    kind: ClassVar[str]

    uid = models.CharField(max_length=36, primary_key=True)
    namespace = models.CharField(max_length=63, blank=True, db_index=True)
    name = models.CharField(max_length=253, db_index=True)
    revision = models.BigIntegerField()
    created = models.DateTimeField()

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name

    @classmethod
    def columns(cls, object: Json) -> dict[str, Any]:
        """Return the values of the subclass's own fields, by field name."""
        raise NotImplementedError


P = TypeVar("P", bound=type[Projection])
_registered: dict[str, list[type[Projection]]] = {}
_statements: dict[tuple[type[Projection], tuple[str, ...]], str] = {}


def register(projection: P) -> P:
    """Have `transaction` keep this model in step with its kind (a class decorator)."""
    _registered.setdefault(projection.kind, []).append(projection)
    return projection


def registered() -> list[type[Projection]]:
    """All projections, for the rebuild command."""
    return [projection for projections in _registered.values() for projection in projections]


def write(connection: BaseDatabaseWrapper, stored: Stored, object: Json) -> None:
    """Fill the rows of one object; called inside the store's transaction only."""
    for projection in _registered.get(stored.kind, ()):
        write_one(projection, connection, stored, object)


def write_one(projection: type[Projection], connection: BaseDatabaseWrapper, stored: Stored, object: Json) -> None:
    """Fill one projection's row, by an upsert: the ORM would cost as much as the whole write."""
    values = {
        "uid": stored.uid,
        "namespace": stored.namespace,
        "name": stored.name,
        "revision": stored.revision,
        "created": _created(object),
        **projection.columns(object),
    }
    fields = [projection._meta.get_field(name) for name in values]
    parameters = [
        field.get_db_prep_save(value, connection)  # type: ignore[union-attr]
        for field, value in zip(fields, values.values(), strict=True)
    ]
    with connection.cursor() as cursor:
        cursor.execute(_upsert(projection, tuple(values)), parameters)


def remove(connection: BaseDatabaseWrapper, kind: str, uid: str) -> None:
    """Remove the rows of one object."""
    for projection in _registered.get(kind, ()):
        with connection.cursor() as cursor:
            cursor.execute(f'DELETE FROM "{projection._meta.db_table}" WHERE uid = %s', [uid])


def _upsert(projection: type[Projection], names: tuple[str, ...]) -> str:
    key = (projection, names)
    if key not in _statements:
        columns = [str(projection._meta.get_field(name).column) for name in names]  # type: ignore[union-attr]
        quoted = ", ".join(f'"{column}"' for column in columns)
        changes = ", ".join(f'"{column}" = excluded."{column}"' for column in columns if column != "uid")
        places = ", ".join(["%s"] * len(columns))
        _statements[key] = (
            f'INSERT INTO "{projection._meta.db_table}" ({quoted}) VALUES ({places})'
            f" ON CONFLICT (uid) DO UPDATE SET {changes}"
        )
    return _statements[key]


def _created(object: Json) -> datetime:
    text = object["metadata"].get("creationTimestamp")
    return parse_time(text) if text else datetime.now(UTC)
