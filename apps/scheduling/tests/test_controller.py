"""The scheduler over a real store."""

import pytest

from apps.events import record
from apps.events.testing import events_written  # noqa: F401
from apps.scheduling import controller
from apps.scheduling.controller import forget_placements, observe, schedule, schedule_now, waiting_pods
from apps.scheduling.models import Placement
from apps.store import read, transaction
from apps.store.rows import Origin
from apps.store.testing import store  # noqa: F401
from apps.store.transaction import commit

pytestmark = pytest.mark.usefixtures("store", "events_written")
ALICE = Origin("alice")


def post_node(name="n1", cpu="4"):
    transaction.create("Node", {"metadata": {"name": name}}, ALICE)
    amounts = {"cpu": cpu, "memory": "8Gi", "pods": "110"}
    condition = {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": ""}
    condition["lastTransitionTime"] = condition["lastHeartbeatTime"] = "2026-01-01T00:00:00Z"
    status = {"capacity": amounts, "allocatable": amounts, "conditions": [condition]}
    transaction.modify("Node", "", name, lambda node: {**node, "status": status}, ALICE, subresource="status")


def post_pod(name, cpu="100m"):
    container = {"name": "c", "image": "busybox", "resources": {"requests": {"cpu": cpu}}}
    made = {"metadata": {"name": name, "namespace": "default"}, "spec": {"containers": [container]}}
    return transaction.create("Pod", made, ALICE)


def get(name):
    return read.get("Pod", "default", name).object


def scheduled(pod):
    return next(c for c in pod["status"]["conditions"] if c["type"] == "PodScheduled")


def test_a_pod_is_bound_in_one_write():
    post_node()
    created = post_pod("p")
    schedule(["default/p"])
    pod = get("p")
    assert pod["spec"]["nodeName"] == "n1"
    assert scheduled(pod)["status"] == "True"
    assert [c.actor for c in read.history("Pod", "default", "p")] == ["alice", "system:scheduler"]
    assert read.history("Pod", "default", "p")[1].cause == created.revision


def writes_of_pods():
    return [change for change in read.changes_after(0, frozenset({"Pod"}), 1000)[0] if change.verb == "MODIFIED"]


def test_pods_that_wait_together_are_bound_in_one_commit(monkeypatch):
    commits = []
    monkeypatch.setattr(controller, "commit", lambda *given: commits.append(1) or commit(*given))
    post_node()
    for n in range(20):
        post_pod(f"p{n}")
    schedule(waiting_pods())
    assert waiting_pods() == []
    assert (len(writes_of_pods()), len(commits)) == (20, 1)


def test_a_pod_that_fits_nowhere_says_why():
    post_node(cpu="1")
    post_pod("p", cpu="2")
    schedule(["default/p"])
    condition = scheduled(get("p"))
    assert (condition["status"], condition["reason"]) == ("False", "Unschedulable")
    assert condition["message"] == "0/1 nodes are available: 1 Insufficient cpu."


def test_saying_it_again_writes_no_object():
    post_node(cpu="1")
    post_pod("p", cpu="2")
    schedule(["default/p"])
    schedule(["default/p"])
    assert len(writes_of_pods()) == 1


def test_the_placement_rows_tell_what_was_found_for_each_node():
    post_node("n1")
    post_node("n2", cpu="1")
    stored = post_pod("p", cpu="2")
    schedule(["default/p"])
    rows = {row.node: row for row in Placement.objects.filter(pod_uid=stored.uid)}
    assert rows["n1"].chosen
    assert (rows["n2"].filter, rows["n2"].asked, rows["n2"].free) == ("NodeResourcesFit", "2000m", "1000m of 1000m")


def test_placement_rows_go_with_their_pod():
    post_node()
    post_pod("p")
    schedule(["default/p"])
    transaction.delete("Pod", "default", "p", ALICE, grace_seconds=0)
    forget_placements()
    assert not Placement.objects.exists()


def test_a_pod_bound_by_somebody_else_is_left_alone():
    post_node()
    post_pod("p")
    schedule_now(["default/p"])
    assert schedule_now(["default/p"]) == []
    assert len(writes_of_pods()) == 1


def test_finished_pods_give_their_room_back():
    post_node(cpu="1")
    post_pod("a", cpu="1")
    schedule(["default/a"])
    post_pod("b", cpu="1")
    schedule(["default/b"])
    assert "nodeName" not in get("b")["spec"]
    transaction.modify(
        "Pod",
        "default",
        "a",
        lambda p: {**p, "status": {**p["status"], "phase": "Succeeded"}},
        ALICE,
        subresource="status",
    )
    schedule(["default/b"])
    assert get("b")["spec"]["nodeName"] == "n1"


def test_what_is_used_is_summed_from_the_claims():
    post_node()
    for n in range(3):
        post_pod(f"p{n}", cpu="500m")
    schedule(waiting_pods())
    (node,), counters = observe()
    assert (node.used.cpu, node.used.pods) == (1500, 3)
    assert counters["n1"] == 3


def test_events_tell_both_outcomes():
    post_node(cpu="1")
    post_pod("fits", cpu="500m")
    post_pod("large", cpu="8")
    schedule(waiting_pods())
    assert record.flush()
    told = {(e.object["reason"], e.object["message"]) for e in read.list_objects("Event", "default").items}
    assert ("Scheduled", "Successfully assigned default/fits to n1") in told
    assert ("FailedScheduling", "0/1 nodes are available: 1 Insufficient cpu.") in told
