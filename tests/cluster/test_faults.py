"""Faults: processes are killed and stopped while there is work; afterwards what is, is what was asked for.

The order of the deaths comes from a seed, the same in each run; GANTRY_FAULT_SEED chooses another.
"""

import json
import os
import random
import signal
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import pytest

from launcher import control
from launcher.machine import cgroups
from nodeworker.runtime.runtime import Runtime
from nodeworker.runtime.specs import PodState
from tests.cluster_under_test import Cluster, eventually, is_ready

pytestmark = [pytest.mark.root, pytest.mark.cluster, pytest.mark.timeout(240)]

SEED = int(os.environ.get("GANTRY_FAULT_SEED") or 1)
APPS = "/apis/apps/v1/namespaces/default/deployments"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
LONG_AGO = "2026-01-01T00:00:00.000000Z"
MERGE = {"Content-Type": "application/merge-patch+json"}
STRATEGIC = {"Content-Type": "application/strategic-merge-patch+json"}


def deployment(name: str, replicas: int) -> dict[str, Any]:
    container = {"name": "main", "image": "busybox", "command": ["sleep", "100000"]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"terminationGracePeriodSeconds": 0, "containers": [container]},
            },
        },
    }


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """An instance that these tests hurt, with two pods that nobody touches."""
    if os.geteuid() != 0:
        pytest.skip("needs root: it starts containers")
    instance = Cluster(tmp_path_factory.mktemp("faults"))
    try:
        # Others that start meanwhile look for free ports from the usual ones on, and would take those of a dead web.
        instance.up("--listen", f"127.0.0.1:{quiet_port()}", "--api-listen", f"127.0.0.1:{quiet_port()}")
        instance.apply(json.dumps(deployment("steady", 2)))
        eventually(lambda: ready(instance, "steady", 2), "the steady pods run", 30)
        yield instance
    finally:
        instance.kubectl("delete", "deployments", "--all", check=False)
        instance.gantry("purge", "--yes", check=False)


def quiet_port() -> int:
    """A free port where nobody looks for one."""
    while True:
        port = random.SystemRandom().randrange(20_000, 32_000)
        with socket.socket() as trial:
            if trial.connect_ex(("127.0.0.1", port)):
                return port


def client(cluster: Cluster) -> httpx2.Client:
    tls = ssl.create_default_context(cafile=str(cluster.home / "pki" / "ca.crt"))
    headers = {"Authorization": f"Bearer {cluster.token}"}
    return httpx2.Client(base_url=cluster.api, verify=tls, headers=headers, trust_env=False, timeout=5)


def ready(cluster: Cluster, app: str, count: int) -> list[dict[str, Any]] | None:
    pods = cluster.pods(f"app={app}")
    return pods if len(pods) == count and all(map(is_ready, pods)) else None


def runtime_pods(cluster: Cluster) -> list[PodState]:
    """What runs by the runtime's own account."""
    home = cluster.home
    return Runtime(home / "node", home / "run" / "zygote.sock", cluster.instance.cgroup_parent).pods()


def container_pids(cluster: Cluster, app: str) -> dict[str, int]:
    uids = {pod["metadata"]["uid"] for pod in cluster.pods(f"app={app}")}
    pods = [pod for pod in runtime_pods(cluster) if pod.uid in uids]
    return {pod.uid: container.pid for pod in pods for container in pod.containers if container.pid}


def pid_of(cluster: Cluster, name: str) -> int:
    """The pid of a process of the instance; 0 while it is not there."""
    if name == "zygote":
        return next(iter(processes(cluster, "gantry-zygote")), 0)
    return next(control.states(cluster.home, 5.0))[name].pid


