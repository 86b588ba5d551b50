"""Services and their slices over a real store."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from apps.kinds.status import Invalid
from apps.networking.controllers import reconcile_service
from apps.networking.models import NodePort, Service
from apps.store import read, transaction
from apps.store.rows import Origin
from apps.store.testing import store  # noqa: F401

pytestmark = pytest.mark.usefixtures("store")
ALICE = Origin("alice")


def post(name="web", **spec):
    ports = [{"port": 80, "targetPort": 8080}]
    made = {"metadata": {"name": name, "namespace": "default"}}
    return transaction.create("Service", {**made, "spec": {"selector": {"app": "web"}, "ports": ports, **spec}}, ALICE)


def post_pod(name, address):
    spec = {"containers": [{"name": "c", "image": "busybox"}]}
    metadata = {"name": name, "namespace": "default", "labels": {"app": "web"}}
    transaction.create("Pod", {"metadata": metadata, "spec": spec}, ALICE)
    condition = {"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}
    status = {"phase": "Running", "podIP": address, "conditions": [condition]}
    transaction.modify("Pod", "default", name, lambda p: {**p, "status": status}, ALICE, subresource="status")


def slices():
    return [stored.object for stored in read.list_objects("EndpointSlice", "default").items]


def test_services_created_at_once_get_different_addresses_and_ports():
    with ThreadPoolExecutor(8) as threads:
        made = list(threads.map(lambda n: post(f"s{n}", type="NodePort").object, range(40)))
    assert len({service["spec"]["clusterIP"] for service in made}) == 40
    assert len({service["spec"]["ports"][0]["nodePort"] for service in made}) == 40
    assert Service.objects.count() == NodePort.objects.count() == 40


def test_an_address_is_free_again_when_its_service_is_gone():
    address = post().object["spec"]["clusterIP"]
    transaction.delete("Service", "default", "web", ALICE)
    assert post("other", clusterIP=address).object["spec"]["clusterIP"] == address


def test_a_node_port_is_free_again_when_its_service_is_gone():
    ports = [{"port": 80, "nodePort": 30080}]
    post(type="NodePort", ports=ports)
    with pytest.raises(Invalid, match=r"spec\.ports\[0\]\.nodePort"):
        post("other", type="NodePort", ports=ports)
    transaction.delete("Service", "default", "web", ALICE)
    post("other", type="NodePort", ports=ports)


def test_an_update_keeps_the_address():
    address = post().object["spec"]["clusterIP"]
    changed = {"metadata": {"name": "web", "namespace": "default"}, "spec": {"ports": [{"port": 81}]}}
    assert transaction.update("Service", changed, ALICE).object["spec"]["clusterIP"] == address


def test_slices_follow_the_pods():
    post()
    post_pod("a", "10.244.0.2")
    reconcile_service("default", "web")
    assert [e["addresses"] for e in slices()[0]["endpoints"]] == [["10.244.0.2"]]
    transaction.delete("Pod", "default", "a", ALICE, grace_seconds=0)
    reconcile_service("default", "web")
    assert not slices()[0].get("endpoints")


def test_looking_again_writes_nothing():
    post()
    post_pod("a", "10.244.0.2")
    reconcile_service("default", "web")
    before = read.current_revision()
    reconcile_service("default", "web")
    assert read.current_revision() == before
