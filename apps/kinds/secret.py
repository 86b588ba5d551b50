"""Secret: configuration that is encrypted at rest and shown to few."""

from datetime import datetime

from apps.kinds import cells
from apps.kinds.kind import Cell, Column, Kind, Object
from apps.kinds.schema import BOOLEAN, BYTES, STRING, Field, Map, Struct
from apps.kinds.shapes.meta import OBJECT_META, TYPE_META

SCHEMA = Struct(
    "io.k8s.api.core.v1.Secret",
    {
        **TYPE_META,
        "metadata": Field(1, OBJECT_META),
        "immutable": Field(5, BOOLEAN),
        "data": Field(2, Map(BYTES)),
        "stringData": Field(4, Map(STRING)),
        "type": Field(3, STRING),
    },
)


def _type(secret: Object, _now: datetime) -> Cell:
    return str(secret.get("type", "Opaque"))


def _data(secret: Object, _now: datetime) -> Cell:
    return len(secret.get("data") or ())


SECRET = Kind(
    kind="Secret",
    group="",
    version="v1",
    plural="secrets",
    singular="secret",
    schema=SCHEMA,
    columns=(
        cells.NAME,
        Column("Type", _type, description="What the secret is for."),
        Column("Data", _data, type="integer", description="The number of entries."),
        cells.AGE,
    ),
    fields=lambda secret: {"type": secret.get("type", "")},
)
