"""References to other objects. Part of the description of used by several kinds."""

from apps.kinds.schema import STRING, Field, Struct

LOCAL_OBJECT_REFERENCE = Struct(
    "io.k8s.api.core.v1.LocalObjectReference",
    {
        "name": Field(1, STRING),
    },
)


OBJECT_REFERENCE = Struct(
    "io.k8s.api.core.v1.ObjectReference",
    {
        "kind": Field(1, STRING),
        "namespace": Field(2, STRING),
        "name": Field(3, STRING),
        "uid": Field(4, STRING),
        "apiVersion": Field(5, STRING),
        "resourceVersion": Field(6, STRING),
        "fieldPath": Field(7, STRING),
    },
)
