"""CPU and memory of the containers, from their cgroups. Served by streaming/server.py."""

import time
from typing import Any

from nodeworker.kernel.cgroups.hierarchy import Usage
from nodeworker.runtime.runtime import Runtime
from nodeworker.runtime.specs import ContainerState, PodState
from nodeworker.streaming.http import RequestProblem


def all_stats(runtime: Runtime) -> dict[str, Any]:
    """All pods of this node."""
    return {"time": time.time(), "pods": [_of_pod(runtime, pod) for pod in runtime.pods() if pod.phase == "ready"]}


def pod_stats(runtime: Runtime, uid: str) -> dict[str, Any]:
    """One pod."""
    pod = runtime.pod(uid)
    if pod is None:
        raise RequestProblem(404, f"pod {uid} is not on this node")
    return {"time": time.time(), **_of_pod(runtime, pod)}


def _of_pod(runtime: Runtime, pod: PodState) -> dict[str, Any]:
    containers = [
        _of_container(entry, usage)
        for entry in pod.containers
        if entry.phase == "running" and (usage := runtime.usage(pod.uid, entry.name, entry.attempt)) is not None
    ]
    return {"uid": pod.uid, "namespace": pod.namespace, "name": pod.name, "containers": containers}


def _of_container(container: ContainerState, usage: Usage) -> dict[str, Any]:
    return {
        "name": container.name,
        "attempt": container.attempt,
        "cpu_seconds": usage.cpu_nanoseconds / 1e9,
        "memory_bytes": usage.working_set_bytes,
        "processes": usage.pids,
    }
