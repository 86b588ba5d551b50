"""Scale: the number of replicas of a workload, as the subresource `scale` shows it. It is never stored."""

from apps.kinds.schema import INTEGER, STRING, Field, Struct
from apps.kinds.shapes.meta import OBJECT_META, TYPE_META

SCALE_SPEC = Struct(
    "io.k8s.api.autoscaling.v1.ScaleSpec",
    {
        "replicas": Field(1, INTEGER),
    },
)


SCALE_STATUS = Struct(
    "io.k8s.api.autoscaling.v1.ScaleStatus",
    {
        "replicas": Field(1, INTEGER),
        "selector": Field(2, STRING),
    },
)


SCHEMA = Struct(
    "io.k8s.api.autoscaling.v1.Scale",
    {
        **TYPE_META,
        "metadata": Field(1, OBJECT_META),
        "spec": Field(2, SCALE_SPEC),
        "status": Field(3, SCALE_STATUS),
    },
)
