"""The life of a node: the decisions."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.nodes.logic.lifecycle import (
    GRACE,
    NOT_READY,
    UNREACHABLE,
    UNSCHEDULABLE,
    Evict,
    MarkPodsNotReady,
    SetConditions,
    SetTaints,
    decide,
    leaves_at,
)
from apps.nodes.logic.ranges import next_range
from nodeworker.wire.time import format_time

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def node(ready="True", taints=(), unschedulable=False, reason="KubeletReady"):
    condition = {"type": "Ready", "status": ready, "reason": reason}
    metadata = {"name": "n1", "uid": "n", "creationTimestamp": format_time(NOW - timedelta(days=1))}
    spec = {"taints": list(taints), "unschedulable": unschedulable}
    return {"metadata": metadata, "spec": spec, "status": {"conditions": [condition]}}


def pod(name="a", tolerations=(), **metadata):
    made = {"metadata": {"namespace": "shop", "name": name, "uid": name, **metadata}}
    conditions = [{"type": "Ready", "status": "True"}]
    return {**made, "spec": {"tolerations": list(tolerations)}, "status": {"conditions": conditions}}


def taint(key, seconds_ago=0, effect="NoExecute"):
    return {"key": key, "effect": effect, "timeAdded": format_time(NOW - timedelta(seconds=seconds_ago))}


def unreachable(seconds_ago=0):
    return [taint(UNREACHABLE, seconds_ago, "NoSchedule"), taint(UNREACHABLE, seconds_ago)]


def of(plan, kind):
    return [action for action in plan.actions if isinstance(action, kind)]


def test_a_living_node_is_left_alone_and_looked_at_when_it_could_be_silent():
    plan = decide(node(), NOW, [pod()], NOW)
    assert plan.actions == ()
    assert plan.look_at == NOW + GRACE


def test_a_lease_of_40_seconds_makes_the_node_unknown():
    plan = decide(node(), NOW - GRACE, [pod()], NOW)
    (conditions,) = of(plan, SetConditions)
    assert conditions.conditions[0]["status"] == "Unknown"
    (taints,) = of(plan, SetTaints)
    assert [(t["key"], t["effect"]) for t in taints.taints] == [(UNREACHABLE, "NoSchedule"), (UNREACHABLE, "NoExecute")]
    assert of(plan, MarkPodsNotReady) == [MarkPodsNotReady((("shop", "a"),))]


def test_a_lease_of_39_seconds_does_not():
    assert decide(node(), NOW - timedelta(seconds=39), [pod()], NOW).actions == ()


def test_a_node_that_is_not_ready_says_so_by_taints():
    (taints,) = of(decide(node("False"), NOW, [], NOW), SetTaints)
    assert {t["key"] for t in taints.taints} == {NOT_READY}


def test_a_cordoned_node_has_its_taint_and_loses_it():
    (taints,) = of(decide(node(unschedulable=True), NOW, [], NOW), SetTaints)
    assert taints.taints[0]["key"] == UNSCHEDULABLE
    (taints,) = of(decide(node(taints=[taint(UNSCHEDULABLE, effect="NoSchedule")]), NOW, [], NOW), SetTaints)
    assert taints.taints == ()


def test_a_taint_of_the_user_stays():
    mine = {"key": "gpu", "value": "yes", "effect": "NoSchedule"}
    assert decide(node(taints=[mine]), NOW, [], NOW).actions == ()


def test_a_node_that_is_heard_again_is_as_it_was():
    plan = decide(node("Unknown", unreachable(60), reason="NodeStatusUnknown"), NOW, [], NOW)
    assert of(plan, SetConditions)[0].conditions[0]["status"] == "True"
    assert of(plan, SetTaints)[0].taints == ()


def test_pods_stay_for_five_minutes_unless_they_say_otherwise():
    lost = node("Unknown", unreachable(299), reason="NodeStatusUnknown")
    old = NOW - timedelta(hours=1)
    assert of(decide(lost, old, [pod()], NOW), Evict) == []
    assert decide(lost, old, [pod()], NOW).look_at == NOW + timedelta(seconds=1)
    lost = node("Unknown", unreachable(300), reason="NodeStatusUnknown")
    assert of(decide(lost, old, [pod()], NOW), Evict) == [Evict("shop", "a", "a", UNREACHABLE)]


def test_nobody_is_evicted_while_most_nodes_are_lost():
    lost = node("Unknown", unreachable(900), reason="NodeStatusUnknown")
    plan = decide(lost, NOW - timedelta(hours=1), [pod()], NOW, lost_fraction=0.55)
    assert of(plan, Evict) == []
    assert plan.look_at is not None


def test_a_pod_that_is_leaving_is_not_evicted_again():
    lost = node("Unknown", unreachable(900), reason="NodeStatusUnknown")
    leaving = pod(deletionTimestamp=format_time(NOW))
    assert of(decide(lost, NOW - timedelta(hours=1), [leaving], NOW), Evict) == []


@pytest.mark.parametrize(
    ("toleration", "seconds"),
    [
        ({"operator": "Exists"}, None),
        ({"key": UNREACHABLE, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 30}, 30),
        ({"key": UNREACHABLE, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 0}, 0),
        ({"key": "other", "operator": "Exists"}, 300),
        ({"key": UNREACHABLE, "operator": "Exists", "effect": "NoSchedule"}, 300),
    ],
)
def test_a_toleration_says_how_long_a_pod_stays(toleration, seconds):
    expected = None if seconds is None else NOW + timedelta(seconds=seconds)
    assert leaves_at(pod(tolerations=[toleration]), taint(UNREACHABLE), NOW) == expected


def test_a_users_no_execute_taint_drives_pods_away_at_once():
    plan = decide(node(taints=[taint("maintenance")]), NOW, [pod()], NOW)
    assert of(plan, Evict) == [Evict("shop", "a", "a", "maintenance")]


@given(st.integers(0, 60))
def test_ranges_are_never_given_twice(count):
    taken = []
    for _ in range(count):
        taken.append(next_range("10.244.0.0/18", taken))
    given_out = [each for each in taken if each]
    assert len(given_out) == len(set(given_out)) == min(count, 64)


def test_a_full_range_gives_nothing():
    assert next_range("10.0.0.0/23", ["10.0.0.0/24", "10.0.1.0/24"]) is None


def test_a_gap_is_used_again():
    assert next_range("10.0.0.0/16", ["10.0.0.0/24", "10.0.2.0/24"]) == "10.0.1.0/24"
