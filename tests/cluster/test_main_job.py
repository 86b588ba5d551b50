"""The main job by kubectl: a real nginx deployed, reached, scaled, rolled without a refusal, rolled back, killed."""

import os
import signal
from collections.abc import Iterator

import pytest

from tests.cluster_under_test import Cluster, eventually
from tests.pods_of_nginx import MANIFEST, PodClient, answers, get, host_pid, ready_pods

pytestmark = [pytest.mark.root, pytest.mark.cluster, pytest.mark.timeout(300)]

NAMESPACE = "main-job"


@pytest.fixture(scope="module")
def shop(images: Cluster) -> Iterator[Cluster]:
    images.kubectl("create", "namespace", NAMESPACE)
    images.apply(MANIFEST, NAMESPACE)
    yield images
    images.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


def node_port(cluster: Cluster) -> int:
    return int(cluster.get("service", "nginx", NAMESPACE)["spec"]["ports"][0]["nodePort"])


def test_three_pods_run_and_each_answers_on_its_address(shop: Cluster) -> None:
    pods = ready_pods(shop, 3, NAMESPACE)
    assert [get(pod["status"]["podIP"])[0] for pod in pods] == [200, 200, 200]


def test_the_published_addressanswers(shop: Cluster) -> None:
    ready_pods(shop, 3, NAMESPACE)
    assert eventually(lambda: answers("127.0.0.1", node_port(shop)), "the published address answers", 15)
    assert get(shop.instance.address, node_port(shop))[0] == 200


def test_the_service_addressanswers(shop: Cluster) -> None:
    ready_pods(shop, 3, NAMESPACE)
    address = shop.get("service", "nginx", NAMESPACE)["spec"]["clusterIP"]
    assert eventually(lambda: answers(address, 80), "the service's address answers", 15)


def test_scaled_to_five(shop: Cluster) -> None:
    shop.kubectl("scale", "deployment", "nginx-deployment", "--replicas=5", "-n", NAMESPACE)
    assert len(ready_pods(shop, 5, NAMESPACE)) == 5


def test_a_rollout_refuses_nobody(shop: Cluster) -> None:
    ready_pods(shop, 5, NAMESPACE)
    client = PodClient(shop, NAMESPACE)
    client.start()
    shop.kubectl("set", "image", "deployment/nginx-deployment", "nginx=nginx:latest", "-n", NAMESPACE)
    shop.kubectl("rollout", "status", "deployment/nginx-deployment", "-n", NAMESPACE, "--timeout=90s")
    client.stop()
    assert client.refusals == []
    assert client.answers > 5
    images = {pod["spec"]["containers"][0]["image"] for pod in ready_pods(shop, 5, NAMESPACE)}
    assert images == {"nginx:latest"}


def test_rolled_back(shop: Cluster) -> None:
    history = shop.kubectl("rollout", "history", "deployment/nginx-deployment", "-n", NAMESPACE)
    assert "1" in history
    shop.kubectl("rollout", "undo", "deployment/nginx-deployment", "-n", NAMESPACE)
    shop.kubectl("rollout", "status", "deployment/nginx-deployment", "-n", NAMESPACE, "--timeout=90s")
    images = {pod["spec"]["containers"][0]["image"] for pod in ready_pods(shop, 5, NAMESPACE)}
    assert images == {"nginx:1.7.9"}


def test_a_killed_nginx_is_started_anew_in_the_same_pod(shop: Cluster) -> None:
    victim = ready_pods(shop, 5, NAMESPACE)[0]
    os.kill(host_pid(victim), signal.SIGKILL)

    def restarted() -> bool:
        pod = shop.get("pod", victim["metadata"]["name"], NAMESPACE)
        status = pod["status"]["containerStatuses"][0]
        return bool(status["restartCount"] == 1 and status["ready"])

    assert eventually(restarted, "the container is ready again after one restart", 30)
    last = shop.get("pod", victim["metadata"]["name"], NAMESPACE)["status"]["containerStatuses"][0]["lastState"]
    assert last["terminated"]["exitCode"] == 137


def test_logs_show_the_request(shop: Cluster) -> None:
    pod = ready_pods(shop, 5, NAMESPACE)[-1]
    get(pod["status"]["podIP"])
    name = pod["metadata"]["name"]
    assert eventually(lambda: "GET / HTTP" in shop.kubectl("logs", name, "-n", NAMESPACE), "the access log", 15)


def test_deleted_with_everything_that_belongs_to_it(shop: Cluster) -> None:
    shop.kubectl("delete", "deployment", "nginx-deployment", "-n", NAMESPACE)
    gone = lambda: not shop.get("pods", "", NAMESPACE) and not shop.get("replicasets", "", NAMESPACE)
    assert eventually(gone, "pods and replica sets are gone", 60)
