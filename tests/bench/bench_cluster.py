"""The figures of a whole instance as one table: `python -m tests.bench.bench_cluster [--home DIR]`; it judges nothing.

Without --home an instance is started for the run and purged afterwards. With Docker's engine on this machine (its
socket answers) its create+start on a bridge is timed in the same run, interleaved, as the peer of "POST to Running".
"""

import contextlib
import http.client
import json
import queue
import socket
import ssl
import statistics
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from launcher import control
from tests.bench.instance import run
from tests.cluster_under_test import Cluster, eventually

POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "spec": {
        "terminationGracePeriodSeconds": 0,
        "containers": [{"name": "main", "image": "busybox", "command": ["sleep", "100000"]}],
    },
}
PODS = "/api/v1/namespaces/default/pods"
CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"


class Api:
    """One keep-alive connection to the API."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._context = ssl.create_default_context(cafile=str(cluster.home / "pki" / "ca.crt"))
        self._connection = self._open()

    def _open(self) -> http.client.HTTPSConnection:
        host, _, port = self._cluster.instance.api_listen.rpartition(":")
        connection = http.client.HTTPSConnection(host, int(port), context=self._context, timeout=60)
        connection.connect()
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def call(self, method: str, path: str, body: Any = None, content: str = "application/json") -> Any:
        headers = {"Authorization": f"Bearer {self._cluster.token}", "Content-Type": content}
        self._connection.request(method, path, json.dumps(body) if body is not None else None, headers)
        answer = self._connection.getresponse()
        text = answer.read()
        if answer.status >= 400:
            raise AssertionError(f"{method} {path}: {answer.status} {text[:300]!r}")
        return json.loads(text)

    def watch(self, path: str, revision: str) -> Iterator[tuple[float, dict[str, Any]]]:
        """Yield (time of arrival, event) of a watch on a connection of its own."""
        connection = self._open()
        query = f"{path}?watch=true&resourceVersion={revision}"
        connection.request("GET", query, headers={"Authorization": f"Bearer {self._cluster.token}"})
        for line in connection.getresponse():
            yield time.monotonic(), json.loads(line)


class RunningTimes:
    """Notes when a watch first shows each pod as Running."""

    def __init__(self, api: Api) -> None:
        self.seen: queue.Queue[tuple[str, float]] = queue.Queue()
        self._api, self._revision = api, api.call("GET", PODS)["metadata"]["resourceVersion"]
        threading.Thread(target=self._follow, daemon=True).start()

    def _follow(self) -> None:
        told: set[str] = set()
        for moment, event in self._api.watch(PODS, self._revision):
            name = event["object"]["metadata"].get("name", "")
            if event["object"].get("status", {}).get("phase") == "Running" and name not in told:
                told.add(name)
                self.seen.put((name, moment))


def pod_starts(cluster: Cluster, rounds: int) -> tuple[list[float], list[float]]:
    """Return seconds from POST to Running for `rounds` pods one after another, and Docker's, interleaved."""
    api, docker, ours, theirs = Api(cluster), _docker(), [], []
    times = RunningTimes(api)
    for number in range(rounds):
        name = f"bench-{number}"
        started = time.monotonic()
        api.call("POST", PODS, {**POD, "metadata": {"name": name}})
        seen, moment = times.seen.get(timeout=60)
        assert seen == name
        ours.append(moment - started)
        api.call("DELETE", f"{PODS}/{name}")
        if docker:
            theirs.append(docker.create_and_start())
    _await_gone(api, "bench-")
    return ours, theirs


def many_pods(cluster: Cluster, count: int) -> float:
    """Return the seconds from the first POST until `count` pods are Running."""
    api = Api(cluster)
    times = RunningTimes(api)
    started = time.monotonic()
    for number in range(count):
        api.call("POST", PODS, {**POD, "metadata": {"name": f"many-{number}"}})
    last = max(times.seen.get(timeout=120)[1] for _ in range(count))
    for number in range(count):
        api.call("DELETE", f"{PODS}/many-{number}")
    _await_gone(api, "many-")
    return last - started


def _await_gone(api: Api, prefix: str) -> None:
    def gone() -> bool:
        return not any(pod["metadata"]["name"].startswith(prefix) for pod in api.call("GET", PODS)["items"])

    eventually(gone, f"no pod {prefix}* is left", 90)


