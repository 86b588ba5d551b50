"""The Deployment controller's decision, alone and in a simulated world."""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.workloads.logic.actions import AnnotateReplicaSet, CreateReplicaSet, DeleteReplicaSet, ScaleReplicaSet
from apps.workloads.logic.conditions import find
from apps.workloads.logic.deployments import decide, find_new, new_replica_set, with_collision
from apps.workloads.logic.hashing import fnv32a, template_hash
from apps.workloads.logic.rollout import Bounds, amount, bounds_of, new_size, old_replicas, proportional
from apps.workloads.logic.seen import DESIRED_REPLICAS, MAX_REPLICAS, REVISION, REVISION_HISTORY
from apps.workloads.tests.builders import NOW, deployment, rolling, seen
from apps.workloads.tests.simulation import World


def made(object, size, **changes):
    return seen(new_replica_set(object, size, 1, bounds_of(object["spec"])), **changes)


def progressing(world):
    return find(world.deployment["status"]["conditions"], "Progressing")


@pytest.mark.parametrize(
    ("value", "of", "up", "expected"),
    [
        (2, 10, True, 2),
        ("25%", 3, True, 1),
        ("25%", 3, False, 0),
        ("25%", 4, True, 1),
        ("100%", 7, False, 7),
        ("0%", 7, True, 0),
        ("50%", 5, True, 3),
        ("50%", 5, False, 2),
        (0, 5, True, 0),
        ("1%", 1, True, 1),
    ],
)
def test_amounts_are_absolute_or_percent(value, of, up, expected):
    assert amount(value, of, up=up) == expected


def test_surge_rounds_up_and_unavailable_rounds_down():
    assert bounds_of(deployment(3)["spec"]) == Bounds(3, 1, 0)


def test_two_zeros_still_let_one_pod_move():
    assert bounds_of(deployment(3, strategy=rolling(0, 0))["spec"]).unavailable == 1


def test_the_hash_does_not_depend_on_the_order_of_keys():
    assert template_hash({"a": 1, "b": {"c": 2, "d": 3}}) == template_hash({"b": {"d": 3, "c": 2}, "a": 1})


def test_the_hash_changes_with_the_template_and_with_a_collision():
    assert len({template_hash({"a": 1}), template_hash({"a": 2}), template_hash({"a": 1}, 1)}) == 3


def test_the_hash_is_that_of_fnv():
    assert fnv32a(b"foobar") == 0xBF9CF968


def test_a_new_deployment_creates_its_replica_set():
    plan = decide(deployment(3), [], NOW)
    (create,) = (a for a in plan.actions if isinstance(a, CreateReplicaSet))
    assert create.object["spec"]["replicas"] == 3
    assert create.object["metadata"]["annotations"] == {REVISION: "1", DESIRED_REPLICAS: "3", MAX_REPLICAS: "4"}


def test_a_settled_deployment_has_nothing_to_do():
    world = World(deployment(3))
    world.settle()
    assert world.plan().actions == ()
    assert len(world.active) == 3


def test_a_collision_gives_another_name():
    before = deployment()
    after = {**before, "status": with_collision({})}
    bounds = bounds_of(before["spec"])
    assert new_replica_set(before, 1, 1, bounds)["metadata"] != new_replica_set(after, 1, 1, bounds)["metadata"]


def test_annotations_of_the_deployment_reach_the_replica_set_but_for_its_own():
    object = deployment()
    object["metadata"]["annotations"] = {
        "kubernetes.io/change-cause": "v2",
        REVISION: "7",
        "kubectl.kubernetes.io/last-applied-configuration": "{}",
    }
    annotations = new_replica_set(object, 1, 1, bounds_of(object["spec"]))["metadata"]["annotations"]
    assert annotations["kubernetes.io/change-cause"] == "v2"
    assert annotations[REVISION] == "1"
    assert "kubectl.kubernetes.io/last-applied-configuration" not in annotations


def test_a_template_is_found_again_whatever_its_hash():
    object = deployment()
    assert find_new(object, [made(object, 3)]) is not None
    assert find_new(deployment(image="nginx:2"), [made(object, 3)]) is None


def test_a_change_of_image_creates_a_second_replica_set_of_the_size_of_the_surge():
    old = made(deployment(4), 4, age=60)
    plan = decide(deployment(4, "nginx:2"), [old], NOW)
    (create,) = (a for a in plan.actions if isinstance(a, CreateReplicaSet))
    assert create.object["spec"]["replicas"] == 1
    assert create.object["metadata"]["annotations"][REVISION] == "2"


