"""ConfigMap: configuration that pods read as files or environment."""

from datetime import datetime

from apps.kinds import cells
from apps.kinds.kind import Cell, Column, Kind, Object
from apps.kinds.schema import BOOLEAN, BYTES, STRING, Field, Map, Struct
from apps.kinds.shapes.meta import OBJECT_META, TYPE_META

SCHEMA = Struct(
    "io.k8s.api.core.v1.ConfigMap",
    {
        **TYPE_META,
        "metadata": Field(1, OBJECT_META),
        "immutable": Field(4, BOOLEAN),
        "data": Field(2, Map(STRING)),
        "binaryData": Field(3, Map(BYTES)),
    },
)


def _data(config_map: Object, _now: datetime) -> Cell:
    return str(len(config_map.get("data") or ()) + len(config_map.get("binaryData") or ()))


CONFIG_MAP = Kind(
    kind="ConfigMap",
    group="",
    version="v1",
    plural="configmaps",
    singular="configmap",
    short_names=("cm",),
    schema=SCHEMA,
    columns=(cells.NAME, Column("Data", _data, description="The number of entries."), cells.AGE),
)
