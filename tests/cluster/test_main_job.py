"""The main job by kubectl: a real nginx deployed, reached, scaled, rolled without a refusal, rolled back, killed."""

import http.client
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster_under_test import Cluster, eventually, is_ready

pytestmark = [pytest.mark.root, pytest.mark.cluster, pytest.mark.timeout(300)]

NAMESPACE = "main-job"
MANIFEST = """
apiVersion: apps/v1
kind: Deployment
metadata:
  name: nginx-deployment
  labels: {app: nginx}
spec:
  replicas: 3
  selector: {matchLabels: {app: nginx}}
  template:
    metadata: {labels: {app: nginx}}
    spec:
      terminationGracePeriodSeconds: 5
      containers:
      - name: nginx
        image: nginx:1.7.9
        ports: [{containerPort: 80}]
        readinessProbe: {tcpSocket: {port: 80}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: nginx}
spec:
  type: NodePort
  selector: {app: nginx}
  ports: [{port: 80, targetPort: 80}]
"""


@pytest.fixture(scope="module")
def shop(images: Cluster) -> Iterator[Cluster]:
    images.kubectl("create", "namespace", NAMESPACE)
    images.apply(MANIFEST, NAMESPACE)
    yield images
    images.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


def ready_pods(cluster: Cluster, count: int) -> list[dict[str, Any]]:
    def look() -> list[dict[str, Any]] | None:
        pods = cluster.pods("app=nginx", NAMESPACE)
        return pods if len(pods) == count and all(map(is_ready, pods)) else None

    return eventually(look, f"{count} ready pods")


def get(address: str, port: int = 80, timeout: float = 5.0) -> tuple[int, str]:
    connection = http.client.HTTPConnection(address, port, timeout=timeout)
    try:
        connection.request("GET", "/")
        answer = connection.getresponse()
        return answer.status, answer.read().decode(errors="replace")
    finally:
        connection.close()


def node_port(cluster: Cluster) -> int:
    return int(cluster.get("service", "nginx", NAMESPACE)["spec"]["ports"][0]["nodePort"])


def test_three_pods_run_and_each_answers_on_its_address(shop: Cluster) -> None:
    pods = ready_pods(shop, 3)
    assert [get(pod["status"]["podIP"])[0] for pod in pods] == [200, 200, 200]


def test_the_published_address_answers(shop: Cluster) -> None:
    ready_pods(shop, 3)
    assert eventually(lambda: _answers("127.0.0.1", node_port(shop)), "the published address answers", 15)
    assert get(shop.instance.address, node_port(shop))[0] == 200


def test_the_service_address_answers(shop: Cluster) -> None:
    ready_pods(shop, 3)
    address = shop.get("service", "nginx", NAMESPACE)["spec"]["clusterIP"]
    assert eventually(lambda: _answers(address, 80), "the service's address answers", 15)


def test_scaled_to_five(shop: Cluster) -> None:
    shop.kubectl("scale", "deployment", "nginx-deployment", "--replicas=5", "-n", NAMESPACE)
    assert len(ready_pods(shop, 5)) == 5


def test_a_rollout_refuses_nobody(shop: Cluster) -> None:
    ready_pods(shop, 5)
    client = PodClient(shop)
    client.start()
    shop.kubectl("set", "image", "deployment/nginx-deployment", "nginx=nginx:latest", "-n", NAMESPACE)
    shop.kubectl("rollout", "status", "deployment/nginx-deployment", "-n", NAMESPACE, "--timeout=90s")
    client.stop()
    assert client.refusals == []
    assert client.answers > 5
    images = {pod["spec"]["containers"][0]["image"] for pod in ready_pods(shop, 5)}
    assert images == {"nginx:latest"}


def test_rolled_back(shop: Cluster) -> None:
    history = shop.kubectl("rollout", "history", "deployment/nginx-deployment", "-n", NAMESPACE)
    assert "1" in history
    shop.kubectl("rollout", "undo", "deployment/nginx-deployment", "-n", NAMESPACE)
    shop.kubectl("rollout", "status", "deployment/nginx-deployment", "-n", NAMESPACE, "--timeout=90s")
    images = {pod["spec"]["containers"][0]["image"] for pod in ready_pods(shop, 5)}
    assert images == {"nginx:1.7.9"}


def test_a_killed_nginx_is_started_anew_in_the_same_pod(shop: Cluster) -> None:
    victim = ready_pods(shop, 5)[0]
    os.kill(_host_pid(victim), signal.SIGKILL)

    def restarted() -> bool:
        pod = shop.get("pod", victim["metadata"]["name"], NAMESPACE)
        status = pod["status"]["containerStatuses"][0]
        return bool(status["restartCount"] == 1 and status["ready"])

    assert eventually(restarted, "the container is ready again after one restart", 30)
    last = shop.get("pod", victim["metadata"]["name"], NAMESPACE)["status"]["containerStatuses"][0]["lastState"]
    assert last["terminated"]["exitCode"] == 137


def test_logs_show_the_request(shop: Cluster) -> None:
    pod = ready_pods(shop, 5)[-1]
    get(pod["status"]["podIP"])
    name = pod["metadata"]["name"]
    assert eventually(lambda: "GET / HTTP" in shop.kubectl("logs", name, "-n", NAMESPACE), "the access log", 15)


def test_deleted_with_everything_that_belongs_to_it(shop: Cluster) -> None:
    shop.kubectl("delete", "deployment", "nginx-deployment", "-n", NAMESPACE)
    gone = lambda: not shop.get("pods", "", NAMESPACE) and not shop.get("replicasets", "", NAMESPACE)
    assert eventually(gone, "pods and replica sets are gone", 60)


class PodClient(threading.Thread):
    """Lists the pods before each request and asks one that is Ready; a refusal counts if that pod is still Ready."""

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(daemon=True)
        self._cluster, self._over = cluster, threading.Event()
        self.answers, self.refusals = 0, list[str]()

    def run(self) -> None:
        turn = 0
        while not self._over.is_set():
            ready = [pod for pod in self._cluster.pods("app=nginx", NAMESPACE) if is_ready(pod)]
            if not ready:
                continue
            pod = ready[turn % len(ready)]
            turn += 1
            try:
                self.answers += get(pod["status"]["podIP"], timeout=3)[0] == 200
            except OSError as error:
                self._judge(pod, error)

    def _judge(self, pod: dict[str, Any], error: OSError) -> None:
        same = [p for p in self._cluster.pods("app=nginx", NAMESPACE) if p["metadata"]["uid"] == pod["metadata"]["uid"]]
        if same and is_ready(same[0]):
            self.refusals.append(f"{pod['metadata']['name']}: {error}")

    def stop(self) -> None:
        self._over.set()
        self.join(30)


def _answers(address: str, port: int) -> bool:
    try:
        return get(address, port)[0] == 200
    except OSError:
        return False


def _host_pid(pod: dict[str, Any]) -> int:
    """Return the host's pid of the pod's nginx: the process whose cgroup names the pod's uid and that is its PID 1."""
    uid = pod["metadata"]["uid"]
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            cgroup, status = (folder / "cgroup").read_text(), (folder / "status").read_text()
        except OSError:
            continue
        inner = next(line for line in status.splitlines() if line.startswith("NSpid:")).split()
        if uid in cgroup and "nginx" in status.splitlines()[0] and len(inner) > 2 and inner[-1] == "1":
            return int(folder.name)
    raise AssertionError(f"no nginx of pod {uid} runs on this machine")
