"""What the main job looks at from outside, in kubectl's test and in the console's: pods that answer, one to be killed.

Used by tests/cluster/test_main_job.py and tests/e2e/test_main_job.py.
"""

import http.client
import threading
from pathlib import Path
from typing import Any

from tests.bench.bench_cluster import Api
from tests.cluster_under_test import Cluster, eventually, is_ready

SELECTOR = "app=nginx"
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


def ready_pods(cluster: Cluster, count: int, namespace: str, image: str = "") -> list[dict[str, Any]]:
    """Wait for exactly `count` pods, all ready, and of `image` when one is named."""

    def look() -> list[dict[str, Any]] | None:
        pods = cluster.pods(SELECTOR, namespace)
        right = [pod for pod in pods if is_ready(pod) and image in ("", pod["spec"]["containers"][0]["image"])]
        return pods if len(pods) == count == len(right) else None

    return eventually(look, f"{count} ready pods {image}")


def get(address: str, port: int = 80, timeout: float = 5.0, path: str = "/") -> tuple[int, str]:
    """Return status and body of a GET on a connection of its own."""
    connection = http.client.HTTPConnection(address, port, timeout=timeout)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode(errors="replace")
    finally:
        connection.close()


def answers(address: str, port: int) -> bool:
    """Whether a GET is answered with 200."""
    try:
        return get(address, port)[0] == 200
    except OSError:
        return False


def host_pid(pod: dict[str, Any]) -> int:
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


class PodClient(threading.Thread):
    """Lists the pods before each request and asks one that is Ready; a refusal counts if that pod is still Ready."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        super().__init__(daemon=True)
        self._api, self._over = Api(cluster), threading.Event()
        self._pods_address = f"/api/v1/namespaces/{namespace}/pods?labelSelector=app%3Dnginx"
        self.answers, self.refusals = 0, list[str]()

    def run(self) -> None:
        """Ask until stopped."""
        turn = 0
        while not self._over.is_set():
            ready = [pod for pod in self._pods() if is_ready(pod)]
            if not ready:
                continue
            pod = ready[turn % len(ready)]
            turn += 1
            try:
                self.answers += get(pod["status"]["podIP"], timeout=3)[0] == 200
            except OSError as error:
                self._judge(pod, error)

    def _pods(self) -> list[dict[str, Any]]:
        pods: list[dict[str, Any]] = self._api.call("GET", self._pods_address)["items"]
        return [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]

    def _judge(self, pod: dict[str, Any], error: OSError) -> None:
        same = [p for p in self._pods() if p["metadata"]["uid"] == pod["metadata"]["uid"]]
        if same and is_ready(same[0]):
            self.refusals.append(f"{pod['metadata']['name']}: {error}")

    def stop(self) -> None:
        """End after the request that runs."""
        self._over.set()
        self.join(30)
