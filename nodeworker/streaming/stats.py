"""CPU and memory of the containers, read from their cgroups. Served by streaming/server.py."""

import time
from pathlib import Path
from typing import Any

from nodeworker.runtime.runtime import Runtime
from nodeworker.runtime.specs import ContainerState, PodState
from nodeworker.streaming.http import RequestProblem

ROOT = Path("/sys/fs/cgroup")


def all_stats(runtime: Runtime) -> dict[str, Any]:
    """All pods of this node."""
    return {"time": time.time(), "pods": [_of_pod(pod) for pod in runtime.pods() if pod.phase == "ready"]}


def pod_stats(runtime: Runtime, uid: str) -> dict[str, Any]:
    """One pod."""
    pod = runtime.pod(uid)
    if pod is None:
        raise RequestProblem(404, f"pod {uid} is not on this node")
    return {"time": time.time(), **_of_pod(pod)}


def _of_pod(pod: PodState) -> dict[str, Any]:
    containers = [_of_container(entry) for entry in pod.containers if entry.phase == "running" and entry.pid]
    return {"uid": pod.uid, "namespace": pod.namespace, "name": pod.name, "containers": containers}


def _of_container(container: ContainerState) -> dict[str, Any]:
    directories = cgroup_directories(container.pid or 0)
    return {
        "name": container.name,
        "attempt": container.attempt,
        "cpu_seconds": cpu_seconds(directories),
        "memory_bytes": working_set(directories),
        "processes": _number(directories.get("pids", Path()) / "pids.current"),
    }


def cgroup_directories(pid: int, root: Path = ROOT, proc: Path = Path("/proc")) -> dict[str, Path]:
    """controller -> directory of the process's cgroup; the key "" is the v2 one."""
    found: dict[str, Path] = {}
    try:
        lines = (proc / str(pid) / "cgroup").read_text().splitlines()
    except OSError:
        return found
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:
            unified = root / "unified"
            found[""] = (unified if unified.exists() else root) / path.lstrip("/")
        for controller in controllers.split(","):
            if controller and not controller.startswith("name="):
                found[controller] = root / controller / path.lstrip("/")
    for controller in ("cpu", "memory", "pids"):
        if "" in found and controller not in found:
            found[controller] = found[""]
    return found


def cpu_seconds(directories: dict[str, Path]) -> float:
    """CPU time since the start of the container."""
    if "cpuacct" in directories:
        return _number(directories["cpuacct"] / "cpuacct.usage") / 1e9
    return _field(directories.get("cpu", Path()) / "cpu.stat", "usage_usec") / 1e6


def working_set(directories: dict[str, Path]) -> int:
    """Memory that cannot be given back at once: usage without inactive file pages, as kubectl top counts."""
    memory = directories.get("memory")
    if memory is None:
        return 0
    usage = _number(memory / "memory.usage_in_bytes") or _number(memory / "memory.current")
    inactive = _field(memory / "memory.stat", "total_inactive_file") or _field(memory / "memory.stat", "inactive_file")
    return max(usage - inactive, 0)


def _number(path: Path) -> int:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return 0


def _field(path: Path, name: str) -> int:
    try:
        for line in path.read_text().splitlines():
            if line.startswith(f"{name} "):
                return int(line.split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    return 0