def changes_to_watch(cluster: Cluster, rounds: int) -> list[float]:
    """Return seconds from sending a PATCH until a watch on another connection has its event."""
    api = Api(cluster)
    created = api.call("POST", CONFIG_MAPS, {"metadata": {"name": "bench"}, "data": {"n": "-1"}})
    arrived: queue.Queue[tuple[float, str]] = queue.Queue()

    def follow() -> None:
        for moment, event in api.watch(CONFIG_MAPS, created["metadata"]["resourceVersion"]):
            arrived.put((moment, event["object"].get("data", {}).get("n", "")))

    threading.Thread(target=follow, daemon=True).start()
    seconds = []
    for number in range(rounds):
        started = time.monotonic()
        api.call("PATCH", f"{CONFIG_MAPS}/bench", {"data": {"n": str(number)}}, "application/merge-patch+json")
        while True:
            moment, value = arrived.get(timeout=20)
            if value == str(number):
                break
        seconds.append(moment - started)
    api.call("DELETE", f"{CONFIG_MAPS}/bench")
    return seconds


def idle(cluster: Cluster, seconds: float) -> tuple[float, float, dict[str, float]]:
    """Return PSS in MB and share of one core of all processes with no pods, and the PSS of each."""
    children = next(control.states(cluster.home, 5.0))
    processes = {name: psutil.Process(child.pid) for name, child in children.items()}
    supervisor = next(iter(processes.values())).parent()
    assert supervisor is not None
    family = {"supervisor": [supervisor]}
    for name, process in processes.items():
        family[name] = [process, *process.children(recursive=True)]
    zygotes = [p for p in psutil.process_iter(["cmdline"]) if str(cluster.home) in " ".join(p.info["cmdline"] or [])]
    known = {process.pid for group in family.values() for process in group}
    family["zygote"] = [
        process for process in zygotes if process.pid not in known and process.pid != psutil.Process().pid
    ]
    before = _cpu(family)
    time.sleep(seconds)
    used = _cpu(family) - before
    memory = {name: sum(_pss(process) for process in group) for name, group in family.items()}
    return sum(memory.values()), used / seconds, memory


def _cpu(family: dict[str, list[psutil.Process]]) -> float:
    total = 0.0
    for group in family.values():
        for process in group:
            with contextlib.suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                total += times.user + times.system
    return total


def _pss(process: psutil.Process) -> float:
    try:
        rollup = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
    except OSError:
        return 0.0
    return int(next(line for line in rollup.splitlines() if line.startswith("Pss:")).split()[1]) / 1000


class Docker:
    """Docker's API on its socket: create and start on the default bridge, then remove."""

    def __init__(self, path: str) -> None:
        self._path = path

    def call(self, method: str, path: str, body: Any = None) -> Any:
        connection = http.client.HTTPConnection("docker")
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(self._path)
        connection.request(method, path, json.dumps(body) if body else None, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        text = answer.read()
        return json.loads(text) if text else None

    def create_and_start(self) -> float:
        started = time.monotonic()
        made = self.call("POST", "/containers/create", {"Image": "busybox", "Cmd": ["sleep", "100000"]})
        self.call("POST", f"/containers/{made['Id']}/start")
        seconds = time.monotonic() - started
        self.call("DELETE", f"/containers/{made['Id']}?force=true")
        return seconds


def _docker() -> Docker | None:
    docker = Docker("/var/run/docker.sock")
    try:
        images = docker.call("GET", "/images/json")
    except OSError:
        return None
    tags = [tag for image in images for tag in image.get("RepoTags") or []]
    return docker if any(tag.startswith("busybox") for tag in tags) else None


def milliseconds(values: list[float]) -> str:
    """Return median and 99th percentile."""
    if not values:
        return "not measured"
    ordered = sorted(values)
    worst = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
    return f"median {statistics.median(values) * 1000:.1f} ms, p99 {worst * 1000:.1f} ms ({len(values)} runs)"


def report(cluster: Cluster, rounds: int) -> None:
    """Measure and print the table."""
    memory, share, parts = idle(cluster, 20)
    ours, theirs = pod_starts(cluster, rounds)
    rows = [
        ("idle, all processes, PSS", f"{memory:.0f} MB", "bar 450 MB"),
        ("idle, share of a core", f"{share * 100:.1f} %", "bar 3 %"),
        ("POST pod to Running", milliseconds(ours), "bar median 150, p99 500; aim 50"),
        ("Docker's API, create and start", milliseconds(theirs), "peer"),
        ("30 pods at once", f"{many_pods(cluster, 30):.2f} s", "bar 3 s"),
        ("PATCH to watch event", milliseconds(changes_to_watch(cluster, 200)), "bar median 10"),
    ]
    for subject, value, bar in rows:
        print(f"{subject:34} {value:48} {bar}")
    print("PSS by process: " + ", ".join(f"{name} {value:.0f}" for name, value in parts.items()))


if __name__ == "__main__":
    run(report, 50)
