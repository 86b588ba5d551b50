"""Addresses, ports and endpoint slices: the decisions."""

from ipaddress import IPv4Address, IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.networking.logic import allocation
from apps.networking.logic.allocation import RangeExhaustedError
from apps.networking.logic.endpoints import decide, desired
from apps.networking.logic.services import RefusedError, Taken, fill

CIDR = "10.96.0.0/16"
FREE = Taken(frozenset(), frozenset())


def service(**spec):
    metadata = {"name": "web", "namespace": "shop", "uid": "s", "labels": {"team": "a"}}
    ports = [{"port": 80, "targetPort": 8080, "protocol": "TCP"}]
    return {"metadata": metadata, "spec": {"type": "ClusterIP", "selector": {"app": "web"}, "ports": ports, **spec}}


def pod(name, *, ready=True, ip="10.244.0.5", labels=None, **changes):
    conditions = [{"type": "Ready", "status": "True" if ready else "False"}]
    made = {
        "metadata": {"name": name, "namespace": "shop", "uid": f"u-{name}", "labels": labels or {"app": "web"}},
        "spec": {"nodeName": "n1", "containers": [{"ports": [{"name": "http", "containerPort": 8080}]}]},
        "status": {"phase": "Running", "podIP": ip, "conditions": conditions},
    }
    made["metadata"] |= changes.pop("metadata", {})
    made["status"] |= changes
    return made


def slices(*made):
    return [{**each, "metadata": {**each["metadata"], "uid": "x", "resourceVersion": "7"}} for each in made]


@given(st.text(max_size=8), st.sets(st.integers(16, 40)))
def test_an_address_is_inside_the_range_and_free(seed, used):
    taken = {f"10.96.0.{n}" for n in used}
    chosen = allocation.address("10.96.0.0/26" if len(used) < 3 else CIDR, taken, seed)
    assert chosen not in taken
    assert IPv4Address(chosen) in IPv4Network(CIDR)


@given(st.lists(st.text(max_size=5), max_size=40))
def test_no_two_services_get_the_same(seeds):
    addresses, ports = set(), set()
    for seed in seeds:
        addresses.add(allocation.address("10.96.0.0/24", addresses, seed))
        ports.add(allocation.node_port(ports, seed))
    assert len(addresses) == len(ports) == len(seeds)


def test_a_full_range_says_so():
    taken = {f"10.0.0.{n}" for n in range(8)}
    with pytest.raises(RangeExhaustedError, match=r"10\.0\.0\.0/29"):
        allocation.address("10.0.0.0/29", taken, "x")


def test_a_service_gets_an_address_once():
    filled = fill(service(), None, FREE, CIDR)
    assert filled["spec"]["clusterIPs"] == [filled["spec"]["clusterIP"]]
    again = fill(service(), filled, Taken(frozenset(), frozenset()), CIDR)
    assert again["spec"]["clusterIP"] == filled["spec"]["clusterIP"]


def test_an_address_that_is_asked_for_is_given():
    assert fill(service(clusterIP="10.96.0.10"), None, FREE, CIDR)["spec"]["clusterIP"] == "10.96.0.10"


@pytest.mark.parametrize(
    ("asked", "words"),
    [("10.97.0.1", "service range"), ("10.96.0.0", "service range"), ("10.96.0.7", "already allocated")],
)
def test_an_address_that_cannot_be_is_refused(asked, words):
    with pytest.raises(RefusedError, match=words) as refused:
        fill(service(clusterIP=asked), None, Taken({"10.96.0.7"}, frozenset()), CIDR)
    assert refused.value.path == "spec.clusterIP"


def test_an_address_cannot_be_changed():
    before = fill(service(), None, FREE, CIDR)
    with pytest.raises(RefusedError, match="immutable"):
        fill(service(clusterIP="10.96.9.9"), before, FREE, CIDR)


def test_a_headless_service_has_none():
    assert fill(service(clusterIP="None"), None, FREE, CIDR)["spec"]["clusterIP"] == "None"


def test_an_external_name_has_none():
    assert "clusterIP" not in fill(service(type="ExternalName", externalName="a.b"), None, FREE, CIDR)["spec"]


