"""ServiceAccount: who a pod is towards the API."""

from datetime import datetime

from apps.kinds import cells
from apps.kinds.kind import Cell, Column, Kind, Object
from apps.kinds.schema import BOOLEAN, Field, List, Struct
from apps.kinds.shapes.meta import OBJECT_META, TYPE_META
from apps.kinds.shapes.references import LOCAL_OBJECT_REFERENCE, OBJECT_REFERENCE

SCHEMA = Struct(
    "io.k8s.api.core.v1.ServiceAccount",
    {
        **TYPE_META,
        "metadata": Field(1, OBJECT_META),
        "secrets": Field(2, List(OBJECT_REFERENCE, keys=("name",)), patch="merge", merge_key="name"),
        "imagePullSecrets": Field(3, List(LOCAL_OBJECT_REFERENCE)),
        "automountServiceAccountToken": Field(4, BOOLEAN),
    },
)


def _secrets(account: Object, _now: datetime) -> Cell:
    return len(account.get("secrets") or ())


SERVICE_ACCOUNT = Kind(
    kind="ServiceAccount",
    group="",
    version="v1",
    plural="serviceaccounts",
    singular="serviceaccount",
    short_names=("sa",),
    schema=SCHEMA,
    columns=(cells.NAME, Column("Secrets", _secrets, description="The number of secrets."), cells.AGE),
)