def test_without_surge_the_old_one_shrinks_first():
    strategy = rolling(0, 1)
    old = made(deployment(3, strategy=strategy), 3, age=60)
    new = made(deployment(3, "nginx:2", strategy=strategy), 0)
    plan = decide(deployment(3, "nginx:2", strategy=strategy), [old, new], NOW)
    scaled = [a for a in plan.actions if isinstance(a, ScaleReplicaSet)]
    assert [(a.name, a.after) for a in scaled] == [(old.name, 2)]


def test_unavailable_old_pods_go_before_available_ones():
    bounds = Bounds(3, 1, 0)
    old = [
        made(deployment(3, "a"), 1, available=0, age=10),
        made(deployment(3, "b"), 3, available=3, age=60),
    ]
    assert old_replicas(bounds, None, old) == {old[0].name: 0}


def test_a_rollout_ends_with_the_new_template_only():
    world = World(deployment(5))
    world.settle()
    world.image("nginx:2")
    world.settle()
    assert sorted(s["spec"]["replicas"] for s in world.replica_sets.values()) == [0, 5]
    assert progressing(world)["reason"] == "NewRSAvailable"
    assert world.deployment["metadata"]["annotations"][REVISION] == "2"


def test_status_after_a_rollout_is_what_kubectl_waits_for():
    world = World(deployment(3))
    world.settle()
    world.image("nginx:2")
    world.settle()
    status = world.deployment["status"]
    assert status["observedGeneration"] == 2
    assert [status[n] for n in ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")] == [3] * 4
    assert "unavailableReplicas" not in status
    assert find(status["conditions"], "Available")["reason"] == "MinimumReplicasAvailable"


def test_a_roll_back_uses_the_old_replica_set_under_a_new_revision():
    world = World(deployment(3))
    world.settle()
    (first,) = world.replica_sets
    world.image("nginx:2")
    world.settle()
    world.image("nginx:1")
    world.settle()
    annotations = world.replica_sets[first]["metadata"]["annotations"]
    assert annotations[REVISION] == "3"
    assert annotations[REVISION_HISTORY] == "1"
    assert len(world.replica_sets) == 2
    assert world.deployment["metadata"]["annotations"][REVISION] == "3"


def test_old_replica_sets_beyond_the_limit_are_deleted_oldest_first():
    world = World(deployment(1, revisionHistoryLimit=2))
    for version in range(6):
        world.image(f"nginx:{version}")
        world.settle()
        world.tick(5)
    revisions = {int(s["metadata"]["annotations"][REVISION]) for s in world.replica_sets.values()}
    assert revisions == {4, 5, 6}


def test_a_replica_set_with_pods_left_is_kept():
    object = deployment(1, revisionHistoryLimit=0)
    new = made(object, 1)
    old = made(deployment(1, "old"), 0, age=60, actual=1)
    assert not any(isinstance(a, DeleteReplicaSet) for a in decide(object, [old, new], NOW).actions)


def test_a_paused_deployment_does_not_roll():
    world = World(deployment(3))
    world.settle()
    world.edit(paused=True)
    world.image("nginx:2")
    world.settle()
    assert len(world.replica_sets) == 1
    assert progressing(world)["reason"] == "DeploymentPaused"


def test_a_paused_deployment_still_scales():
    world = World(deployment(3))
    world.settle()
    world.edit(paused=True, replicas=6)
    world.settle()
    assert len(world.active) == 6


def test_a_resumed_deployment_goes_on():
    world = World(deployment(3))
    world.settle()
    world.edit(paused=True)
    world.image("nginx:2")
    world.settle()
    world.edit(paused=False)
    world.settle()
    assert progressing(world)["reason"] == "NewRSAvailable"
    assert len(world.replica_sets) == 2


def test_recreate_waits_until_the_old_pods_are_gone():
    object = deployment(2, "nginx:2", strategy={"type": "Recreate"})
    old = made(deployment(2, strategy={"type": "Recreate"}), 0, age=60, actual=0)
    assert not any(isinstance(a, CreateReplicaSet) for a in decide(object, [old], NOW, old_pods_left=True).actions)
    assert any(isinstance(a, CreateReplicaSet) for a in decide(object, [old], NOW, old_pods_left=False).actions)


def test_recreate_never_mixes_versions():
    world = World(deployment(4, strategy={"type": "Recreate"}))
    world.settle()
    world.image("nginx:2")
    for _ in range(30):
        world.step_deployment()
        for name in list(world.replica_sets):
            world.step_replica_set(name)
        assert len({p.controller for p in world.active}) <= 1
    assert len(world.active) == 4


def test_scaling_in_the_middle_of_a_rollout_is_shared_by_size():
    bounds = Bounds(20, 5, 0)
    strategy = rolling(3, 0)
    old = made(deployment(10, strategy=strategy), 8, age=60)
    new = made(deployment(10, "nginx:2", strategy=strategy), 5)
    sizes = proportional(bounds, [old, new], 13)
    assert sum(sizes.values()) == 25
    assert sizes[old.name] > sizes[new.name] > 5


def test_scaling_to_nothing_empties_all():
    old, new = made(deployment(4), 3, age=60), made(deployment(4, "b"), 2)
    assert proportional(Bounds(0, 0, 0), [old, new], 5) == {old.name: 0, new.name: 0}


def test_min_ready_seconds_reaches_a_replica_set_that_exists():
    object = deployment(3, minReadySeconds=7)
    actions = decide(object, [made(deployment(3), 3)], NOW).actions
    assert [a.min_ready_seconds for a in actions if isinstance(a, AnnotateReplicaSet)] == [7]


def test_a_rollout_without_progress_is_told_after_its_deadline():
    world = World(deployment(2, progressDeadlineSeconds=60))
    world.step_deployment()
    world.step_deployment()
    assert world.plan().look_at is not None
    world.tick(61)
    world.step_deployment()
    assert progressing(world)["reason"] == "ProgressDeadlineExceeded"
    assert progressing(world)["status"] == "False"


def test_a_deployment_that_timed_out_recovers():
    world = World(deployment(2, progressDeadlineSeconds=60))
    world.step_deployment()
    world.tick(61)
    world.step_deployment()
    world.settle()
    assert progressing(world)["status"] == "True"


def test_progress_renews_the_deadline():
    world = World(deployment(2, progressDeadlineSeconds=60))
    world.step_deployment()
    (name,) = world.replica_sets
    world.step_replica_set(name)
    world.tick(50)
    world.ready(next(iter(world.pods)))
    world.step_replica_set(name)
    world.step_deployment()
    world.tick(50)
    world.step_deployment()
    assert progressing(world)["reason"] == "ReplicaSetUpdated"
    assert world.plan().look_at == world.now + timedelta(seconds=10)


def test_a_failure_to_create_pods_is_shown_on_the_deployment():
    object = deployment(1)
    failure = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "quota"}
    plan = decide(object, [made(object, 1, available=0, failure=failure)], NOW)
    status = plan.actions[-1].status
    assert find(status["conditions"], "ReplicaFailure")["message"] == "quota"


