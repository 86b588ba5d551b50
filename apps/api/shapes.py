"""How objects go onto the wire: stored bytes as they are, or as Table rows or metadata only when the client asks."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from apps.api.negotiation import Wanted
from apps.api.responses import encode
from apps.kinds.kind import Kind
from apps.kinds.table import to_table
from apps.store.read import Listing
from apps.store.rows import Stored

PARTIAL = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1"}


def object_body(kind: Kind, stored: Stored, wanted: Wanted, include: str) -> bytes:
    """Return one object in the shape that was asked for."""
    if not wanted.shape:
        return stored.body
    if wanted.shape == "Table":
        return encode(_table(kind, [stored.object], str(stored.revision), include))
    return encode(PARTIAL | {"metadata": stored.object["metadata"]})


def list_body(kind: Kind, listing: Listing, wanted: Wanted, include: str) -> bytes:
    """Return a list in the shape that was asked for."""
    metadata: dict[str, Any] = {"resourceVersion": str(listing.revision)}
    if listing.continue_token:
        metadata["continue"] = listing.continue_token
        if listing.remaining is not None:
            metadata["remainingItemCount"] = listing.remaining
    if not wanted.shape:
        return join_list(kind, metadata, [stored.body for stored in listing.items])
    objects = [stored.object for stored in listing.items]
    if wanted.shape == "Table":
        table = _table(kind, objects, metadata["resourceVersion"], include)
        table["metadata"] = metadata
        return encode(table)
    items = [PARTIAL | {"metadata": item["metadata"]} for item in objects]
    head = {"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": metadata}
    return encode(head | {"items": items})


def join_list(kind: Kind, metadata: dict[str, Any], bodies: Sequence[bytes]) -> bytes:
    """Join stored bytes to a list without decoding them."""
    head = encode({"kind": f"{kind.kind}List", "apiVersion": kind.api_version, "metadata": metadata})
    return b"".join((head[:-1], b',"items":[', b",".join(bodies), b"]}\n"))


def _table(kind: Kind, objects: Iterable[dict[str, Any]], revision: str, include: str) -> dict[str, Any]:
    table = to_table(kind, list(objects), datetime.now(UTC), include or "Metadata")
    table["metadata"] = {"resourceVersion": revision}
    return table


class EventShaper:
    """Watch events in the shape that was asked for; a Table names its columns in the first event only."""

    def __init__(self, kind: Kind, wanted: Wanted, include: str) -> None:
        self.kind = kind
        self.shape = wanted.shape
        self.include = include
        self._columns_sent = False

    def frame(self, verb: str, body: bytes, decode: Any) -> bytes:
        """Return one line of the watch; `decode` gives the object when its shape must change."""
        if not self.shape:
            return event(verb, body)
        if self.shape == "PartialObjectMetadata":
            return event(verb, encode(PARTIAL | {"metadata": decode()["metadata"]}))
        item = decode()
        table = _table(self.kind, [item], item["metadata"]["resourceVersion"], self.include)
        return event(verb, encode(self._without_columns(table)))

    def bookmark(self, revision: int, initial_events_end: bool = False) -> bytes:
        """Return a BOOKMARK: all that happened up to `revision` has been sent."""
        metadata: dict[str, Any] = {"resourceVersion": str(revision), "creationTimestamp": None}
        if initial_events_end:
            metadata["annotations"] = {"k8s.io/initial-events-end": "true"}
        mark: dict[str, Any] = {"kind": self.kind.kind, "apiVersion": self.kind.api_version, "metadata": metadata}
        if self.shape == "PartialObjectMetadata":
            mark = PARTIAL | {"metadata": metadata}
        elif self.shape == "Table":
            table = _table(self.kind, [], str(revision), self.include)
            cells = ["" for _ in table["columnDefinitions"]]
            table["rows"] = [{"cells": cells, "object": PARTIAL | {"metadata": metadata}}]
            mark = self._without_columns(table)
        return event("BOOKMARK", encode(mark))

    def _without_columns(self, table: dict[str, Any]) -> dict[str, Any]:
        if self._columns_sent:
            table["columnDefinitions"] = []
        self._columns_sent = True
        return table


def event(verb: str, body: bytes) -> bytes:
    """Return one line of a watch stream."""
    return b"".join((b'{"type":"', verb.encode(), b'","object":', body.rstrip(b"\n"), b"}\n"))
