"""Rows as plain values: an object as it is stored, a change as the log tells it, and who caused a write.

Everything that leaves the store is one of these; no caller sees a cursor or a model instance.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

from apps.store import codecs

Verb = Literal["ADDED", "MODIFIED", "DELETED"]
Json = dict[str, Any]

decode_json = msgspec.json.Decoder().decode
encode_json = msgspec.json.Encoder().encode
_decode_map = msgspec.json.Decoder(dict[str, str]).decode


@dataclass(frozen=True, slots=True)
class Origin:
    """Who writes, and what made them: the revision they answer, or the request."""

    actor: str
    cause: int | None = None
    request: str = ""


class Stored(msgspec.Struct, frozen=True):
    """An object as it is in the store. `raw` is what the row holds; `body` its JSON, with the revision inside."""

    kind: str
    namespace: str
    name: str
    uid: str
    revision: int
    generation: int
    deletion_milliseconds: int | None
    raw: bytes
    row: int

    @property
    def body(self) -> bytes:
        return codecs.from_stored(self.kind, self.raw, self.uid)

    @property
    def object(self) -> Json:
        """A decoded copy of its own for each caller."""
        decoded: Json = decode_json(self.body)
        return decoded

    @property
    def deletion_time(self) -> datetime | None:
        return None if self.deletion_milliseconds is None else from_milliseconds(self.deletion_milliseconds)


class Change(msgspec.Struct, frozen=True):
    """One entry of the log."""

    revision: int
    verb: Verb
    kind: str
    namespace: str
    name: str
    uid: str
    milliseconds: int
    actor: str
    cause: int | None
    request: str
    previous: int | None
    raw_labels: str
    raw_fields: str
    raw_previous_labels: str
    raw_previous_fields: str
    raw: bytes

    @property
    def body(self) -> bytes:
        return codecs.from_stored(self.kind, self.raw, self.uid)

    @property
    def object(self) -> Json:
        decoded: Json = decode_json(self.body)
        return decoded

    @property
    def labels(self) -> dict[str, str]:
        return read_map(self.raw_labels)

    @property
    def fields(self) -> dict[str, str]:
        return read_map(self.raw_fields)

    @property
    def previous_labels(self) -> dict[str, str]:
        return read_map(self.raw_previous_labels)

    @property
    def previous_fields(self) -> dict[str, str]:
        return read_map(self.raw_previous_fields)

    @property
    def time(self) -> datetime:
        return from_milliseconds(self.milliseconds)


OBJECT_COLUMNS = "o.kind, o.namespace, o.name, o.uid, o.revision, o.generation, o.deletion_time, o.body, o.id"
CHANGE_COLUMNS = (
    "number, verb, kind, namespace, name, uid, time, actor, cause, request, previous,"
    " labels, fields, previous_labels, previous_fields, body"
)


def stored_from_row(row: Sequence[Any]) -> Stored:
    """Build a `Stored` from a row of OBJECT_COLUMNS."""
    kind, namespace, name, uid, revision, generation, deletion, body, identifier = row
    return Stored(kind, namespace, name, uid, revision, generation, deletion, _bytes(body), identifier)


def change_from_row(row: Sequence[Any]) -> Change:
    """Build a `Change` from a row of CHANGE_COLUMNS."""
    *values, body = row
    make: Callable[..., Change] = Change
    return make(*values, _bytes(body))


def _bytes(value: bytes | memoryview) -> bytes:
    # PostgreSQL's driver may answer with a memoryview.
    return value if isinstance(value, bytes) else bytes(value)


def read_map(text: str) -> dict[str, str]:
    """Read labels or fields as they are written in a row; nothing is written as the empty text."""
    return _decode_map(text) if text else {}


def write_map(values: dict[str, str]) -> str:
    """Write labels or fields for a row."""
    return encode_json(values).decode() if values else ""


def to_milliseconds(moment: datetime) -> int:
    """Milliseconds since 1970, as rows keep times."""
    return int(moment.timestamp() * 1000)


def from_milliseconds(milliseconds: int) -> datetime:
    """The time of a row as a datetime in UTC."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