def test_a_deployment_that_is_being_deleted_creates_nothing():
    object = deployment(3)
    object["metadata"]["deletionTimestamp"] = "2026-01-01T12:00:00Z"
    assert not any(isinstance(a, CreateReplicaSet) for a in decide(object, [], NOW).actions)


def test_a_new_one_never_grows_beyond_the_surge():
    assert new_size(Bounds(10, 2, 0), 0, 10) == 2
    assert new_size(Bounds(10, 2, 0), 0, 12) == 0
    assert new_size(Bounds(10, 20, 0), 0, 10) == 10


sizes = st.one_of(st.integers(0, 4), st.sampled_from(["0%", "25%", "50%", "100%"]))


@settings(max_examples=150, deadline=None)
@given(
    st.integers(0, 7),
    sizes,
    sizes,
    st.lists(st.sampled_from(["deployment", "replica_sets", "ready", "image"]), max_size=60),
    st.randoms(use_true_random=False),
)
def test_a_rollout_keeps_its_bounds_in_any_order_of_steps(replicas, surge, unavailable, steps, random):
    world = World(deployment(replicas, strategy=rolling(surge, unavailable)))
    bounds = bounds_of(world.deployment["spec"])
    world.settle()
    images = iter(range(2, 100))
    for step in ["image", *steps]:
        match step:
            case "image":
                world.image(f"nginx:{next(images)}")
            case "deployment":
                world.step_deployment()
            case "replica_sets":
                if world.replica_sets:
                    world.step_replica_set(random.choice(sorted(world.replica_sets)))
            case "ready":
                waiting = sorted(p.name for p in world.active if not p.ready)
                if waiting:
                    world.ready(random.choice(waiting))
        assert world.available >= bounds.least_available
        assert len(world.active) <= max(bounds.most, replicas)
    world.settle()
    assert world.available == replicas
    assert world.plan().actions == ()


@settings(max_examples=150, deadline=None)
@given(st.lists(st.one_of(st.integers(0, 9), st.sampled_from(["a", "b", "c", "pause", "go on", "step"])), max_size=25))
def test_whatever_a_user_does_the_deployment_settles(edits):
    world = World(deployment(3))
    for edit in edits:
        match edit:
            case int():
                world.edit(replicas=edit)
            case "pause" | "go on":
                world.edit(paused=edit == "pause")
            case "step":
                world.step_deployment()
                for name in list(world.replica_sets):
                    world.step_replica_set(name)
            case image:
                world.image(str(image))
    world.edit(paused=False)
    world.settle()
    assert len(world.active) == world.deployment["spec"]["replicas"]
    assert world.plan().actions == ()
