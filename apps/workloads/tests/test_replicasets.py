"""The ReplicaSet controller's decision."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.workloads.logic.actions import AdoptPod, CreatePods, DeletePod, ReleasePod, SetStatus
from apps.workloads.logic.replicasets import MAX_CREATES, claim, decide, pod_from_template, scale, status_of, victims
from apps.workloads.tests.builders import NOW, pod, replica_set


def names(pods):
    return [p.name for p in pods]


def test_missing_pods_are_created():
    assert scale(3, [pod("a")], NOW) == [CreatePods(2)]


def test_nothing_is_done_when_the_number_is_right():
    assert scale(2, [pod("a"), pod("b")], NOW) == []


def test_extra_pods_are_deleted():
    assert scale(1, [pod("a"), pod("b")], NOW) == [DeletePod("a", "uid-a")]


def test_one_plan_creates_a_bounded_number_of_pods():
    assert scale(100_000, [], NOW) == [CreatePods(MAX_CREATES)]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"node_name": "", "ready": False}, {"ready": False}),
        ({"phase": "Pending", "ready": False}, {"phase": "Running", "ready": False}),
        ({"phase": "Pending", "ready": False}, {"phase": "Unknown", "ready": False}),
        ({"phase": "Unknown", "ready": False}, {"phase": "Running", "ready": False}),
        ({"ready": False}, {}),
        ({"deletion_cost": -5}, {}),
        ({}, {"deletion_cost": 10}),
        ({"ready_since": NOW - timedelta(seconds=5)}, {}),
        ({"restarts": 4}, {"restarts": 1}),
        ({"created": NOW}, {"created": NOW - timedelta(days=1)}),
        ({"ready": False}, {"deletion_cost": -100}),
        ({"phase": "Pending", "ready": False, "deletion_cost": 9}, {"deletion_cost": -100}),
    ],
)
def test_victims_are_chosen_in_the_order_of_kubernetes(first, second):
    assert names(victims([pod("a", **second), pod("z", **first)], NOW)) == ["z", "a"]


def test_the_pod_that_shares_its_node_goes_first():
    pods = [pod("a", node_name="n2"), pod("b", node_name="n1"), pod("c", node_name="n1")]
    assert names(victims(pods, NOW)) == ["b", "c", "a"]


def test_the_name_decides_between_equals():
    assert names(victims([pod("b"), pod("c"), pod("a")], NOW)) == ["a", "b", "c"]


@pytest.mark.parametrize("gone", [{"terminating": True}, {"phase": "Failed"}, {"phase": "Succeeded"}])
def test_a_pod_that_is_finished_or_leaving_is_replaced(gone):
    plan = decide(replica_set(1), [pod("a", **gone)], NOW)
    assert CreatePods(1) in plan.actions


def test_an_orphan_that_matches_is_adopted_and_counts():
    plan = decide(replica_set(1), [pod("a", controller=None)], NOW)
    assert plan.actions[0] == AdoptPod("a", "uid-a")
    assert not any(isinstance(action, CreatePods) for action in plan.actions)


def test_an_orphan_that_is_leaving_is_not_adopted():
    owned, actions = claim(replica_set(1), [pod("a", controller=None, terminating=True)])
    assert (owned, actions) == ([], [])


def test_an_orphan_of_another_label_is_left_alone():
    assert claim(replica_set(1), [pod("a", controller=None, labels={"app": "db"})]) == ([], [])


def test_the_pod_of_another_controller_is_left_alone():
    assert claim(replica_set(1), [pod("a", controller="other")]) == ([], [])


def test_a_pod_whose_label_was_changed_is_released_and_replaced():
    plan = decide(replica_set(1), [pod("a", labels={"app": "debug"})], NOW)
    assert plan.actions[:2] == (ReleasePod("a", "uid-a"), CreatePods(1))


def test_a_replica_set_that_is_being_deleted_creates_and_adopts_nothing():
    leaving = replica_set(3)
    leaving["metadata"]["deletionTimestamp"] = "2026-01-01T12:00:00Z"
    actions = decide(leaving, [pod("a", controller=None)], NOW).actions
    assert [type(action) for action in actions] == [SetStatus]


def test_a_refused_template_is_shown_and_not_tried_again_in_the_same_plan():
    plan = decide(replica_set(2), [], NOW, failure="no such image name")
    (action,) = plan.actions
    assert action.status["conditions"][0]["message"] == "no such image name"


def test_a_failure_that_is_over_disappears_from_the_conditions():
    before = replica_set(1)
    before["status"] = status_of(before, [], NOW, failure="x")
    assert "conditions" not in status_of(before, [pod("a")], NOW)


def test_status_counts_what_is_ready_and_labelled():
    status = status_of(replica_set(3), [pod("a"), pod("b", ready=False), pod("c", labels={})], NOW)
    expected = {"replicas": 3, "fullyLabeledReplicas": 2, "readyReplicas": 2, "availableReplicas": 2}
    assert status == {**expected, "observedGeneration": 1}


def test_a_pod_is_available_only_after_min_ready_seconds():
    fresh = pod("a", ready_since=NOW - timedelta(seconds=4))
    plan = decide(replica_set(1, minReadySeconds=10), [fresh], NOW)
    assert "availableReplicas" not in plan.actions[0].status
    assert plan.look_at == NOW + timedelta(seconds=6)


def test_a_pod_made_from_the_template_names_its_controller():
    made = pod_from_template(replica_set())
    assert made["metadata"]["generateName"] == "web-1-"
    assert made["metadata"]["ownerReferences"][0]["uid"] == "rs"
    assert made["metadata"]["ownerReferences"][0]["controller"] is True


pods = st.builds(
    pod,
    name=st.text("abcdef", min_size=1, max_size=4),
    ready=st.booleans(),
    terminating=st.booleans(),
    phase=st.sampled_from(["Pending", "Running", "Failed", "Succeeded", "Unknown"]),
    controller=st.sampled_from(["rs", None, "other"]),
    labels=st.sampled_from([{"app": "web"}, {"app": "db"}]),
    restarts=st.integers(0, 3),
    node_name=st.sampled_from(["", "n1", "n2"]),
)


@given(st.integers(0, 8), st.lists(pods, max_size=12, unique_by=lambda p: p.name))
def test_a_plan_leads_to_exactly_the_desired_number(desired, seen):
    plan = decide(replica_set(desired), seen, NOW)
    owned, _ = claim(replica_set(desired), seen)
    active = {p.name for p in owned if p.active}
    created = sum(a.count for a in plan.actions if isinstance(a, CreatePods))
    deleted = {a.name for a in plan.actions if isinstance(a, DeletePod)}
    assert deleted <= active
    assert len(active) + created - len(deleted) == desired


@given(st.integers(0, 8), st.lists(pods, max_size=12, unique_by=lambda p: p.name))
def test_a_status_that_is_shown_is_not_shown_again(desired, seen):
    object = replica_set(desired)
    owned, _ = claim(object, seen)
    object["status"] = status_of(object, owned, NOW)
    assert status_of(object, owned, NOW) == object["status"]


@given(st.lists(pods, max_size=8, unique_by=lambda p: p.name), st.randoms())
def test_the_order_of_the_list_does_not_choose_the_victims(seen, random):
    shuffled = list(seen)
    random.shuffle(shuffled)
    assert victims(seen, NOW) == victims(shuffled, NOW)
