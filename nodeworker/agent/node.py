"""The Node object of this machine: registration, heartbeat, conditions, images. Called by agent/agent.py.

The Lease is the heartbeat (10 s); the Node's status is written only when something other than a time has changed.
"""

import logging
import os
import platform
import shutil
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from nodeworker.agent.api import STRATEGIC, ApiClient, ApiError
from nodeworker.agent.logic.podspec import format_seconds
from nodeworker.agent.logic.status import without_times
from nodeworker.config import NodeConfig

log = logging.getLogger(__name__)
Object = dict[str, Any]
VERSION = "v1.34.0-gantry.0.1.0"
RUNTIME_VERSION = "gantry://0.1.0"
HEARTBEAT = 10.0
LEASE_SECONDS = 40
STATUS_EVERY = 30.0
RESERVED_CPU = 100  # millicores
MEMORY_PRESSURE_BELOW = 100 * 1024 * 1024
DISK_PRESSURE_BELOW = 0.05  # of the file system
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


class NodeRegistration:
    """Keeps the Node object and the Lease."""

    def __init__(self, api: ApiClient, config: NodeConfig, images: Callable[[], list[Object]]) -> None:
        self._api, self._config, self._images = api, config, images
        self._stop = threading.Event()
        self._changed = threading.Event()
        self.node: Object = {}
        self.problem = ""  # why the node is not ready, besides what the machine says
        self._known_status: Any = None
        self._status_at = 0.0

    @property
    def allocatable(self) -> Mapping[str, str]:
        return dict((self.node.get("status") or {}).get("allocatable") or {})

    def register(self) -> Object:
        """Create or update the Node; waits for an API that is not there yet."""
        pause = 0.1
        while not self._stop.is_set():
            try:
                self.node = self._create_or_get()
                self.write_status()
                return self.node
            except (OSError, ApiError) as problem:
                log.warning("registering node %s: %s", self._config.name, problem)
            self._stop.wait(pause)
            pause = min(pause * 2, 3.0)
        raise SystemExit(0)

    def wait_for_pod_cidr(self) -> str:
        """The node's own range, given by the control plane."""
        pause = 0.05
        while not self._stop.is_set():
            cidr = (self.node.get("spec") or {}).get("podCIDR")
            if cidr:
                return str(cidr)
            self._stop.wait(pause)
            pause = min(pause * 2, 1.0)
            try:
                self.node = self._api.get(self._path())
            except (OSError, ApiError) as problem:
                log.warning("waiting for the node's pod range: %s", problem)
        raise SystemExit(0)

    def start(self) -> None:
        threading.Thread(target=self._run, name="heartbeat", daemon=True).start()

    def stop(self) -> None:
        self._stop.set()
        self._changed.set()

    def images_changed(self) -> None:
        self._changed.set()

    def write_status(self) -> None:
        """Tell the API what has changed of the node."""
        status = node_status(self._config, self._images(), self.problem, self.node, time.time())
        known = without_times(status)
        if known == self._known_status:
            return
        body = {"status": status}
        self.node = self._api.call("PATCH", f"{self._path()}/status", body, content_type=STRATEGIC)
        self._known_status = known

    def _path(self) -> str:
        return f"/api/v1/nodes/{quote(self._config.name)}"

    def _create_or_get(self) -> Object:
        labels = node_labels(self._config.name)
        body = {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": self._config.name, "labels": labels},
            "spec": {},
        }
        try:
            created: Object = self._api.call("POST", "/api/v1/nodes", body)
            return created
        except ApiError as problem:
            if problem.code != 409:
                raise
        found: Object = self._api.get(self._path())
        if any((found["metadata"].get("labels") or {}).get(key) != value for key, value in labels.items()):
            patch = {"metadata": {"labels": labels}}
            found = self._api.call("PATCH", self._path(), patch, content_type="application/merge-patch+json")
        return found

    def _run(self) -> None:
        lease: Object | None = None
        next_beat = 0.0
        while not self._stop.is_set():
            now = time.monotonic()
            if now >= next_beat:
                next_beat = now + HEARTBEAT
                try:
                    lease = self._renew(lease)
                except (OSError, ApiError) as problem:
                    lease = None
                    next_beat = now + 1.0
                    log.warning("heartbeat: %s", problem)
            if self._changed.is_set() or now - self._status_at >= STATUS_EVERY:
                self._changed.clear()
                self._status_at = now
                try:
                    self._know_status()
                    self.write_status()
                except (OSError, ApiError) as problem:
                    self._known_status = None
                    log.warning("status of the node: %s", problem)
            self._changed.wait(max(next_beat - time.monotonic(), 0.0))

    def _know_status(self) -> None:
        """See the object as others have changed it (NotReady after an outage): then the status is written again."""
        found = self._api.get(self._path())
        ours = {entry["type"]: entry["status"] for entry in (self.node.get("status") or {}).get("conditions") or ()}
        theirs = {entry["type"]: entry["status"] for entry in (found.get("status") or {}).get("conditions") or ()}
        if ours != theirs:
            self._known_status = None
        self.node = found

    def _renew(self, lease: Object | None) -> Object:
        name = self._config.name
        path = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        spec = {"holderIdentity": name, "leaseDurationSeconds": LEASE_SECONDS, "renewTime": now}
        if lease is not None:
            patch = {"spec": {"renewTime": now}}
            renewed: Object = self._api.call(
                "PATCH", f"{path}/{quote(name)}", patch, content_type="application/merge-patch+json", timeout=10
            )
            return renewed
        body = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": name, "namespace": "kube-node-lease"},
            "spec": spec,
        }
        try:
            created: Object = self._api.call("POST", path, body, timeout=10)
            return created
        except ApiError as problem:
            if problem.code != 409:
                raise
        taken: Object = self._api.call(
            "PATCH", f"{path}/{quote(name)}", {"spec": spec}, content_type="application/merge-patch+json", timeout=10
        )
        return taken


