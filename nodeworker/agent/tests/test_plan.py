"""What the agent decides to do, case by case and as properties."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodeworker.agent.logic import actions as do
from nodeworker.agent.logic import backoff
from nodeworker.agent.logic.observed import (
    SANDBOX,
    ContainerSeen,
    Crash,
    Failure,
    Hook,
    ImageSeen,
    Kill,
    Memory,
    PodSeen,
    Probed,
    View,
)
from nodeworker.agent.logic.plan import plan
from nodeworker.agent.tests.pods import exited, make_pod, running, view_of

NOW = 100.0


def actions(view, now=NOW):
    return list(plan(view, now).actions)


def test_a_new_pod_gets_its_sandbox_first():
    assert actions(view_of(make_pod(), sandbox=False)) == [do.EnsureSandbox()]


def test_images_are_fetched_while_the_sandbox_is_made():
    assert actions(view_of(make_pod(), sandbox=False, images={})) == [do.PullImage("main"), do.EnsureSandbox()]


def test_a_container_with_its_image_is_created_and_started():
    assert actions(view_of(make_pod())) == [do.CreateContainer("main", 0), do.StartContainer("main", 0)]


def test_a_container_without_its_image_pulls():
    assert actions(view_of(make_pod(), images={})) == [do.PullImage("main")]


def test_a_pull_under_way_is_waited_for():
    assert plan(view_of(make_pod(), images={"main": ImageSeen("pulling")}), NOW) == do.Plan()


def test_a_failed_pull_is_tried_again_in_time():
    failed = ImageSeen("failed", "ErrImagePull", "refused", failed_at=95.0, retry_at=105.0)
    view = view_of(make_pod(), images={"main": failed})
    assert plan(view, NOW) == do.Plan((), 105.0)
    assert actions(view, 105.0) == [do.PullImage("main")]


def test_a_created_container_is_only_started():
    created = ContainerSeen("main", 0, "created", created_at=10.0)
    assert actions(view_of(make_pod(), created)) == [do.StartContainer("main", 0)]


def test_a_running_pod_needs_nothing():
    assert plan(view_of(make_pod(), running()), NOW) == do.Plan()


def test_the_first_restart_comes_at_once():
    assert actions(view_of(make_pod(), exited())) == [do.CreateContainer("main", 1), do.StartContainer("main", 1)]


def test_the_second_restart_waits_ten_seconds():
    memory = Memory(started_at=5.0, crashes={"main": Crash(10.0, 15.0)}, attempts={"main": 1})
    view = view_of(make_pod(), exited(attempt=1, at=96.0), memory=memory)
    assert plan(view, NOW) == do.Plan((), 106.0)
    assert do.CreateContainer("main", 2) in actions(view, 106.0)


@pytest.mark.parametrize(
    ("policy", "code", "restarts"),
    [
        ("Always", 0, True),
        ("Always", 1, True),
        ("OnFailure", 0, False),
        ("OnFailure", 1, True),
        ("Never", 0, False),
        ("Never", 1, False),
    ],
)
def test_the_restart_policy_decides(policy, code, restarts):
    pod = make_pod("main", "other", policy=policy)
    planned = actions(view_of(pod, exited(code=code), running("other")))
    assert (do.CreateContainer("main", 1) in planned) is restarts


def test_a_pod_whose_containers_have_all_ended_is_stopped():
    view = view_of(make_pod(policy="Never"), exited())
    assert actions(view) == [do.StopPod()]
    assert actions(view_of(make_pod(policy="Never"), exited(), alive=False)) == []


def test_init_containers_come_one_after_the_other():
    pod = make_pod(init=("first", "second"))
    assert actions(view_of(pod)) == [do.CreateContainer("first", 0), do.StartContainer("first", 0)]
    assert actions(view_of(pod, running("first"))) == []
    assert do.CreateContainer("second", 0) in actions(view_of(pod, exited("first")))
    assert do.CreateContainer("main", 0) in actions(view_of(pod, exited("first"), exited("second")))


def test_a_failed_init_container_is_repeated_unless_never():
    pod = make_pod(init=("first",))
    assert do.CreateContainer("first", 1) in actions(view_of(pod, exited("first", code=1)))
    never = make_pod(init=("first",), policy="Never")
    assert actions(view_of(never, exited("first", code=1))) == [do.StopPod()]


def test_an_init_container_that_is_done_does_not_run_again_when_a_container_restarts():
    pod = make_pod(init=("first",))
    assert do.CreateContainer("main", 1) in actions(view_of(pod, exited("main")))


def test_a_failed_liveness_probe_kills_with_grace():
    view = view_of(make_pod(), running(), probes={"main": Probed(failed="liveness", message="failed")})
    planned = plan(view, NOW)
    assert planned.actions == (do.KillContainer("main", 0, 30.0, "failed"),)
    assert planned.wake_at == NOW + 30


def test_deletion_sends_sigterm_and_wakes_at_the_deadline():
    view = view_of(make_pod(deleting=7), running())
    assert plan(view, NOW) == do.Plan((do.KillContainer("main", 0, 7.0),), NOW + 7)


def test_ready_is_taken_back_before_sigterm():
    pod = make_pod(deleting=7, conditions=[{"type": "Ready", "status": "True"}])
    assert actions(view_of(pod, running())) == [do.SetStatus(), do.KillContainer("main", 0, 7.0)]


def test_sigkill_comes_at_the_deadline_and_not_before():
    memory = Memory(kills={"main/0": Kill(NOW, NOW + 7)})
    view = view_of(make_pod(deleting=7), running(), memory=memory)
    assert plan(view, NOW + 6.9) == do.Plan((), NOW + 7)
    assert actions(view, NOW + 7) == [do.KillContainer("main", 0, 0.0)]


def test_a_second_deletion_may_shorten_the_grace():
    memory = Memory(kills={"main/0": Kill(NOW, NOW + 30)})
    view = view_of(make_pod(deleting=1), running(), memory=memory)
    assert actions(view, NOW + 1) == [do.KillContainer("main", 0, 0.0)]


def test_sigkill_is_sent_once():
    memory = Memory(kills={"main/0": Kill(NOW, NOW, forced=True)})
    assert plan(view_of(make_pod(deleting=0), running(), memory=memory), NOW + 9) == do.Plan()


def test_an_ended_pod_is_cleaned_up_told_and_deleted():
    view = view_of(make_pod(deleting=7), exited(code=143))
    assert actions(view) == [do.StopPod(), do.SetStatus(), do.RemovePod(), do.DeletePod()]


def test_a_pod_deleted_before_it_ran_is_deleted_at_once():
    assert actions(view_of(make_pod(deleting=7), sandbox=False)) == [do.DeletePod()]


def test_a_pod_whose_object_is_gone_is_killed_and_removed():
    assert actions(view_of(None, running())) == [do.KillContainer("main", 0, 2.0)]
    assert actions(view_of(None, exited())) == [do.StopPod(), do.RemovePod(forget=True)]
    assert actions(view_of(None, sandbox=False)) == []


def test_after_a_reboot_the_sandbox_is_made_anew():
    view = view_of(make_pod(), exited(code=255), alive=False)
    assert actions(view) == [do.StopPod(), do.RemovePod(), do.EnsureSandbox()]


def test_after_a_reboot_attempts_go_on_counting():
    memory = Memory(attempts={"main": 3}, last={"main": exited(attempt=3)})
    assert do.CreateContainer("main", 4) in actions(view_of(make_pod(), memory=memory))


def test_after_a_reboot_what_had_ended_stays_ended():
    memory = Memory(attempts={"main": 0}, last={"main": exited(), "other": exited("other", code=255)})
    view = view_of(make_pod("main", "other", policy="OnFailure"), memory=memory)
    assert [action.name for action in actions(view)] == ["other", "other"]


def test_a_failed_sandbox_is_retried_later():
    memory = Memory(failures={SANDBOX: Failure("ContainerCreating", "no", NOW, NOW + 1)})
    view = view_of(make_pod(), sandbox=False, memory=memory)
    assert plan(view, NOW) == do.Plan((), NOW + 1)
    assert actions(view, NOW + 1) == [do.EnsureSandbox()]


def test_old_attempts_are_removed_but_the_previous_one_stays():
    seen = (exited(attempt=0), exited(attempt=1), running(attempt=2))
    assert actions(view_of(make_pod(), *seen)) == [do.RemoveContainer("main", 0)]


def test_a_pod_that_failed_elsewhere_is_not_run():
    pod = make_pod(phase="Failed")
    assert actions(view_of(pod, running())) == [do.KillContainer("main", 0, 0.0)]
    assert actions(view_of(pod, sandbox=False)) == []


def test_back_off_doubles_to_five_minutes_and_is_forgotten_after_ten():
    crash, at, waits = None, 0.0, []
    for _ in range(8):
        start = backoff.restart_at(crash, at)
        waits.append(start - at)
        crash = backoff.after_restart(crash, at, start)
        at = start + 1
    assert waits == [0, 10, 20, 40, 80, 160, 300, 300]
    assert backoff.restart_at(crash, at + 601) == at + 601


# Properties: a simulated runtime carries the plans out


def carry_out(view: View, now: float) -> View:
    """The view after one plan, as a perfect runtime would make it."""
    containers = {(c.name, c.attempt): c for c in (view.observed.containers if view.observed else ())}
    observed, memory, images = view.observed, view.memory, dict(view.images)
    for action in plan(view, now).actions:
        match action:
            case do.EnsureSandbox():
                observed, containers = PodSeen("u1", True), {}
            case do.PullImage(name):
                images[name] = ImageSeen("ready")
            case do.CreateContainer(name, attempt):
                alive = [c for c in containers.values() if c.name == name and c.alive]
                assert not alive, "two containers of one name"
                assert (name, attempt) not in containers
                ended = [c for c in containers.values() if c.name == name]
                if name in memory.last and name != "first":  # init containers run at once in a new sandbox
                    ended.append(memory.last[name])
                crashes = dict(memory.crashes)
                if ended:
                    last = max(ended, key=lambda c: c.attempt)
                    assert now >= backoff.restart_at(crashes.get(name), last.finished_at)
                    crashes[name] = backoff.after_restart(crashes.get(name), last.finished_at, now)
                containers[(name, attempt)] = ContainerSeen(name, attempt, "created", created_at=now)
                memory = replace(memory, crashes=crashes, attempts={**memory.attempts, name: attempt})
            case do.StartContainer(name, attempt):
                made = containers[(name, attempt)]
                containers[(name, attempt)] = replace(made, phase="running", started_at=now)
            case do.KillContainer(name, attempt, grace, _):
                key = f"{name}/{attempt}"
                known = memory.kills.get(key)
                if grace <= 0 and known is not None:
                    assert now >= known.deadline or view.pod is None or now >= known.at + view_grace(view)
                began = known.at if known else now
                memory = replace(memory, kills={**memory.kills, key: Kill(began, now + grace, grace <= 0)})
                if grace <= 0:
                    seen = containers[(name, attempt)]
                    containers[(name, attempt)] = replace(seen, phase="exited", finished_at=now, signal=9)
            case do.RemoveContainer(name, attempt):
                assert not containers[(name, attempt)].alive
                del containers[(name, attempt)]
            case do.StopPod():
                ends = {c.name: c for c in sorted(containers.values(), key=lambda c: c.attempt) if not c.alive}
                memory = replace(memory, last={**memory.last, **ends})
                observed = replace(observed, alive=False) if observed else None
            case do.RemovePod():
                observed, containers = None, {}
    if observed is not None:
        observed = replace(observed, containers=tuple(containers.values()))
    return replace(view, observed=observed, memory=memory, images=images)


def view_grace(view: View) -> float:
    assert view.pod is not None
    return float(view.pod["metadata"].get("deletionGracePeriodSeconds", 30))


events = st.lists(
    st.one_of(
        st.tuples(st.just("exit"), st.sampled_from(["main", "other", "first"]), st.integers(0, 1)),
        st.tuples(st.just("wait"), st.floats(0.1, 400), st.just(0)),
        st.tuples(st.just("reboot"), st.just(""), st.just(0)),
        st.tuples(st.just("delete"), st.floats(0, 40), st.just(0)),
    ),
    max_size=25,
)


@settings(max_examples=150, deadline=None)
@given(events, st.sampled_from(["Always", "OnFailure", "Never"]), st.booleans())
def test_whatever_happens_no_name_runs_twice_and_a_settled_pod_needs_nothing(steps, policy, with_init):
    view, now = view_of(make_pod("main", "other", policy=policy, init=("first",) * with_init), sandbox=False), 100.0
    for kind, value, code in steps:
        now += 0.5
        if kind == "wait":
            now += value
        elif kind == "exit" and view.observed is not None and view.observed.alive:
            ended = tuple(
                replace(c, phase="exited", finished_at=now, exit_code=code) if c.alive and c.name == value else c
                for c in view.observed.containers
            )
            view = replace(view, observed=replace(view.observed, containers=ended))
        elif kind == "reboot" and view.observed is not None:
            ended = tuple(
                replace(c, phase="exited", finished_at=now, exit_code=255) if c.alive else c
                for c in view.observed.containers
            )
            view = replace(view, observed=replace(view.observed, alive=False, containers=ended))
        elif kind == "delete":
            metadata = {**view.pod["metadata"], "deletionTimestamp": "x", "deletionGracePeriodSeconds": value}
            view = replace(view, pod={**view.pod, "metadata": metadata})
        for _ in range(12):
            if not [a for a in plan(view, now).actions if not isinstance(a, do.DeletePod | do.SetStatus)]:
                break
            view = carry_out(view, now)
        else:
            raise AssertionError("the plan never settles")


def with_hook(kind, **more):
    pod = make_pod(**more)
    pod["spec"]["containers"][0]["lifecycle"] = {kind: {"exec": {"command": ["true"]}}}
    return pod


def test_post_start_runs_once_and_its_failure_kills():
    pod = with_hook("postStart")
    assert actions(view_of(pod, running())) == [do.RunHook("main", 0, "postStart", 600.0)]
    assert actions(view_of(pod, running(), hooks={"main/0/postStart": Hook(90.0)})) == []
    failed = view_of(pod, running(), hooks={"main/0/postStart": Hook(90.0, 91.0, failed=True)})
    assert actions(failed) == [do.KillContainer("main", 0, 30.0, "FailedPostStartHook")]


def test_pre_stop_runs_before_the_signal_and_within_the_grace():
    pod = with_hook("preStop", deleting=10.0)
    assert actions(view_of(pod, running())) == [do.RunHook("main", 0, "preStop", 10.0)]
    runs = view_of(pod, running(), hooks={"main/0/preStop": Hook(95.0)})
    assert plan(runs, NOW) == do.Plan((), 105.0)
    assert actions(runs, 105.0) == [do.KillContainer("main", 0, 2.0)]
    ended = view_of(pod, running(), hooks={"main/0/preStop": Hook(95.0, 98.0)})
    assert actions(ended) == [do.KillContainer("main", 0, 7.0)]


def test_a_deletion_by_force_and_a_container_without_the_hook_skip_pre_stop():
    assert actions(view_of(with_hook("preStop", deleting=0.0), running())) == [do.KillContainer("main", 0, 0.0)]
    assert actions(view_of(with_hook("postStart", deleting=5.0), running())) == [do.KillContainer("main", 0, 5.0)]
