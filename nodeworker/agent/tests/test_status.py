"""The status of a pod, as the kubelet would write it."""

from nodeworker.agent.logic.observed import Crash, Failure, ImageSeen, Memory, Probed
from nodeworker.agent.logic.status import compute_status, differs, qos_class, without_times
from nodeworker.agent.tests.pods import exited, make_pod, running, view_of

NOW = 100.0


def status_of(pod, *containers, **more):
    return compute_status(pod, view_of(pod, *containers, **more), NOW)


def condition(status, kind):
    return next(entry for entry in status["conditions"] if entry["type"] == kind)


def test_before_anything_the_containers_are_creating():
    status = status_of(make_pod(), sandbox=False)
    assert status["phase"] == "Pending"
    assert status["containerStatuses"][0]["state"] == {"waiting": {"reason": "ContainerCreating"}}
    assert condition(status, "Ready")["message"] == "containers with unready status: [main]"


def test_a_running_pod_is_ready():
    status = status_of(make_pod(), running())
    assert status["phase"] == "Running"
    assert condition(status, "Ready")["status"] == condition(status, "ContainersReady")["status"] == "True"
    entry = status["containerStatuses"][0]
    assert entry["state"] == {"running": {"startedAt": "1970-01-01T00:00:10Z"}}
    assert entry["containerID"] == "gantry://u1/main/0"
    assert (status["podIP"], status["hostIP"], status["startTime"]) == (
        "10.211.0.2",
        "192.0.2.1",
        "1970-01-01T00:00:05Z",
    )


def test_a_container_is_not_ready_before_its_probe():
    status = status_of(make_pod(), running(), probes={"main": Probed(ready=False)})
    assert status["phase"] == "Running"
    assert condition(status, "Ready")["reason"] == "ContainersNotReady"
    assert status["containerStatuses"][0]["started"] is True


def test_a_pod_with_one_container_that_never_ran_is_pending():
    status = status_of(make_pod("main", "other"), running(), images={"other": ImageSeen("pulling")})
    assert status["phase"] == "Pending"


def test_an_image_that_cannot_be_pulled_says_so_then_backs_off():
    failed = ImageSeen("failed", "ErrImagePull", "refused", failed_at=99.0, retry_at=110.0)
    pod = make_pod()
    waiting = status_of(pod, images={"main": failed})["containerStatuses"][0]["state"]["waiting"]
    assert waiting == {"reason": "ErrImagePull", "message": "refused"}
    later = compute_status(pod, view_of(pod, images={"main": failed}), 105.0)
    assert later["containerStatuses"][0]["state"]["waiting"] == {
        "reason": "ImagePullBackOff",
        "message": 'Back-off pulling image "nginx": ErrImagePull: refused',
    }