def node_labels(name: str) -> dict[str, str]:
    architecture = ARCHITECTURES.get(platform.machine(), platform.machine())
    return {
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": architecture,
        "beta.kubernetes.io/os": "linux",
        "beta.kubernetes.io/arch": architecture,
    }


def node_status(config: NodeConfig, images: list[Object], problem: str, node: Object, now: float) -> Object:
    """What this machine is and how it fares."""
    memory = memory_information()
    disk = shutil.disk_usage(config.home)
    cores = len(os.sched_getaffinity(0))
    reserved = min(max(memory["MemTotal"] // 20, 128 * 1024 * 1024), 1024 * 1024 * 1024)
    shared = {"pods": str(config.max_pods), "hugepages-2Mi": "0", "hugepages-1Gi": "0"}
    capacity = {"cpu": str(cores), "memory": f"{memory['MemTotal'] // 1024}Ki", **shared}
    capacity["ephemeral-storage"] = f"{disk.total // 1024}Ki"
    return {
        "capacity": capacity,
        "allocatable": {
            **shared,
            "cpu": f"{cores * 1000 - RESERVED_CPU}m",
            "memory": f"{(memory['MemTotal'] - reserved) // 1024}Ki",
            "ephemeral-storage": str(int(disk.total * 0.9)),
        },
        "addresses": [
            {"type": "InternalIP", "address": config.address},
            {"type": "Hostname", "address": config.name},
        ],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": config.stream_address[1]}},
        "nodeInfo": node_information(),
        "conditions": node_conditions(memory, disk, problem, node, now),
        "images": images[:100],
    }


def node_information() -> dict[str, str]:
    machine = platform.machine()
    return {
        "kernelVersion": platform.release(),
        "osImage": os_image(),
        "containerRuntimeVersion": RUNTIME_VERSION,
        "kubeletVersion": VERSION,
        "kubeProxyVersion": VERSION,
        "operatingSystem": "linux",
        "architecture": ARCHITECTURES.get(machine, machine),
        "machineID": _line("/etc/machine-id"),
        "systemUUID": _line("/sys/class/dmi/id/product_uuid") or _line("/etc/machine-id"),
        "bootID": _line("/proc/sys/kernel/random/boot_id"),
    }


def node_conditions(memory: Mapping[str, int], disk: Any, problem: str, node: Object, now: float) -> list[Object]:
    low_memory = memory.get("MemAvailable", memory["MemTotal"]) < MEMORY_PRESSURE_BELOW
    low_disk = disk.free < disk.total * DISK_PRESSURE_BELOW
    low_pids = _processes() > 0.9 * int(_line("/proc/sys/kernel/pid_max") or 4194304)
    pressures = (
        ("MemoryPressure", low_memory, "KubeletHasInsufficientMemory", "KubeletHasSufficientMemory", "memory"),
        ("DiskPressure", low_disk, "KubeletHasDiskPressure", "KubeletHasNoDiskPressure", "disk space"),
        ("PIDPressure", low_pids, "KubeletHasInsufficientPID", "KubeletHasSufficientPID", "process numbers"),
    )
    conditions: list[Object] = []
    for kind, pressed, bad, good, what in pressures:
        message = f"the node has {'too little' if pressed else 'enough'} {what}"
        conditions.append(
            _condition(node, kind, "True" if pressed else "False", bad if pressed else good, message, now)
        )
    if problem:
        conditions.append(_condition(node, "Ready", "False", "KubeletNotReady", problem, now))
    else:
        conditions.append(_condition(node, "Ready", "True", "KubeletReady", "the node agent is ready", now))
    return conditions


def _condition(node: Object, kind: str, status: str, reason: str, message: str, now: float) -> Object:
    known = next(
        (entry for entry in (node.get("status") or {}).get("conditions") or () if entry.get("type") == kind), None
    )
    since = format_seconds(now)
    if known is not None and known.get("status") == status and known.get("lastTransitionTime"):
        since = str(known["lastTransitionTime"])
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "lastHeartbeatTime": format_seconds(now),
        "lastTransitionTime": since,
    }


def memory_information() -> dict[str, int]:
    """/proc/meminfo in bytes."""
    found = {}
    for line in Path("/proc/meminfo").read_text().splitlines():
        name, _, rest = line.partition(":")
        words = rest.split()
        found[name] = int(words[0]) * (1024 if len(words) > 1 else 1)
    return found


def os_image() -> str:
    for line in _line("/etc/os-release", whole=True).splitlines():
        if line.startswith("PRETTY_NAME="):
            return line.partition("=")[2].strip().strip('"')
    return "Linux"


def _processes() -> int:
    return sum(1 for entry in Path("/proc").iterdir() if entry.name.isdigit())


def _line(path: str, *, whole: bool = False) -> str:
    try:
        text = Path(path).read_text()
    except OSError:
        return ""
    return text if whole else text.strip()
