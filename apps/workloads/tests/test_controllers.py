"""The controllers over a real store."""

import pytest
import time_machine

from apps.events import record
from apps.events.testing import events_written  # noqa: F401
from apps.nodes.controllers import cordon, reconcile_node, uncordon
from apps.store import read, transaction
from apps.store.testing import store  # noqa: F401
from apps.workloads import tasks
from apps.workloads.controllers import reconcile_deployment, reconcile_replica_set
from apps.workloads.keys import Key
from apps.workloads.logic.conditions import find
from apps.workloads.models import Deployment, Pod, ReplicaSet
from apps.workloads.tests.store_helpers import (
    ALICE,
    get,
    make_ready,
    objects,
    post_deployment,
    post_node,
    post_pod,
    settle,
    template,
)

pytestmark = pytest.mark.usefixtures("store", "events_written")


def edit(kind, name, **spec):
    transaction.modify(kind, "default", name, lambda o: {**o, "spec": {**o["spec"], **spec}}, ALICE)


def test_a_deployment_becomes_ready_pods():
    post_node()
    post_deployment(3)
    settle()
    status = get("Deployment", "web")["status"]
    assert status["availableReplicas"] == status["updatedReplicas"] == status["replicas"] == 3
    assert find(status["conditions"], "Progressing")["reason"] == "NewRSAvailable"
    assert {pod["spec"]["nodeName"] for pod in objects("Pod")} == {"n1"}


def test_a_settled_cluster_writes_nothing():
    post_node()
    post_deployment(2)
    settle()
    assert record.flush()
    before = read.current_revision()
    settle()
    assert read.current_revision() == before


def test_scaling_up_and_down_ends_with_the_right_number():
    post_node()
    post_deployment(1)
    settle()
    edit("Deployment", "web", replicas=5)
    settle()
    assert len(objects("Pod")) == 5
    edit("Deployment", "web", replicas=2)
    settle()
    assert len(objects("Pod")) == 2


