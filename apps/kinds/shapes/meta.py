"""Metadata, label selectors and conditions: what every kind shares."""

from apps.kinds import rules
from apps.kinds.schema import ANY, BOOLEAN, INTEGER64, STRING, TIME, Field, List, Map, Struct

OWNER_REFERENCE = Struct(
    "io.k8s.apimachinery.pkg.apis.meta.v1.OwnerReference",
    {
        "apiVersion": Field(5, STRING, required=True),
        "kind": Field(1, STRING, required=True),
        "name": Field(3, STRING, required=True),
        "uid": Field(4, STRING, required=True),
        "controller": Field(6, BOOLEAN),
        "blockOwnerDeletion": Field(7, BOOLEAN),
    },
)

MANAGED_FIELDS_ENTRY = Struct(
    "io.k8s.apimachinery.pkg.apis.meta.v1.ManagedFieldsEntry",
    {
        "manager": Field(1, STRING),
        "operation": Field(2, STRING),
        "apiVersion": Field(3, STRING),
        "time": Field(4, TIME),
        "fieldsType": Field(6, STRING),
        "fieldsV1": Field(7, ANY),
        "subresource": Field(8, STRING),
    },
)

OBJECT_META = Struct(
    "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta",
    {
        "name": Field(1, STRING),
        "generateName": Field(2, STRING),
        "namespace": Field(3, STRING),
        "selfLink": Field(4, STRING),
        "uid": Field(5, STRING),
        "resourceVersion": Field(6, STRING),
        "generation": Field(7, INTEGER64),
        "creationTimestamp": Field(8, TIME),
        "deletionTimestamp": Field(9, TIME),
        "deletionGracePeriodSeconds": Field(10, INTEGER64),
        "labels": Field(11, Map(STRING, check_key=rules.label_key, check_value=rules.label_value)),
        "annotations": Field(12, Map(STRING, check_key=rules.annotation_key)),
        "ownerReferences": Field(13, List(OWNER_REFERENCE, keys=("uid",)), patch="merge", merge_key="uid"),
        "finalizers": Field(14, List(STRING, is_set=True), patch="merge"),
        "managedFields": Field(17, List(MANAGED_FIELDS_ENTRY)),
    },
)

LABEL_SELECTOR_REQUIREMENT = Struct(
    "io.k8s.apimachinery.pkg.apis.meta.v1.LabelSelectorRequirement",
    {
        "key": Field(1, STRING, required=True, check=rules.label_key),
        "operator": Field(2, STRING, required=True, enum=("In", "NotIn", "Exists", "DoesNotExist")),
        "values": Field(3, List(STRING)),
    },
)

LABEL_SELECTOR = Struct(
    "io.k8s.apimachinery.pkg.apis.meta.v1.LabelSelector",
    {
        "matchLabels": Field(1, Map(STRING, check_key=rules.label_key, check_value=rules.label_value)),
        "matchExpressions": Field(2, List(LABEL_SELECTOR_REQUIREMENT)),
    },
)

CONDITION = Struct(
    "io.k8s.apimachinery.pkg.apis.meta.v1.Condition",
    {
        "type": Field(1, STRING),
        "status": Field(2, STRING),
        "observedGeneration": Field(3, INTEGER64),
        "lastTransitionTime": Field(4, TIME),
        "reason": Field(5, STRING),
        "message": Field(6, STRING),
    },
)

LIST_META = Struct(
    "io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta",
    {
        "selfLink": Field(1, STRING),
        "resourceVersion": Field(2, STRING),
        "continue": Field(3, STRING),
        "remainingItemCount": Field(4, INTEGER64),
    },
)

# What every object carries beside its own fields; protobuf keeps it in the envelope, so it has no number.
TYPE_META = {"apiVersion": Field(0, STRING), "kind": Field(0, STRING)}
