"""Services become packet rules; addresses are handed out once."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodeworker.network.addresses import Addresses, OutOfAddresses, adopt, allocate, release
from nodeworker.network.rules import NodeNetwork, chain_name, render, render_cables
from nodeworker.network.services import ServicePort, service_ports

NETWORK = NodeNetwork(
    "gantry_abcdef", "gbabcdef", "gvabcdef", "10.211.0.0/24", "10.211.0.0/16", "10.111.0.0/16", "10.211.0.1"
)


def service(**spec):
    return {"metadata": {"namespace": "shop", "name": "web"}, "spec": {"clusterIP": "10.111.0.5", **spec}}


def endpoint_slice(*endpoints, port=8080, name=""):
    return {
        "metadata": {"namespace": "shop", "name": "web-1", "labels": {"kubernetes.io/service-name": "web"}},
        "addressType": "IPv4",
        "ports": [{"port": port, "name": name, "protocol": "TCP"}],
        "endpoints": [{"addresses": [address], "conditions": conditions} for address, conditions in endpoints],
    }


def test_only_ready_endpoints_serve():
    slices = [endpoint_slice(("10.211.0.2", {"ready": True}), ("10.211.0.3", {"ready": False}))]
    [port] = service_ports([service(ports=[{"port": 80}])], slices)
    assert port.endpoints == (("10.211.0.2", 8080),)


def test_ending_endpoints_serve_when_no_other_does():
    ending = {"ready": False, "serving": True, "terminating": True}
    [port] = service_ports([service(ports=[{"port": 80}])], [endpoint_slice(("10.211.0.2", ending))])
    assert port.endpoints == (("10.211.0.2", 8080),)


def test_headless_services_have_no_rules():
    assert service_ports([service(clusterIP="None", ports=[{"port": 80}])], []) == []


def test_ports_find_their_slice_by_name():
    slices = [endpoint_slice(("10.211.0.2", {}), name="http"), endpoint_slice(("10.211.0.2", {}), name="admin", port=9)]
    ports = service_ports([service(ports=[{"port": 80, "name": "http"}, {"port": 81, "name": "admin"}])], slices)
    assert [port.endpoints for port in ports] == [(("10.211.0.2", 8080),), (("10.211.0.2", 9),)]


def test_a_node_port_counts_only_for_services_of_that_type():
    port = {"port": 80, "nodePort": 30080}
    assert service_ports([service(ports=[port])], [])[0].node_port == 0
    assert service_ports([service(type="NodePort", ports=[port])], [])[0].node_port == 30080


def test_a_service_without_endpoints_is_in_no_map_and_its_node_port_is_refused():
    text = render(NETWORK, [ServicePort("shop", "web", "tcp", "10.111.0.5", 80, 30080)])
    assert "10.111.0.5 . tcp" not in text
    assert "elements = { tcp . 30080 }" in text


def test_endpoints_are_chosen_by_one_rule():
    port = ServicePort("shop", "web", "tcp", "10.111.0.5", 80, 0, False, (("10.211.0.2", 80), ("10.211.0.3", 81)))
    text = render(NETWORK, [port])
    assert "numgen random mod 2 map { 0 : 10.211.0.2 . 80, 1 : 10.211.0.3 . 81 }" in text
    assert f"10.111.0.5 . tcp . 80 : goto {chain_name(port)}" in text


def test_client_affinity_chooses_by_source_address():
    port = ServicePort("shop", "web", "tcp", "10.111.0.5", 80, 0, True, (("10.211.0.2", 80), ("10.211.0.3", 81)))
    assert "jhash ip saddr mod 2" in render(NETWORK, [port])


def test_cables_carry_their_own_address_only():
    text = render_cables(NETWORK, [("gvabcdef2", "10.211.0.2")])
    assert '"gvabcdef2" . 10.211.0.2' in text


def test_a_pod_keeps_its_address():
    once = allocate(Addresses("10.211.0.0/24"), "a")
    assert allocate(once, "a") == once
    assert once.of("a") == "10.211.0.2"


def test_an_address_given_back_is_reused_late():
    addresses = release(allocate(Addresses("10.211.0.0/24"), "a"), "a")
    assert allocate(addresses, "b").of("b") == "10.211.0.3"


def test_a_full_range_says_so():
    addresses = Addresses("10.211.0.0/29")
    for number in range(5):
        addresses = allocate(addresses, str(number))
    with pytest.raises(OutOfAddresses, match="all 5 pod addresses"):
        allocate(addresses, "one too many")


@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.booleans()), max_size=60))
def test_no_two_pods_share_an_address(steps):
    addresses = Addresses("10.211.0.0/28")
    for uid, wanted in steps:
        addresses = allocate(addresses, uid) if wanted else release(addresses, uid)
        numbers = list(addresses.in_use.values())
        assert len(numbers) == len(set(numbers))
        assert all(ipaddress.ip_address(addresses.of(uid)) in addresses.network for uid in addresses.in_use)


def test_a_running_pods_address_is_adopted():
    addresses = adopt(Addresses("10.211.0.0/24"), "a", "10.211.0.9")
    assert addresses.of("a") == "10.211.0.9"
