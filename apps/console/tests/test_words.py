"""States and sentences: kubectl's words, no green for what is not ready, a reason for all that is not well."""

from datetime import UTC, datetime
from typing import Any

import pytest

from apps.console.words import deployment_state, exit_sentence, explain_pod, node_state, pod_state

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def pod(phase: str = "Running", ready: bool = True, node: str = "n1", **state: Any) -> dict[str, Any]:
    container = {"name": "main", "image": "nginx", "ready": ready, "restartCount": 0, "state": state or {"running": {}}}
    return {
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"nodeName": node, "containers": [{"name": "main", "image": "nginx"}]},
        "status": {
            "phase": phase,
            "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
            "containerStatuses": [container],
        },
    }


def test_a_ready_pod_is_green_and_needs_no_explanation() -> None:
    assert (pod_state(pod(), NOW).look, explain_pod(pod(), NOW)) == ("healthy", None)


def test_running_but_not_ready_is_not_green_and_is_explained() -> None:
    waiting = pod(ready=False)
    explanation = explain_pod(waiting, NOW)
    assert pod_state(waiting, NOW).look == "pending"
    assert explanation is not None
    assert "no Service sends it traffic" in explanation.sentence


@pytest.mark.parametrize("reason", ["ErrImagePull", "ImagePullBackOff", "CrashLoopBackOff", "RunContainerError"])
def test_a_container_that_cannot_run_is_red_and_explained(reason: str) -> None:
    broken = pod("Pending", ready=False, waiting={"reason": reason, "message": "the cause"})
    explanation = explain_pod(broken, NOW)
    assert (pod_state(broken, NOW).look, pod_state(broken, NOW).word) == ("failed", reason)
    assert explanation is not None
    assert explanation.detail == "the cause"


def test_a_pod_that_fits_nowhere_shows_the_scheduler_s_words() -> None:
    unplaced = pod("Pending", ready=False, node="")
    message = "0/1 nodes are available: 1 Insufficient cpu."
    unplaced["status"]["conditions"] = [{"type": "PodScheduled", "status": "False", "message": message}]
    explanation = explain_pod(unplaced, NOW)
    assert explanation is not None
    assert explanation.detail == message


def test_a_pod_that_is_being_deleted_is_leaving() -> None:
    leaving = pod()
    leaving["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert pod_state(leaving, NOW).look == "leaving"


@pytest.mark.parametrize(
    ("code", "signal", "reason", "words"),
    [
        (137, 0, "OOMKilled", "more memory than its limit"),
        (137, 0, "Error", "SIGKILL"),
        (139, 0, "Error", "crashed"),
        (143, 0, "Error", "asked to stop"),
        (127, 0, "Error", "not found in the image"),
        (126, 0, "Error", "could not be executed"),
        (0, 0, "Completed", "ended normally"),
        (42, 0, "Error", "exit code 42"),
    ],
)
def test_an_exit_code_is_told_in_words(code: int, signal: int, reason: str, words: str) -> None:
    assert words in exit_sentence(code, signal, reason)


def deployment(replicas: int = 3, generation: int = 1, **status: int) -> dict[str, Any]:
    return {
        "metadata": {"name": "web", "generation": generation},
        "spec": {"replicas": replicas},
        "status": {"observedGeneration": 1, **status},
    }


@pytest.mark.parametrize(
    ("seen", "word"),
    [
        (deployment(updatedReplicas=3, replicas=3, availableReplicas=3), "Healthy"),
        (deployment(updatedReplicas=1, replicas=4, availableReplicas=3), "Deploying"),
        (deployment(updatedReplicas=3, replicas=3, availableReplicas=2), "Deploying"),
        (deployment(replicas=0), "Scaled down"),
        (deployment(generation=2, updatedReplicas=3, replicas=3, availableReplicas=3), "Deploying"),
    ],
)
def test_a_deployment_has_one_word(seen: dict[str, Any], word: str) -> None:
    assert deployment_state(seen).word == word


def test_a_node_that_says_nothing_is_unknown_and_a_cordoned_one_is_not_green() -> None:
    silent = {"status": {"conditions": [{"type": "Ready", "status": "Unknown"}]}}
    cordoned = {"spec": {"unschedulable": True}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    assert node_state(silent).word == "Unknown"
    assert (node_state(cordoned).look, node_state(cordoned).word) == ("pending", "Ready,SchedulingDisabled")
