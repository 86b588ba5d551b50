"""ReplicaSet: keeps a number of pods of one template."""

from collections.abc import Mapping
from datetime import datetime

from apps.kinds import cells, rules
from apps.kinds.kind import Cell, Change, Column, Kind, Object
from apps.kinds.poddefaults import fill_pod_spec
from apps.kinds.podrules import pod_spec_advice
from apps.kinds.problems import Problem
from apps.kinds.schema import INTEGER, INTEGER64, STRING, TIME, Field, List, Struct
from apps.kinds.shapes.meta import LABEL_SELECTOR, OBJECT_META, TYPE_META
from apps.kinds.shapes.podspec import POD_TEMPLATE_SPEC
from apps.kinds.workloadrules import workload_problems

REPLICA_SET_SPEC = Struct(
    "io.k8s.api.apps.v1.ReplicaSetSpec",
    {
        "replicas": Field(1, INTEGER, check=rules.non_negative, default=1),
        "minReadySeconds": Field(4, INTEGER, check=rules.non_negative),
        "selector": Field(2, LABEL_SELECTOR, required=True),
        "template": Field(3, POD_TEMPLATE_SPEC, required=True),
    },
)


REPLICA_SET_CONDITION = Struct(
    "io.k8s.api.apps.v1.ReplicaSetCondition",
    {
        "type": Field(1, STRING),
        "status": Field(2, STRING),
        "lastTransitionTime": Field(3, TIME),
        "reason": Field(4, STRING),
        "message": Field(5, STRING),
    },
)


REPLICA_SET_STATUS = Struct(
    "io.k8s.api.apps.v1.ReplicaSetStatus",
    {
        "replicas": Field(1, INTEGER),
        "fullyLabeledReplicas": Field(2, INTEGER),
        "readyReplicas": Field(4, INTEGER),
        "availableReplicas": Field(5, INTEGER),
        "terminatingReplicas": Field(7, INTEGER),
        "observedGeneration": Field(3, INTEGER64),
        "conditions": Field(6, List(REPLICA_SET_CONDITION, keys=("type",)), patch="merge", merge_key="type"),
    },
)


SCHEMA = Struct(
    "io.k8s.api.apps.v1.ReplicaSet",
    {
        **TYPE_META,
        "metadata": Field(1, OBJECT_META),
        "spec": Field(2, REPLICA_SET_SPEC, required=True),
        "status": Field(3, REPLICA_SET_STATUS),
    },
)


def _desired(replica_set: Object, _now: datetime) -> Cell:
    return int(replica_set["spec"].get("replicas", 1))


def _current(replica_set: Object, _now: datetime) -> Cell:
    return int(replica_set.get("status", {}).get("replicas", 0))


def _ready(replica_set: Object, _now: datetime) -> Cell:
    return int(replica_set.get("status", {}).get("readyReplicas", 0))


COLUMNS = (
    cells.NAME,
    Column("Desired", _desired, type="integer", description="The number of desired pods."),
    Column("Current", _current, type="integer", description="The number of pods that exist."),
    Column("Ready", _ready, type="integer", description="The number of ready pods."),
    cells.AGE,
    *cells.WORKLOAD_WIDE,
)


def _fill(replica_set: Object) -> None:
    fill_pod_spec(replica_set["spec"]["template"]["spec"])


def _rules(change: Change) -> list[Problem]:
    return [] if change.subresource == "status" else list(workload_problems(change, "ReplicaSet"))


def _advise(replica_set: Object) -> list[str]:
    return list(pod_spec_advice(replica_set["spec"]["template"]["spec"], "spec.template.spec"))


def _fields(replica_set: Object) -> Mapping[str, str]:
    return {"status.replicas": str(replica_set.get("status", {}).get("replicas", 0))}


REPLICA_SET = Kind(
    kind="ReplicaSet",
    group="apps",
    version="v1",
    plural="replicasets",
    singular="replicaset",
    short_names=("rs",),
    categories=("all",),
    subresources=frozenset({"status", "scale"}),
    schema=SCHEMA,
    columns=COLUMNS,
    fields=_fields,
    fill=_fill,
    rules=_rules,
    advise=_advise,
    has_generation=True,
)