def processes(cluster: Cluster, comm: str) -> list[int]:
    """The runtime's processes of that name that belong to this instance."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            name, command = (folder / "comm").read_text().strip(), (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if name == comm and str(cluster.home).encode() in command:
            found.append(int(folder.name))
    return found


class Writer(threading.Thread):
    """Writes without pause, and remembers what was acknowledged."""

    def __init__(self, cluster: Cluster, seed: int) -> None:
        super().__init__(daemon=True)
        self._client = client(cluster)
        self._random = random.Random(seed)
        self._over = threading.Event()
        self._one_more = threading.Condition()
        self.count = 0
        self.config_maps: list[str] = []
        self.revisions: list[int] = []

    def run(self) -> None:
        number = 0
        while not self._over.wait(0.05):
            number += 1
            self.send(number)

    def send(self, number: int) -> None:
        choice = self._random.random()
        if choice < 0.1:
            self._acknowledged(lambda: roll(self._client, number))
        elif choice < 0.25:
            replicas = self._random.randint(1, 4)
            self._acknowledged(lambda: scale(self._client, replicas))
        else:
            body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"written-{number}"}}
            created = self._acknowledged(lambda: self._client.post("/api/v1/namespaces/default/configmaps", json=body))
            if created:
                self.config_maps.append(f"written-{number}")
                self.revisions.append(int(created["metadata"]["resourceVersion"]))

    def _acknowledged(self, request: Callable[[], httpx2.Response]) -> dict[str, Any]:
        """Return the object that the server says it stored; empty when nothing was promised."""
        try:
            answer = request()
        except httpx2.HTTPError:
            return {}  # nobody knows whether it was written
        if answer.status_code >= 500:
            return {}
        assert answer.is_success, answer.text
        stored: dict[str, Any] = answer.json()
        with self._one_more:
            self.count += 1
            self._one_more.notify_all()
        return stored

    def wait_for(self, more: int, timeout: float) -> bool:
        """Wait until so many more writes were acknowledged."""
        with self._one_more:
            goal = self.count + more
            return self._one_more.wait_for(lambda: self.count >= goal, timeout)

    def stop(self) -> None:
        self._over.set()
        self.join(10)


def scale(api: httpx2.Client, replicas: int) -> httpx2.Response:
    return api.patch(f"{APPS}/moving/scale", json={"spec": {"replicas": replicas}}, headers=MERGE)


def roll(api: httpx2.Client, version: int) -> httpx2.Response:
    container = {"name": "main", "env": [{"name": "VERSION", "value": str(version)}]}
    body = {"spec": {"template": {"spec": {"containers": [container]}}}}
    return api.patch(f"{APPS}/moving", json=body, headers=STRATEGIC)


def is_alive(pid: int) -> bool:
    """Whether the process runs; one that only waits to be reaped does not."""
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def left_over(cluster: Cluster) -> dict[str, Any]:
    """What is on the machine and belongs to no pod of the API, or is missing for one; empty when all is well."""
    pods = json.loads(cluster.kubectl("get", "pods", "-A", "-o", "json"))["items"]
    wanted = {pod["metadata"]["uid"] for pod in pods}
    instance = cluster.instance
    below = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    shims = processes(cluster, "gantry-shim")
    seen = {
        "pods": {pod.uid for pod in runtime_pods(cluster)},
        "directories": {path.name for path in (cluster.home / "node" / "pods").iterdir()},
        "cgroups": {path.name[3:] for parent in cgroups(instance) for path in parent.glob("pod*")},
    }
    wrong: dict[str, Any] = {name: uids ^ wanted for name, uids in seen.items() if uids != wanted}
    prefix = str(cluster.home / "node")
    for path in below:
        if path.startswith(f"{prefix}/pods/") and path.split("/")[len(prefix.split("/")) + 1] not in wanted:
            wrong.setdefault("mounts", []).append(path)
    interfaces = [path.name for path in Path("/sys/class/net").glob(f"gv{instance.id}*")]
    if len(interfaces) != len(wanted):
        wrong["interfaces"] = f"{len(interfaces)} for {len(wanted)} pods"
    if not len(wanted) <= len(shims) <= len(wanted) + 2:  # one waits for the next pod, with its builder
        wrong["shims"] = f"{len(shims)} for {len(wanted)} pods"
    return wrong


def test_deaths_in_any_order_lose_nothing(own: Cluster) -> None:
    chance = random.Random(SEED)
    order = ["web", "controller", "nodeworker", "broker", "zygote"]
    chance.shuffle(order)
    untouched = container_pids(own, "steady")
    assert len(untouched) == 2
    own.apply(json.dumps(deployment("moving", 2)))
    writer = Writer(own, SEED)
    writer.start()
    for name in order:
        assert writer.wait_for(chance.randint(3, 15), 40), f"no write is acknowledged any more; seed {SEED}, {order}"
        pid = eventually(partial(pid_of, own, name), f"there is a {name} to kill; seed {SEED}", 30)
        os.kill(pid, signal.SIGKILL)
    assert writer.wait_for(10, 40), f"no write is acknowledged after {order}; seed {SEED}"
    writer.stop()
    with client(own) as api:
        assert roll(api, 0).status_code == 200
        assert scale(api, 3).status_code == 200
    last: list[Any] = []

    def settled() -> bool:
        pods = ready(own, "moving", 3)
        status = own.get("deployment", "moving")
        versions = [pod["spec"]["containers"][0]["env"][0]["value"] for pod in pods or []]
        whole = status["status"].get("observedGeneration") == status["metadata"]["generation"]
        last[:] = [versions, status["status"], left_over(own)]
        return versions == ["0", "0", "0"] and whole and not last[-1]

    try:
        eventually(settled, f"actual is desired; seed {SEED}, {order}", 60)
    except AssertionError as error:
        raise AssertionError(f"{error}\n{last}") from None
    present = {item["metadata"]["name"] for item in own.get("configmaps")}
    assert set(writer.config_maps) <= present, f"acknowledged writes are lost; seed {SEED}, {order}"
    assert writer.revisions == sorted(set(writer.revisions)), "revisions of what one client creates only grow"
    assert container_pids(own, "steady") == untouched, f"untouched pods were touched; seed {SEED}, {order}"
    assert [pod["status"]["containerStatuses"][0]["restartCount"] for pod in own.pods("app=steady")] == [0, 0]


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def test_a_broker_that_hangs_costs_time_only(own: Cluster) -> None:
    with stopped(pid_of(own, "broker")):
        own.apply(json.dumps(deployment("late", 2)))
        eventually(lambda: ready(own, "late", 2), "pods start without a broker", 60)
    own.kubectl("scale", "deployment", "late", "--replicas=0")
    eventually(lambda: not own.pods("app=late"), "with the broker back, work goes on", 30)


def test_a_killed_shim_is_told_and_healed(own: Cluster) -> None:
    """Nobody can see any more how the container ends, so it is ended, told, and started anew."""
    before = container_pids(own, "steady")
    uid, pid = next(iter(before.items()))
    shim = next(pod.shim_pid for pod in runtime_pods(own) if pod.uid == uid)
    assert shim is not None
    os.kill(shim, signal.SIGKILL)

    def healed() -> bool:
        pids = container_pids(own, "steady")
        return bool(ready(own, "steady", 2)) and len(pids) == 2 and pid not in pids.values()

    eventually(healed, "two ready pods again", 40)
    eventually(lambda: not is_alive(pid), "its container has ended", 10)
    pods = [pod for pod in own.pods("app=steady") if pod["metadata"]["uid"] == uid]
    restarts = pods[0]["status"]["containerStatuses"][0]["restartCount"] if pods else 1
    assert restarts == 1
    eventually(lambda: not left_over(own), "nothing is left over", 20)


def ready_condition(cluster: Cluster) -> dict[str, Any]:
    conditions = cluster.get("nodes")[0]["status"]["conditions"]
    return next(condition for condition in conditions if condition["type"] == "Ready")


def test_a_silent_node_is_told_and_comes_back(own: Cluster) -> None:
    """The 40 s of silence are told to the control plane as past, instead of waited for."""
    name = own.instance.node_name
    before = container_pids(own, "steady")
    with stopped(pid_of(own, "nodeworker")), client(own) as api:
        heard = {**ready_condition(own), "lastHeartbeatTime": LONG_AGO[:19] + "Z"}
        status = {"status": {"conditions": [heard]}}
        assert api.patch(f"/api/v1/nodes/{name}/status", json=status, headers=STRATEGIC).status_code == 200
        lease = {"spec": {"renewTime": LONG_AGO}}
        assert api.patch(f"{LEASES}/{name}", json=lease, headers=MERGE).status_code == 200
        eventually(lambda: ready_condition(own)["status"] == "Unknown", "the node is told to be silent", 45)
        eventually(lambda: not any(map(is_ready, own.pods("app=steady"))), "nobody knows whether its pods answer", 15)
        assert container_pids(own, "steady") == before
    eventually(lambda: ready_condition(own)["status"] == "True", "the node is Ready again", 30)
    eventually(lambda: ready(own, "steady", 2), "its pods are ready again", 30)
    assert container_pids(own, "steady") == before
