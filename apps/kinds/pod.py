"""Pod: one or more containers that share a network and volumes."""

from collections.abc import Mapping
from datetime import datetime

from apps.kinds import cells
from apps.kinds.kind import Cell, Change, Column, Kind, Object
from apps.kinds.poddefaults import fill_new_pod, fill_pod_spec, quality_of_service
from apps.kinds.podrules import pod_spec_advice, pod_spec_problems, pod_update_problems
from apps.kinds.problems import Problem
from apps.kinds.schema import Field, Struct
from apps.kinds.shapes.meta import OBJECT_META, TYPE_META
from apps.kinds.shapes.podspec import POD_SPEC
from apps.kinds.shapes.podstatus import POD_STATUS
from nodeworker.wire.podstatus import ready_count, restarts_text, status_word

SCHEMA = Struct(
    "io.k8s.api.core.v1.Pod",
    {
        **TYPE_META,
        "metadata": Field(1, OBJECT_META),
        "spec": Field(2, POD_SPEC, required=True),
        "status": Field(3, POD_STATUS),
    },
)


def _ready(pod: Object, _now: datetime) -> Cell:
    ready, total = ready_count(pod)
    return f"{ready}/{total}"


def _status(pod: Object, now: datetime) -> Cell:
    return status_word(pod, now)


def _restarts(pod: Object, now: datetime) -> Cell:
    return restarts_text(pod, now)


def _address(pod: Object, _now: datetime) -> Cell:
    return pod.get("status", {}).get("podIP") or "<none>"


def _node(pod: Object, _now: datetime) -> Cell:
    return pod["spec"].get("nodeName") or "<none>"


def _nominated_node(pod: Object, _now: datetime) -> Cell:
    return pod.get("status", {}).get("nominatedNodeName") or "<none>"


def _readiness_gates(pod: Object, _now: datetime) -> Cell:
    gates = [gate.get("conditionType") for gate in pod["spec"].get("readinessGates") or ()]
    if not gates:
        return "<none>"
    conditions = pod.get("status", {}).get("conditions") or ()
    true = sum(c.get("type") in gates and c.get("status") == "True" for c in conditions)
    return f"{true}/{len(gates)}"


COLUMNS = (
    cells.NAME,
    Column("Ready", _ready, description="How many of the containers are ready."),
    Column("Status", _status, description="The state of the pod in one word."),
    Column("Restarts", _restarts, description="How often containers were restarted and when last."),
    cells.AGE,
    Column("IP", _address, priority=1, description="The address of the pod."),
    Column("Node", _node, priority=1, description="The node that the pod runs on."),
    Column("Nominated Node", _nominated_node, priority=1, description="The node held free for the pod."),
    Column("Readiness Gates", _readiness_gates, priority=1, description="Conditions from outside that are met."),
)


def _fill(pod: Object) -> None:
    fill_pod_spec(pod["spec"])


def _fill_created(pod: Object) -> None:
    fill_new_pod(pod["spec"])
    pod["status"] = {"phase": "Pending", "qosClass": quality_of_service(pod["spec"])}


def _rules(change: Change) -> list[Problem]:
    if change.subresource == "status":
        return []
    spec = change.object["spec"]
    if change.old is None:
        return pod_spec_problems(spec, (None, "spec"))
    updated = pod_update_problems(spec, change.old["spec"])
    return updated or ([] if spec == change.old["spec"] else pod_spec_problems(spec, (None, "spec")))


def _advise(pod: Object) -> list[str]:
    return list(pod_spec_advice(pod["spec"], "spec"))


def _fields(pod: Object) -> Mapping[str, str]:
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    return {
        "spec.nodeName": spec.get("nodeName", ""),
        "spec.restartPolicy": spec.get("restartPolicy", ""),
        "spec.schedulerName": spec.get("schedulerName", ""),
        "spec.serviceAccountName": spec.get("serviceAccountName", ""),
        "spec.hostNetwork": "true" if spec.get("hostNetwork") else "false",
        "status.phase": status.get("phase", ""),
        "status.podIP": status.get("podIP", ""),
        "status.nominatedNodeName": status.get("nominatedNodeName", ""),
    }


POD = Kind(
    kind="Pod",
    group="",
    version="v1",
    plural="pods",
    singular="pod",
    short_names=("po",),
    categories=("all",),
    subresources=frozenset({"status", "log", "exec", "attach", "portforward", "binding", "eviction"}),
    schema=SCHEMA,
    columns=COLUMNS,
    fill=_fill,
    fill_created=_fill_created,
    rules=_rules,
    advise=_advise,
    fields=_fields,
    has_generation=True,
)
