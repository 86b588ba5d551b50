"""The scheduler's decision."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.scheduling.logic.filters import refusal
from apps.scheduling.logic.schedule import explain, place, place_all
from apps.scheduling.logic.scores import balanced_allocation, image_locality, least_allocated, spread_by_owner
from apps.scheduling.logic.seen import (
    NodeSeen,
    PodAsking,
    Resources,
    Taint,
    Toleration,
    node_seen,
    pod_asking,
    pod_requests,
)

GIB = 2**30


def node(name="n1", *, cpu=4000, memory=8 * GIB, pods=110, used=None, **changes):
    return NodeSeen(name, Resources(cpu, memory, pods), used or Resources(), **changes)


def pod(cpu=0, memory=0, **changes):
    return PodAsking("shop", "web", "uid", Resources(cpu, memory, 1), **changes)


def test_a_pod_without_wishes_goes_to_the_only_node():
    assert place(pod(), [node()]).node == "n1"


def test_without_nodes_the_sentence_says_so():
    assert place(pod(), []).message == "no nodes available to schedule pods"


def test_too_little_cpu_is_said_in_kubernetes_words():
    decision = place(pod(cpu=5000), [node()])
    assert decision.node == ""
    assert decision.message == "0/1 nodes are available: 1 Insufficient cpu."


def test_the_row_tells_what_was_asked_and_what_is_free():
    (row,) = place(pod(cpu=5000), [node(used=Resources(1000, 0, 3))]).rows
    assert (row.filter, row.asked, row.free, row.passed) == ("NodeResourcesFit", "5000m", "3000m of 4000m", False)


def test_each_reason_is_counted():
    nodes = [node("a", cpu=10, memory=GIB), node("b", cpu=10), node("c", unschedulable=True)]
    message = place(pod(cpu=5000, memory=2 * GIB), nodes).message
    expected = "0/3 nodes are available: 1 Insufficient memory, 1 node(s) were unschedulable, 2 Insufficient cpu."
    assert message == expected


def test_a_full_node_has_too_many_pods():
    assert place(pod(), [node(pods=2, used=Resources(0, 0, 2))]).message == "0/1 nodes are available: 1 Too many pods."


@pytest.mark.parametrize("effect", ["NoSchedule", "NoExecute"])
def test_a_taint_keeps_a_pod_away(effect):
    tainted = node(taints=(Taint("gpu", "yes", effect),))
    assert place(pod(), [tainted]).message.endswith("1 node(s) had untolerated taint {gpu: yes}.")


@pytest.mark.parametrize(
    ("toleration", "tolerated"),
    [
        (Toleration("gpu", "Equal", "yes"), True),
        (Toleration("gpu", "Equal", "no"), False),
        (Toleration("gpu", "Exists"), True),
        (Toleration("", "Exists"), True),
        (Toleration("gpu", "Exists", "", "NoExecute"), False),
        (Toleration("gpu", "Exists", "", "NoSchedule"), True),
        (Toleration("other", "Exists"), False),
    ],
)
def test_a_toleration_opens_the_node(toleration, tolerated):
    tainted = node(taints=(Taint("gpu", "yes", "NoSchedule"),))
    assert (refusal(pod(tolerations=(toleration,)), tainted) is None) == tolerated


def test_a_soft_taint_keeps_nobody_away():
    assert place(pod(), [node(taints=(Taint("slow", "", "PreferNoSchedule"),))]).node == "n1"


def test_a_node_selector_must_match():
    nodes = [node("a", labels={"disk": "hdd"}), node("b", labels={"disk": "ssd"})]
    assert place(pod(node_selector={"disk": "ssd"}), nodes).node == "b"
    message = place(pod(node_selector={"disk": "nvme"}), nodes).message
    assert message == "0/2 nodes are available: 2 node(s) didn't match Pod's node affinity/selector."


@pytest.mark.parametrize(
    ("expression", "matches"),
    [
        ({"key": "zone", "operator": "In", "values": ["a", "b"]}, True),
        ({"key": "zone", "operator": "NotIn", "values": ["a"]}, False),
        ({"key": "zone", "operator": "Exists"}, True),
        ({"key": "gpu", "operator": "DoesNotExist"}, True),
        ({"key": "cores", "operator": "Gt", "values": ["4"]}, True),
        ({"key": "cores", "operator": "Lt", "values": ["4"]}, False),
    ],
)
def test_required_node_affinity_is_kept(expression, matches):
    labelled = node(labels={"zone": "a", "cores": "8"})
    asking = pod(affinity=({"matchExpressions": [expression]},))
    assert (refusal(asking, labelled) is None) == matches


def test_affinity_by_name_and_terms_are_alternatives():
    by_name = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n1"]}]}
    assert refusal(pod(affinity=({}, by_name)), node()) is None
    assert refusal(pod(affinity=({}, by_name)), node("n2")) is not None


def test_a_cordoned_node_takes_only_who_tolerates_it():
    cordoned = node(unschedulable=True)
    assert refusal(pod(), cordoned).filter == "NodeUnschedulable"
    assert refusal(pod(tolerations=(Toleration("", "Exists"),)), cordoned) is None


def test_the_emptier_node_is_preferred():
    nodes = [node("a", used=Resources(3000, 6 * GIB, 1)), node("b", used=Resources(500, GIB, 1))]
    assert place(pod(cpu=100, memory=GIB), nodes).node == "b"


def test_pods_of_one_owner_are_spread():
    pods = [pod(owner="rs") for _ in range(4)]
    nodes = [decision.node for decision in place_all(pods, [node("a"), node("b")])]
    assert sorted(nodes) == ["a", "a", "b", "b"]


def test_a_node_that_has_a_large_image_is_preferred():
    nodes = [node("a"), node("b", images={"nginx": 900 * 2**20})]
    assert place(pod(images=("nginx",)), nodes).node == "b"


def test_equal_nodes_are_taken_by_name():
    assert place(pod(), [node("b"), node("a")]).node == "a"


def test_pods_that_wait_together_do_not_overfill_a_node():
    decisions = place_all([pod(cpu=1500) for _ in range(4)], [node()])
    assert [decision.node for decision in decisions] == ["n1", "n1", "", ""]


@pytest.mark.parametrize("rate", [least_allocated, balanced_allocation, spread_by_owner, image_locality])
def test_scores_lie_between_0_and_100(rate):
    nodes = [node("a"), node("b", cpu=0, memory=0), node("c", owners={"rs": 3}, used=Resources(9999, 99 * GIB, 1))]
    assert all(0 <= rate(pod(owner="rs", images=("x",)), each, nodes) <= 100 for each in nodes)


def test_requests_are_the_larger_of_init_and_main():
    spec = {
        "containers": [{"resources": {"requests": {"cpu": "100m"}}}, {"resources": {"requests": {"cpu": "200m"}}}],
        "initContainers": [{"resources": {"requests": {"cpu": "1", "memory": "1Gi"}}}],
        "overhead": {"cpu": "10m"},
    }
    assert pod_requests(spec) == Resources(1010, GIB, 1)


def test_a_sidecar_counts_beside_the_containers():
    spec = {
        "containers": [{"resources": {"requests": {"cpu": "100m"}}}],
        "initContainers": [{"restartPolicy": "Always", "resources": {"requests": {"cpu": "50m"}}}],
    }
    assert pod_requests(spec).cpu == 150


def test_a_node_that_never_said_ready_takes_no_pod():
    object = {"metadata": {"name": "n1"}, "status": {"allocatable": {"cpu": "1", "memory": "1Gi", "pods": "10"}}}
    message = place(pod(), [node_seen(object)]).message
    assert message == "0/1 nodes are available: 1 node(s) had untolerated taint {node.kubernetes.io/not-ready: }."


def test_amounts_of_a_node_are_read_as_quantities():
    ready = [{"type": "Ready", "status": "True"}]
    status = {"allocatable": {"cpu": "1500m", "memory": "2Gi", "pods": "5k"}, "conditions": ready}
    assert node_seen({"metadata": {"name": "n"}, "status": status}).allocatable == Resources(1500, 2 * GIB, 5000)


def test_what_a_pod_asks_is_read_from_its_object():
    owner = {"uid": "rs", "controller": True}
    object = {
        "metadata": {"namespace": "shop", "name": "web", "uid": "u", "ownerReferences": [owner]},
        "spec": {
            "containers": [{"image": "nginx"}],
            "nodeSelector": {"a": "b"},
            "tolerations": [{"operator": "Exists"}],
        },
    }
    asking = pod_asking(object)
    assert (asking.key, asking.owner, asking.images) == ("shop/web", "rs", ("nginx",))
    assert asking.tolerations == (Toleration("", "Exists"),)


def test_an_explanation_without_refusals_still_counts():
    assert explain(2, []) == "0/2 nodes are available: ."


amounts = st.builds(Resources, st.integers(0, 3000), st.integers(0, 4 * GIB), st.just(1))
nodes = st.lists(
    st.builds(
        node,
        st.sampled_from("abcdef"),
        cpu=st.integers(0, 8000),
        memory=st.integers(0, 8 * GIB),
        pods=st.integers(0, 8),
    ),
    max_size=5,
    unique_by=lambda each: each.name,
)


@given(st.lists(amounts, max_size=25), nodes)
def test_no_node_is_ever_filled_beyond_what_it_has(requests, cluster):
    pods = [PodAsking("d", f"p{n}", f"u{n}", asked) for n, asked in enumerate(requests)]
    decisions = place_all(pods, cluster)
    for each in cluster:
        mine = [decision.pod.requests for decision in decisions if decision.node == each.name]
        taken = sum(mine, Resources())
        assert taken.cpu <= max(each.allocatable.cpu, 0)
        assert taken.memory <= each.allocatable.memory
        assert taken.pods <= each.allocatable.pods


@given(st.lists(amounts, max_size=8), nodes)
def test_a_pod_stays_pending_only_when_every_node_refuses_it(requests, cluster):
    pods = [PodAsking("d", f"p{n}", f"u{n}", asked) for n, asked in enumerate(requests)]
    for decision in place_all(pods, cluster):
        assert bool(decision.node) == any(row.passed for row in decision.rows)
        assert bool(decision.node) != bool(decision.message)