def test_a_node_port_is_chosen_and_kept():
    first = fill(service(type="NodePort"), None, FREE, CIDR)
    port = first["spec"]["ports"][0]["nodePort"]
    assert 30000 <= port <= 32767
    assert fill(service(type="NodePort"), first, FREE, CIDR)["spec"]["ports"][0]["nodePort"] == port


def test_a_node_port_that_is_taken_is_refused():
    asked = service(type="NodePort", ports=[{"port": 80, "nodePort": 30080}])
    with pytest.raises(RefusedError, match="already allocated") as refused:
        fill(asked, None, Taken(frozenset(), {30080}), CIDR)
    assert refused.value.path == "spec.ports[0].nodePort"


def test_a_service_that_becomes_internal_gives_its_node_port_back():
    before = fill(service(type="NodePort"), None, FREE, CIDR)
    after = {**before, "spec": {**before["spec"], "type": "ClusterIP"}}
    assert "nodePort" not in fill(after, before, FREE, CIDR)["spec"]["ports"][0]


def test_two_ports_of_a_service_get_two_node_ports():
    ports = [{"name": "a", "port": 80}, {"name": "b", "port": 81}]
    filled = fill(service(type="NodePort", ports=ports), None, FREE, CIDR)
    assert len({port["nodePort"] for port in filled["spec"]["ports"]}) == 2


def test_ready_pods_are_endpoints():
    (made,) = desired(service(), [pod("a", ip="10.244.0.2"), pod("b", ip="10.244.0.3")])
    assert [e["addresses"] for e in made["endpoints"]] == [["10.244.0.2"], ["10.244.0.3"]]
    assert made["ports"] == [{"name": "", "protocol": "TCP", "port": 8080}]
    assert made["metadata"]["labels"]["kubernetes.io/service-name"] == "web"
    assert made["metadata"]["ownerReferences"][0]["uid"] == "s"


def test_a_pod_that_is_not_ready_is_listed_as_such():
    (made,) = desired(service(), [pod("a", ready=False)])
    assert made["endpoints"][0]["conditions"]["ready"] is False


def test_unless_its_service_publishes_it():
    (made,) = desired(service(publishNotReadyAddresses=True), [pod("a", ready=False)])
    assert made["endpoints"][0]["conditions"]["ready"] is True


@pytest.mark.parametrize(
    "gone",
    [
        pod("a", metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"}),
        pod("a", phase="Succeeded"),
        pod("a", phase="Failed"),
        pod("a", ip=""),
        pod("a", labels={"app": "db"}),
    ],
)
def test_who_cannot_answer_is_left_out(gone):
    (made,) = desired(service(), [gone])
    assert made["endpoints"] == []


def test_a_named_port_is_that_of_each_pod():
    other = pod("b")
    other["spec"]["containers"][0]["ports"][0]["containerPort"] = 9090
    made = desired(service(ports=[{"port": 80, "targetPort": "http"}]), [pod("a"), other])
    assert sorted(each["ports"][0]["port"] for each in made) == [8080, 9090]


def test_a_named_port_that_a_pod_lacks_is_left_out():
    (made,) = desired(service(ports=[{"port": 80, "targetPort": "metrics"}]), [pod("a")])
    assert made["ports"] == []


def test_without_a_selector_the_slices_are_the_users():
    assert desired(service(selector=None), [pod("a")]) == []


def test_many_pods_make_several_slices():
    made = desired(service(), [pod(f"p{n:03}") for n in range(250)])
    assert [len(each["endpoints"]) for each in made] == [100, 100, 50]
    assert len({each["metadata"]["name"] for each in made}) == 3


def test_slices_that_are_right_are_left_alone():
    pods = [pod("a"), pod("b", ready=False)]
    assert not decide(service(), pods, slices(*desired(service(), pods)))


def test_a_change_replaces_a_slice_under_its_version():
    before = slices(*desired(service(), [pod("a", ready=False)]))
    plan = decide(service(), [pod("a")], before)
    assert (len(plan.create), len(plan.update), plan.delete) == (0, 1, ())
    assert plan.update[0]["metadata"]["resourceVersion"] == "7"


def test_slices_of_other_ports_are_deleted():
    before = slices(*desired(service(), [pod("a")]))
    plan = decide(service(ports=[{"port": 80, "targetPort": 9000}]), [pod("a")], before)
    assert plan.delete == (before[0]["metadata"]["name"],)
    assert len(plan.create) == 1
