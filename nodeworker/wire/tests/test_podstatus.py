"""The STATUS, READY and RESTARTS columns are those that kubectl prints."""

from datetime import UTC, datetime
from typing import Any

import pytest

from nodeworker.wire.podstatus import is_pod_ready, ready_count, restarts_text, status_word

NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
RUNNING = {"running": {"startedAt": "2026-01-01T11:00:00Z"}}


def container(state: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"name": "c", "state": state, "ready": False, "restartCount": 0, **more}


def pod(*containers: dict[str, Any], phase: str = "Running", init: Any = (), spec: Any = None, **more: Any) -> Any:
    declared = {"containers": [{"name": "c"} for _ in containers] or [{"name": "c"}], **(spec or {})}
    status: dict[str, Any] = {
        "phase": phase,
        "containerStatuses": list(containers),
        "initContainerStatuses": list(init),
    }
    metadata = {"deletionTimestamp": more.pop("deleted")} if "deleted" in more else {}
    return {"metadata": metadata, "spec": declared, "status": {**status, **more}}


READY: Any = {"conditions": [{"type": "Ready", "status": "True"}]}
TWO_INITS = {"initContainers": [{"name": "i0"}, {"name": "i1"}]}
DONE = container({"terminated": {"exitCode": 0, "reason": "Completed"}}, name="i0")


@pytest.mark.parametrize(
    ("seen", "word"),
    [
        ({"metadata": {}, "spec": {"containers": [{}]}}, "Unknown"),
        (pod(phase="Pending"), "Pending"),
        (pod(container({"waiting": {"reason": "ContainerCreating"}}), phase="Pending"), "ContainerCreating"),
        (pod(container({"waiting": {"reason": "ErrImagePull"}}), phase="Pending"), "ErrImagePull"),
        (pod(container({"waiting": {"reason": "ImagePullBackOff"}}), phase="Pending"), "ImagePullBackOff"),
        (pod(container({"waiting": {"reason": "CrashLoopBackOff"}})), "CrashLoopBackOff"),
        (pod(container(RUNNING, ready=True), **READY), "Running"),
        (pod(container({"terminated": {"exitCode": 0, "reason": "Completed"}}), phase="Succeeded"), "Completed"),
        (pod(container({"terminated": {"exitCode": 1, "reason": "Error"}}), phase="Failed"), "Error"),
        (pod(container({"terminated": {"exitCode": 137, "reason": "OOMKilled"}})), "OOMKilled"),
        (pod(container({"terminated": {"exitCode": 137, "signal": 9}})), "Signal:9"),
        (pod(container({"terminated": {"exitCode": 3}})), "ExitCode:3"),
        (pod(container(RUNNING, ready=True), DONE, **READY), "Running"),
        (pod(DONE, container(RUNNING, ready=True)), "NotReady"),
        (pod(container(RUNNING), deleted="2026-01-01T11:59:59Z"), "Terminating"),
        (pod(container(RUNNING), deleted="2026-01-01T11:59:59Z", reason="NodeLost"), "Unknown"),
        (pod(DONE, phase="Succeeded", deleted="2026-01-01T11:59:59Z"), "Completed"),
        (pod(phase="Failed", reason="Evicted"), "Evicted"),
        (pod(phase="Pending", conditions=[{"type": "PodScheduled", "reason": "SchedulingGated"}]), "SchedulingGated"),
        (pod(phase="Pending", spec=TWO_INITS, init=[container(RUNNING)]), "Init:0/2"),
        (pod(phase="Pending", spec=TWO_INITS, init=[DONE, container({"waiting": {}})]), "Init:1/2"),
        (
            pod(phase="Pending", spec=TWO_INITS, init=[container({"waiting": {"reason": "CrashLoopBackOff"}})]),
            "Init:CrashLoopBackOff",
        ),
        (pod(phase="Pending", spec=TWO_INITS, init=[container({"terminated": {"exitCode": 2}})]), "Init:ExitCode:2"),
        (
            pod(phase="Pending", spec=TWO_INITS, init=[container({"terminated": {"exitCode": 1, "reason": "Error"}})]),
            "Init:Error",
        ),
        (
            pod(phase="Pending", spec=TWO_INITS, init=[container({"terminated": {"exitCode": 1, "signal": 9}})]),
            "Init:Signal:9",
        ),
        (
            pod(
                container({"waiting": {"reason": "PodInitializing"}}),
                phase="Pending",
                spec=TWO_INITS,
                init=[DONE, DONE],
            ),
            "PodInitializing",
        ),
    ],
)
def test_the_status_word_is_that_of_kubectl(seen: Any, word: str) -> None:
    assert status_word(seen, NOW) == word


def test_ready_counts_containers_and_started_sidecars() -> None:
    spec = {"initContainers": [{"name": "side", "restartPolicy": "Always"}]}
    sidecar = container(RUNNING, name="side", ready=True, started=True, restartCount=2)
    seen = pod(container(RUNNING, ready=True), spec=spec, init=[sidecar])
    assert ready_count(seen) == (2, 2)
    assert restarts_text(seen, NOW) == "2"


def test_restarts_say_when_the_last_one_was() -> None:
    last = {"terminated": {"exitCode": 1, "finishedAt": "2026-01-01T11:55:00Z"}}
    seen = pod(container(RUNNING, ready=True, restartCount=3, lastState=last))
    assert restarts_text(seen, NOW) == "3 (5m ago)"


def test_restarts_of_init_containers_count_only_while_they_run() -> None:
    spec = {"initContainers": [{"name": "i0"}]}
    assert restarts_text(pod(spec=spec, init=[container(RUNNING, restartCount=4)]), NOW) == "4"
    finished = container({"terminated": {"exitCode": 0}}, restartCount=4)
    assert restarts_text(pod(container(RUNNING, restartCount=1), spec=spec, init=[finished]), NOW) == "1"


def test_ready_is_the_condition_and_nothing_else() -> None:
    assert is_pod_ready(pod(**READY))
    assert not is_pod_ready(pod(container(RUNNING, ready=True)))
