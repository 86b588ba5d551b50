"""Tables have kubectl's columns."""

from typing import Any

import pytest

from apps.kinds.registry import KINDS, by_kind
from apps.kinds.table import to_table
from apps.kinds.tests.examples import NOW, created, deployment, pod, service

COLUMNS = {
    "Pod": "Name Ready Status Restarts Age | IP Node Nominated_Node Readiness_Gates",
    "Deployment": "Name Ready Up-to-date Available Age | Containers Images Selector",
    "ReplicaSet": "Name Desired Current Ready Age | Containers Images Selector",
    "Service": "Name Type Cluster-IP External-IP Port(s) Age | Selector",
    "EndpointSlice": "Name AddressType Ports Endpoints Age |",
    "ConfigMap": "Name Data Age |",
    "Secret": "Name Type Data Age |",
    "Namespace": "Name Status Age |",
    "Node": "Name Status Roles Age Version | Internal-IP External-IP OS-Image Kernel-Version Container-Runtime",
    "Lease": "Name Holder Age |",
    "ServiceAccount": "Name Secrets Age |",
    "Event": "Last_Seen Type Reason Object Message | Subobject Source First_Seen Count Name",
}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: str(kind.kind))
def test_the_columns_are_those_of_kubectl(kind: Any) -> None:
    definitions = to_table(kind, [], NOW)["columnDefinitions"]
    narrow = [d["name"].replace(" ", "_") for d in definitions if not d["priority"]]
    wide = [d["name"].replace(" ", "_") for d in definitions if d["priority"]]
    assert f"{' '.join(narrow)} | {' '.join(wide)}".strip() == COLUMNS[kind.kind]


def cells(obj: dict[str, Any]) -> list[Any]:
    row: list[Any] = to_table(by_kind(obj["kind"]), [obj], NOW)["rows"][0]["cells"]
    return row


def test_the_cells_of_a_pod() -> None:
    stored = created(pod())
    stored["spec"]["nodeName"] = "n1"
    stored["status"] |= {
        "phase": "Running",
        "podIP": "10.244.0.5",
        "containerStatuses": [{"name": "c", "ready": True, "restartCount": 0, "state": {"running": {}}}],
    }
    assert cells(stored) == ["x", "1/1", "Running", "0", "0s", "10.244.0.5", "n1", "<none>", "<none>"]


def test_the_cells_of_a_deployment_and_its_selector() -> None:
    stored = created(deployment(replicas=3))
    stored["status"] = {"readyReplicas": 2, "updatedReplicas": 3, "availableReplicas": 2}
    assert cells(stored) == ["x", "2/3", 3, 2, "0s", "c", "nginx:1.25", "app=web"]


def test_the_cells_of_services() -> None:
    node_port = service(type="NodePort", clusterIP="10.96.0.9", ports=[{"port": 80, "nodePort": 30080}])
    assert cells(created(node_port)) == ["x", "NodePort", "10.96.0.9", "<none>", "80:30080/TCP", "0s", "<none>"]
    external = service(type="ExternalName", externalName="example.com", ports=None)
    assert cells(created(external))[1:5] == ["ExternalName", "<none>", "example.com", "<none>"]


def test_the_cells_of_a_node() -> None:
    node = {
        "kind": "Node",
        "metadata": {"name": "n1", "labels": {"node-role.kubernetes.io/control-plane": ""}},
        "spec": {"unschedulable": True},
        "status": {
            "conditions": [{"type": "Ready", "status": "True"}],
            "addresses": [{"type": "InternalIP", "address": "10.0.0.1"}],
            "nodeInfo": {"kubeletVersion": "v1", "osImage": "Debian"},
        },
    }
    assert cells(created(node))[1:] == [
        *("Ready,SchedulingDisabled", "control-plane", "0s", "v1"),
        *("10.0.0.1", "<none>", "Debian", "<unknown>", "<unknown>"),
    ]


def test_the_cells_of_an_event() -> None:
    event = {
        "kind": "Event",
        "metadata": {"name": "e1"},
        "involvedObject": {"kind": "Pod", "name": "web", "namespace": "default", "fieldPath": "spec.containers{c}"},
        "type": "Warning",
        "reason": "BackOff",
        "message": "Back-off\n",
        "source": {"component": "kubelet", "host": "n1"},
        "firstTimestamp": "2026-01-01T11:50:00Z",
        "lastTimestamp": "2026-01-01T11:59:00Z",
        "count": 3,
    }
    assert cells(created(event)) == [
        *("60s", "Warning", "BackOff", "pod/web", "spec.containers{c}", "kubelet, n1", "Back-off"),
        *("10m", 3, "e1"),
    ]


def test_a_row_carries_what_was_asked_for() -> None:
    stored = created(pod())
    rows = {i: to_table(by_kind("Pod"), [stored], NOW, i)["rows"][0] for i in ("None", "Metadata", "Object")}
    assert "object" not in rows["None"]
    assert rows["Metadata"]["object"]["kind"] == "PartialObjectMetadata"
    assert rows["Object"]["object"] is stored


def test_an_empty_object_of_any_kind_has_a_row() -> None:
    for kind in KINDS:
        bare = {"metadata": {"name": "x"}, "spec": {"ports": []}, "status": {}}
        assert len(to_table(kind, [bare], NOW)["rows"][0]["cells"]) == len(kind.columns)
