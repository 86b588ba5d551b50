"""What a DELETE means: pure decisions."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.store.deletion import Keep, Mark, Propagation, Remove, decide, released

NOW = datetime(2030, 1, 1, tzinfo=UTC)
Json = dict[str, Any]


def decided(
    kind: str, object: Json, grace: int | None = None, propagation: Propagation = "Background", **more: Any
) -> Any:
    return decide(kind, object, grace=grace, propagation=propagation, children=more.get("children", False), now=NOW)


def a_pod(node: str = "n1", phase: str = "Running", **metadata: Any) -> Json:
    ready = {"type": "Ready", "status": "True"}
    return {
        "metadata": {"name": "p", **metadata},
        "spec": {"nodeName": node, "terminationGracePeriodSeconds": 30},
        "status": {"phase": phase, "conditions": [ready]},
    }


def test_a_bound_pod_gets_its_grace_period_and_is_not_ready() -> None:
    marked = decided("Pod", a_pod()).object
    assert marked["metadata"]["deletionTimestamp"] == "2030-01-01T00:00:30Z"
    assert marked["metadata"]["deletionGracePeriodSeconds"] == 30
    assert marked["status"]["conditions"][0]["status"] == "False"


@pytest.mark.parametrize("pod", [a_pod(node=""), a_pod(phase="Succeeded"), a_pod(phase="Failed")])
def test_pods_that_run_nowhere_go_at_once(pod: Json) -> None:
    assert decided("Pod", pod) == Remove()


def test_a_grace_period_of_zero_removes() -> None:
    assert decided("Pod", a_pod(), grace=0) == Remove()


def test_a_negative_grace_period_is_a_second() -> None:
    assert decided("Pod", a_pod(), grace=-1).object["metadata"]["deletionGracePeriodSeconds"] == 1


def test_a_second_deletion_changes_nothing_unless_it_is_sooner() -> None:
    marked = decided("Pod", a_pod()).object
    assert decided("Pod", marked) == Keep()
    sooner = decided("Pod", marked, grace=5).object
    assert sooner["metadata"]["deletionTimestamp"] == "2030-01-01T00:00:05Z"


def test_finalizers_hold_an_object() -> None:
    marked = decided("ConfigMap", {"metadata": {"name": "a", "finalizers": ["x/y"]}})
    assert isinstance(marked, Mark)
    assert not released("ConfigMap", marked.object)


def test_an_object_without_its_last_finalizer_is_released() -> None:
    marked = decided("ConfigMap", {"metadata": {"name": "a", "finalizers": ["x/y"]}}).object
    del marked["metadata"]["finalizers"]
    assert released("ConfigMap", marked)


def test_foreground_deletion_waits_for_children_only() -> None:
    owner = {"metadata": {"name": "a"}}
    assert decided("ConfigMap", owner, propagation="Foreground") == Remove()
    marked = decided("ConfigMap", owner, propagation="Foreground", children=True).object
    assert marked["metadata"]["finalizers"] == ["foregroundDeletion"]


def test_a_namespace_is_terminating_first() -> None:
    marked = decided("Namespace", {"metadata": {"name": "a"}, "spec": {"finalizers": ["kubernetes"]}}).object
    assert marked["status"]["phase"] == "Terminating"


@given(st.integers(-5, 100), st.integers(-5, 100), st.sampled_from(["", "n1"]), st.booleans())
def test_deleting_never_lengthens_a_grace_period(first: int, second: int, node: str, held: bool) -> None:
    pod = a_pod(node=node)
    if held:
        pod["metadata"]["finalizers"] = ["x/y"]
    decision = decided("Pod", pod, grace=first)
    if not isinstance(decision, Mark):
        return
    again = decided("Pod", decision.object, grace=second)
    if isinstance(again, Mark):
        before, after = decision.object["metadata"], again.object["metadata"]
        assert after["deletionGracePeriodSeconds"] < before["deletionGracePeriodSeconds"]
        assert after["deletionTimestamp"] <= before["deletionTimestamp"]
