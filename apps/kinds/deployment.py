"""Deployment: keeps replica sets of one template and rolls from one to the next."""

from collections.abc import Iterator
from datetime import datetime

from apps.kinds import cells, rules
from apps.kinds.kind import Cell, Change, Column, Kind, Object
from apps.kinds.poddefaults import fill_pod_spec
from apps.kinds.podrules import pod_spec_advice
from apps.kinds.problems import Path, Problem, child, forbidden, invalid
from apps.kinds.schema import BOOLEAN, INT_OR_STRING, INTEGER, INTEGER64, STRING, TIME, Field, List, Struct
from apps.kinds.shapes.meta import LABEL_SELECTOR, OBJECT_META, TYPE_META
from apps.kinds.shapes.podspec import POD_TEMPLATE_SPEC
from apps.kinds.workloadrules import workload_problems

ROLLING_UPDATE_DEPLOYMENT = Struct(
    "io.k8s.api.apps.v1.RollingUpdateDeployment",
    {
        "maxUnavailable": Field(1, INT_OR_STRING, check=rules.count_or_percent, default="25%"),
        "maxSurge": Field(2, INT_OR_STRING, check=rules.count_or_percent, default="25%"),
    },
)


DEPLOYMENT_STRATEGY = Struct(
    "io.k8s.api.apps.v1.DeploymentStrategy",
    {
        "type": Field(1, STRING, enum=("Recreate", "RollingUpdate"), default="RollingUpdate"),
        "rollingUpdate": Field(2, ROLLING_UPDATE_DEPLOYMENT),
    },
)


DEPLOYMENT_SPEC = Struct(
    "io.k8s.api.apps.v1.DeploymentSpec",
    {
        "replicas": Field(1, INTEGER, check=rules.non_negative, default=1),
        "selector": Field(2, LABEL_SELECTOR, required=True),
        "template": Field(3, POD_TEMPLATE_SPEC, required=True),
        "strategy": Field(4, DEPLOYMENT_STRATEGY, patch="retainKeys", default={}),
        "minReadySeconds": Field(5, INTEGER, check=rules.non_negative),
        "revisionHistoryLimit": Field(6, INTEGER, check=rules.non_negative, default=10),
        "paused": Field(7, BOOLEAN),
        "progressDeadlineSeconds": Field(9, INTEGER, check=rules.non_negative, default=600),
    },
)


DEPLOYMENT_CONDITION = Struct(
    "io.k8s.api.apps.v1.DeploymentCondition",
    {
        "type": Field(1, STRING),
        "status": Field(2, STRING),
        "lastUpdateTime": Field(6, TIME),
        "lastTransitionTime": Field(7, TIME),
        "reason": Field(4, STRING),
        "message": Field(5, STRING),
    },
)


DEPLOYMENT_STATUS = Struct(
    "io.k8s.api.apps.v1.DeploymentStatus",
    {
        "observedGeneration": Field(1, INTEGER64),
        "replicas": Field(2, INTEGER),
        "updatedReplicas": Field(3, INTEGER),
        "readyReplicas": Field(7, INTEGER),
        "availableReplicas": Field(4, INTEGER),
        "unavailableReplicas": Field(5, INTEGER),
        "terminatingReplicas": Field(9, INTEGER),
        "conditions": Field(6, List(DEPLOYMENT_CONDITION, keys=("type",)), patch="merge", merge_key="type"),
        "collisionCount": Field(8, INTEGER),
    },
)


SCHEMA = Struct(
    "io.k8s.api.apps.v1.Deployment",
    {
        **TYPE_META,
        "metadata": Field(1, OBJECT_META),
        "spec": Field(2, DEPLOYMENT_SPEC, required=True),
        "status": Field(3, DEPLOYMENT_STATUS),
    },
)


def _ready(deployment: Object, _now: datetime) -> Cell:
    return f"{deployment.get('status', {}).get('readyReplicas', 0)}/{deployment['spec'].get('replicas', 1)}"


def _up_to_date(deployment: Object, _now: datetime) -> Cell:
    return int(deployment.get("status", {}).get("updatedReplicas", 0))


def _available(deployment: Object, _now: datetime) -> Cell:
    return int(deployment.get("status", {}).get("availableReplicas", 0))


COLUMNS = (
    cells.NAME,
    Column("Ready", _ready, description="Number of the pods with ready state, of how many are desired."),
    Column("Up-to-date", _up_to_date, description="Number of pods that have the desired template."),
    Column("Available", _available, description="Number of pods that have been ready long enough."),
    cells.AGE,
    *cells.WORKLOAD_WIDE,
)

_STRATEGY: Path = ((None, "spec"), "strategy")


def _fill(deployment: Object) -> None:
    fill_pod_spec(deployment["spec"]["template"]["spec"])
    strategy = deployment["spec"]["strategy"]
    if strategy["type"] == "RollingUpdate":
        rolling = strategy.setdefault("rollingUpdate", {})
        rolling.setdefault("maxUnavailable", "25%")
        rolling.setdefault("maxSurge", "25%")


def _rules(change: Change) -> list[Problem]:
    if change.subresource == "status":
        return []
    return [*workload_problems(change, "Deployment"), *_strategy_problems(change.object["spec"])]


def _strategy_problems(spec: Object) -> Iterator[Problem]:
    rolling = spec["strategy"].get("rollingUpdate")
    if spec["strategy"]["type"] == "Recreate" and rolling is not None:
        path = child(_STRATEGY, "rollingUpdate")
        yield forbidden(path, "may not be specified when strategy `type` is 'Recreate'")
    elif rolling is not None:
        path = child(_STRATEGY, "rollingUpdate", "maxUnavailable")
        unavailable = rolling["maxUnavailable"]
        if unavailable in (0, "0%") and rolling["maxSurge"] in (0, "0%"):
            yield invalid(path, unavailable, "may not be 0 when `maxSurge` is 0")
        if isinstance(unavailable, str) and int(unavailable.removesuffix("%")) > 100:
            yield invalid(path, unavailable, "must not be greater than 100%")
    if spec["progressDeadlineSeconds"] <= spec.get("minReadySeconds", 0):
        path = ((None, "spec"), "progressDeadlineSeconds")
        yield invalid(path, spec["progressDeadlineSeconds"], "must be greater than minReadySeconds")


def _advise(deployment: Object) -> list[str]:
    return list(pod_spec_advice(deployment["spec"]["template"]["spec"], "spec.template.spec"))


DEPLOYMENT = Kind(
    kind="Deployment",
    group="apps",
    version="v1",
    plural="deployments",
    singular="deployment",
    short_names=("deploy",),
    categories=("all",),
    subresources=frozenset({"status", "scale"}),
    schema=SCHEMA,
    columns=COLUMNS,
    fill=_fill,
    rules=_rules,
    advise=_advise,
    has_generation=True,
)