def test_a_new_image_replaces_all_pods():
    post_node()
    post_deployment(3)
    settle()
    edit("Deployment", "web", template=template("busybox:2"))
    settle()
    assert {pod["spec"]["containers"][0]["image"] for pod in objects("Pod")} == {"busybox:2"}
    assert sorted(s["spec"]["replicas"] for s in objects("ReplicaSet")) == [0, 3]
    assert get("Deployment", "web")["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "2"


def test_a_roll_back_uses_the_old_replica_set_again():
    post_node()
    post_deployment(2)
    settle()
    first = objects("ReplicaSet")[0]["metadata"]["uid"]
    edit("Deployment", "web", template=template("busybox:2"))
    settle()
    edit("Deployment", "web", template=template("busybox:1"))
    settle()
    active = [s for s in objects("ReplicaSet") if s["spec"]["replicas"]]
    assert [s["metadata"]["uid"] for s in active] == [first]
    assert len(objects("ReplicaSet")) == 2


def test_recreate_starts_nothing_before_the_old_is_gone():
    post_node()
    post_deployment(2, strategy={"type": "Recreate"})
    settle()
    edit("Deployment", "web", template=template("busybox:2"))
    for _ in range(5):
        tasks.run(Key("Deployment", "default/web"))
        for replica_set in objects("ReplicaSet"):
            tasks.run(Key("ReplicaSet", "default/" + replica_set["metadata"]["name"]))
    pods = objects("Pod")
    assert len(pods) == 2
    assert all(pod["metadata"].get("deletionTimestamp") for pod in pods)
    settle()
    assert {pod["spec"]["containers"][0]["image"] for pod in objects("Pod")} == {"busybox:2"}


def test_a_deleted_pod_is_replaced():
    post_node()
    post_deployment(2)
    settle()
    victim = objects("Pod")[0]["metadata"]["name"]
    transaction.delete("Pod", "default", victim, ALICE)
    settle()
    names = [pod["metadata"]["name"] for pod in objects("Pod")]
    assert len(names) == 2
    assert victim not in names


def test_deleting_a_deployment_takes_everything_with_it():
    post_node()
    post_deployment(2)
    settle()
    transaction.delete("Deployment", "default", "web", ALICE)
    settle()
    assert objects("ReplicaSet") == objects("Pod") == []


def test_deleting_with_orphans_leaves_the_replica_set_which_a_new_deployment_adopts():
    post_node()
    post_deployment(2)
    settle()
    names = {pod["metadata"]["name"] for pod in objects("Pod")}
    transaction.delete("Deployment", "default", "web", ALICE, propagation="Orphan")
    settle()
    post_deployment(2)
    settle()
    assert {pod["metadata"]["name"] for pod in objects("Pod")} == names
    assert len(objects("ReplicaSet")) == 1


def test_a_pod_whose_label_is_changed_is_released_and_replaced():
    post_node()
    post_deployment(1)
    settle()
    name = objects("Pod")[0]["metadata"]["name"]
    transaction.modify("Pod", "default", name, lambda p: {**p, "metadata": {**p["metadata"], "labels": {}}}, ALICE)
    settle()
    assert not get("Pod", name)["metadata"].get("ownerReferences")
    assert len(objects("Pod")) == 2


def test_an_orphan_pod_is_adopted():
    post_node()
    post_deployment(1)
    settle()
    labels = objects("ReplicaSet")[0]["spec"]["template"]["metadata"]["labels"]
    edit("Deployment", "web", replicas=2)
    tasks.run(Key("Deployment", "default/web"))
    post_pod("stray", labels=labels)
    settle()
    assert get("Pod", "stray")["metadata"]["ownerReferences"][0]["kind"] == "ReplicaSet"
    assert len(objects("Pod")) == 2


def test_a_name_that_is_taken_gives_the_replica_set_another():
    post_deployment(1)
    plan_name = None
    reconcile_deployment("default", "web")
    plan_name = objects("ReplicaSet")[0]["metadata"]["name"]
    transaction.delete("Deployment", "default", "web", ALICE, propagation="Orphan")
    transaction.modify(
        "ReplicaSet",
        "default",
        plan_name,
        lambda o: {**o, "metadata": {**o["metadata"], "labels": {"other": "one"}}},
        ALICE,
    )
    post_deployment(1)
    settle()
    assert len(objects("ReplicaSet")) == 2
    assert get("Deployment", "web")["status"]["collisionCount"] == 1


def test_the_log_names_what_caused_a_pod():
    post_deployment(1)
    tasks.run(Key("Deployment", "default/web"))
    replica_set = objects("ReplicaSet")[0]
    reconcile_replica_set("default", replica_set["metadata"]["name"])
    pod = objects("Pod")[0]["metadata"]["name"]
    (created,) = read.history("Pod", "default", pod)
    assert created.actor == "system:controller:replicaset"
    assert created.cause == int(replica_set["metadata"]["resourceVersion"])


def test_events_tell_what_was_scaled_and_created():
    post_node()
    post_deployment(2)
    settle()
    assert record.flush()
    told = {(e["reason"], e["involvedObject"]["kind"]) for e in objects("Event")}
    assert {("ScalingReplicaSet", "Deployment"), ("SuccessfulCreate", "ReplicaSet"), ("Scheduled", "Pod")} <= told


def test_typed_rows_follow_the_objects():
    post_node()
    post_deployment(2)
    settle()
    row = Deployment.objects.get(namespace="default", name="web")
    assert (row.desired, row.ready, row.settled, row.image) == (2, 2, True, "busybox:1")
    assert ReplicaSet.objects.get(owner_name="web").rollout == 1
    assert Pod.objects.filter(ready=True, node_name="n1", status="Running").count() == 2


def test_min_ready_seconds_delays_availability():
    post_node()
    post_deployment(1, minReadySeconds=500)
    for _ in range(4):
        tasks.run(Key("Deployment", "default/web"))
        for replica_set in objects("ReplicaSet"):
            tasks.run(Key("ReplicaSet", "default/" + replica_set["metadata"]["name"]))
        tasks.run(Key("Pod", "default/" + objects("Pod")[0]["metadata"]["name"])) if objects("Pod") else None
    pod = objects("Pod")[0]
    make_ready(pod)
    condition = {"type": "Ready", "status": "True", "lastTransitionTime": "2098-01-01T00:00:00Z"}
    transaction.modify(
        "Pod",
        "default",
        pod["metadata"]["name"],
        lambda p: {**p, "status": {**p["status"], "conditions": [condition]}},
        ALICE,
        subresource="status",
    )
    replica_set = objects("ReplicaSet")[0]["metadata"]["name"]
    again = reconcile_replica_set("default", replica_set)
    assert again is not None
    status = get("ReplicaSet", replica_set)["status"]
    assert status["readyReplicas"] == 1
    assert "availableReplicas" not in status


def test_a_silent_node_is_tainted_and_its_pods_are_not_ready():
    post_node()
    post_deployment(1)
    settle()
    silence("n1")
    tasks.run(Key("Node", "n1"))
    node = get("Node", "n1", "")
    keys = {(t["key"], t["effect"]) for t in node["spec"]["taints"]}
    assert {("node.kubernetes.io/unreachable", "NoSchedule"), ("node.kubernetes.io/unreachable", "NoExecute")} <= keys
    ready = find(objects("Pod")[0]["status"]["conditions"], "Ready")
    assert (ready["status"], ready["reason"]) == ("False", "NodeNotReady")


def test_a_node_that_is_heard_again_is_ready_again():
    post_node()
    silence("n1")
    tasks.run(Key("Node", "n1"))
    lease = {"metadata": {"name": "n1", "namespace": "kube-node-lease"}}
    lease["spec"] = {"holderIdentity": "n1", "renewTime": "2099-01-01T00:00:00.000000Z"}
    transaction.create("Lease", lease, ALICE)
    tasks.run(Key("Node", "n1"))
    node = get("Node", "n1", "")
    assert find(node["status"]["conditions"], "Ready")["status"] == "True"
    assert not node["spec"].get("taints")


def test_a_node_that_lives_is_looked_at_again_when_it_could_be_silent():
    post_node()
    assert reconcile_node("n1").year == 2099


def test_cordon_keeps_pods_away_until_uncordon():
    post_node()
    cordon("n1", ALICE)
    settle_node()
    post_pod("p")
    tasks.run(Key("Pod", "default/p"))
    assert "nodeName" not in get("Pod", "p")["spec"]
    uncordon("n1", ALICE)
    settle_node()
    tasks.run(Key("Pod", "default/p"))
    assert get("Pod", "p")["spec"]["nodeName"] == "n1"


def settle_node():
    for _ in range(3):
        tasks.run(Key("Node", "n1"))


def silence(name):
    condition = {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": ""}
    times = {"lastHeartbeatTime": "2026-01-01T00:00:00Z", "lastTransitionTime": "2026-01-01T00:00:00Z"}

    def change(node):
        return {**node, "status": {**node["status"], "conditions": [{**condition, **times}]}}

    transaction.modify("Node", "", name, change, ALICE, subresource="status")
    # The registration is the last sign now; the controllers' clock stands far after it.
    _clock.append(time_machine.travel("2026-12-31T00:00:00Z", tick=True))
    _clock[-1].start()


_clock: list[time_machine.travel] = []


@pytest.fixture(autouse=True)
def _come_home(store):  # noqa: F811
    yield
    while _clock:
        _clock.pop().stop()