def test_a_crash_loop_shows_its_wait_and_the_last_end():
    memory = Memory(crashes={"main": Crash(20.0, 60.0)}, attempts={"main": 2})
    entry = status_of(make_pod(), exited(attempt=2, code=3, at=95.0), memory=memory)["containerStatuses"][0]
    assert entry["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    assert entry["state"]["waiting"]["message"] == "back-off 20s restarting failed container=main pod=web_shop(u1)"
    assert entry["lastState"]["terminated"]["exitCode"] == 3
    assert entry["restartCount"] == 2


def test_a_crash_loop_counts_as_running():
    memory = Memory(crashes={"main": Crash(20.0, 60.0)})
    assert status_of(make_pod(), exited(at=95.0), memory=memory)["phase"] == "Running"


def test_a_configuration_error_is_shown_with_its_sentence():
    memory = Memory(failures={"main": Failure("CreateContainerConfigError", 'secret "s" not found', 99.0, 101.0)})
    waiting = status_of(make_pod(), memory=memory)["containerStatuses"][0]["state"]["waiting"]
    assert waiting == {"reason": "CreateContainerConfigError", "message": 'secret "s" not found'}


def test_ends_have_the_kubelets_words():
    def reason(**more):
        status = status_of(make_pod(policy="Never"), exited(**more))
        return status["containerStatuses"][0]["state"]["terminated"]["reason"]

    assert reason() == "Completed"
    assert reason(code=1) == "Error"
    assert reason(code=137, oom_killed=True) == "OOMKilled"
    assert reason(code=127, error="no such file") == "ContainerCannotRun"


def test_a_signal_becomes_an_exit_code():
    status = status_of(make_pod(policy="Never"), exited(signal=9))
    terminated = status["containerStatuses"][0]["state"]["terminated"]
    assert (terminated["exitCode"], terminated["signal"]) == (137, 9)


def test_pods_that_do_not_restart_succeed_or_fail():
    assert status_of(make_pod(policy="Never"), exited())["phase"] == "Succeeded"
    assert status_of(make_pod(policy="Never"), exited(code=1))["phase"] == "Failed"
    assert status_of(make_pod("main", "other", policy="Never"), exited(), running("other"))["phase"] == "Running"
    succeeded = status_of(make_pod(policy="OnFailure"), exited())
    assert condition(succeeded, "Ready")["reason"] == "PodCompleted"


def test_init_containers_keep_the_pod_pending():
    status = status_of(make_pod(init=("first",)), running("first"))
    assert status["phase"] == "Pending"
    assert status["containerStatuses"][0]["state"]["waiting"]["reason"] == "PodInitializing"
    assert condition(status, "Initialized")["message"] == "containers with incomplete status: [first]"
    assert "running" in status["initContainerStatuses"][0]["state"]


def test_a_finished_init_container_is_completed_and_ready():
    status = status_of(make_pod(init=("first",)), exited("first"), running())
    entry = status["initContainerStatuses"][0]
    assert entry["ready"] and entry["state"]["terminated"]["reason"] == "Completed"
    assert condition(status, "Initialized")["status"] == "True"


def test_a_failed_init_container_fails_the_pod_that_never_restarts():
    status = status_of(make_pod(init=("first",), policy="Never"), exited("first", code=1))
    assert status["phase"] == "Failed"


def test_a_terminating_pod_is_not_ready_whatever_its_containers_say():
    pod = make_pod(deleting=30, conditions=[{"type": "Ready", "status": "False", "reason": "Deleted by the API"}])
    ready = condition(status_of(pod, running()), "Ready")
    assert (ready["status"], ready["reason"]) == ("False", "Deleted by the API")


def test_a_terminated_pod_ends_in_a_final_phase():
    assert status_of(make_pod(deleting=30), exited(code=143))["phase"] == "Failed"
    assert status_of(make_pod(deleting=30), exited())["phase"] == "Succeeded"


def test_transition_times_stay_while_the_status_stays():
    since = "2020-01-01T00:00:00Z"
    pod = make_pod(conditions=[{"type": "Ready", "status": "True", "lastTransitionTime": since}])
    assert condition(status_of(pod, running()), "Ready")["lastTransitionTime"] == since


def test_a_reason_that_no_longer_holds_is_taken_away():
    pod = make_pod(conditions=[{"type": "Ready", "status": "False", "reason": "ContainersNotReady"}])
    assert condition(status_of(pod, running()), "Ready")["reason"] is None


def test_a_known_status_needs_no_write():
    pod = make_pod()
    status = status_of(pod, running())
    assert differs(pod, status)
    pod["status"] = {**status, "conditions": [*status["conditions"], {"type": "PodScheduled", "status": "True"}]}
    assert not differs(pod, compute_status(pod, view_of(pod, running()), NOW + 50))


def test_times_alone_make_no_difference():
    assert without_times({"a": [{"lastTransitionTime": 1, "b": 2}]}) == {"a": [{"b": 2}]}


def test_quality_of_service_classes():
    pod = make_pod()
    assert qos_class(pod) == "BestEffort"
    pod["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "1"}}
    assert qos_class(pod) == "Burstable"
    pod["spec"]["containers"][0]["resources"] = {"limits": {"cpu": "1", "memory": "1Gi"}}
    assert qos_class(pod) == "Guaranteed"
