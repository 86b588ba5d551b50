"""A pod's state in one word, as `kubectl get pods` prints it.

The order of the rules is that of Kubernetes' printPod: the same pod must read the same in kubectl, on the console and
in the admin. Called by the table of pods, the console's rows and the node agent's tests.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from nodeworker.wire.time import parse_time, short_age

Object = Mapping[str, Any]
_EMPTY: Object = {}


@dataclass
class _Summary:
    word: str
    ready: int = 0
    total: int = 0
    restarts: int = 0
    last_restart: str = ""


def status_word(pod: Object, now: datetime | None = None) -> str:
    """Return the STATUS column: Running, CrashLoopBackOff, Init:1/2, Terminating ..."""
    return summary(pod).word


def ready_count(pod: Object) -> tuple[int, int]:
    """Return how many containers are ready, of how many."""
    seen = summary(pod)
    return seen.ready, seen.total


def restarts(pod: Object) -> int:
    """Return how often the pod's containers were started anew."""
    return summary(pod).restarts


def restarts_text(pod: Object, now: datetime) -> str:
    """Return the RESTARTS column: "3 (5m ago)"."""
    return summary_restarts_text(summary(pod), now)


def summary_restarts_text(seen: _Summary, now: datetime) -> str:
    """Return the RESTARTS column of a summary that the caller has already."""
    if not seen.restarts or not seen.last_restart:
        return str(seen.restarts)
    return f"{seen.restarts} ({short_age((now - parse_time(seen.last_restart)).total_seconds())} ago)"


def is_pod_ready(pod: Object) -> bool:
    """Say whether the condition Ready is True."""
    return _condition(pod.get("status") or _EMPTY, "Ready") == "True"


def is_terminal(pod: Object) -> bool:
    """Say whether the pod has ended for good."""
    return (pod.get("status") or _EMPTY).get("phase") in ("Succeeded", "Failed")


def summary(pod: Object) -> _Summary:
    """Return word, ready count and restarts in one pass; a table of pods needs all three."""
    spec, status = pod.get("spec") or _EMPTY, pod.get("status") or _EMPTY
    seen = _Summary(status.get("reason") or status.get("phase") or "Unknown", total=len(spec.get("containers") or ()))
    if any(c.get("type") == "PodScheduled" and c.get("reason") == "SchedulingGated" for c in _conditions(status)):
        seen.word = "SchedulingGated"
    initializing = _read_init_containers(spec, status, seen)
    if not initializing or _condition(status, "Initialized") == "True":
        _read_containers(status, seen)
    if (pod.get("metadata") or _EMPTY).get("deletionTimestamp"):
        if status.get("reason") == "NodeLost":
            seen.word = "Unknown"
        elif status.get("phase") not in ("Succeeded", "Failed"):
            seen.word = "Terminating"
    return seen


def _read_init_containers(spec: Object, status: Object, seen: _Summary) -> bool:
    """Count the init containers into `seen`; return whether one of them still has to finish."""
    declared = spec.get("initContainers") or ()
    if not declared:
        return False
    sidecars = {container["name"] for container in declared if container.get("restartPolicy") == "Always"}
    seen.total += len(sidecars)
    # What the sidecars contributed is all that remains once the pod's own containers are counted.
    kept = _Summary("")
    initializing = False
    for index, container in enumerate(status.get("initContainerStatuses") or ()):
        _count_restarts(container, seen)
        if container.get("name") in sidecars:
            _count_restarts(container, kept)
        word = _init_word(container, container.get("name") in sidecars, index, len(declared))
        if word:
            seen.word, initializing = word, True
            break
        if container.get("name") in sidecars and container.get("started") and container.get("ready"):
            seen.ready += 1
    if not initializing or _condition(status, "Initialized") == "True":
        seen.restarts, seen.last_restart = kept.restarts, kept.last_restart
    return initializing


def _init_word(container: Object, sidecar: bool, index: int, total: int) -> str:
    """Return what an unfinished init container makes of the pod's word, or "" when it has done its part."""
    state = container.get("state") or _EMPTY
    terminated, waiting = state.get("terminated"), state.get("waiting") or _EMPTY
    if terminated is not None and not terminated.get("exitCode"):
        return ""
    if sidecar and container.get("started"):
        return ""
    if terminated is not None:
        return "Init:" + _terminated_word(terminated)
    if waiting.get("reason") and waiting["reason"] != "PodInitializing":
        return f"Init:{waiting['reason']}"
    return f"Init:{index}/{total}"


def _read_containers(status: Object, seen: _Summary) -> None:
    running = False
    for container in reversed(status.get("containerStatuses") or ()):
        _count_restarts(container, seen)
        state = container.get("state") or _EMPTY
        waiting, terminated = state.get("waiting"), state.get("terminated")
        if waiting is not None and waiting.get("reason"):
            seen.word = waiting["reason"]
        elif terminated is not None:
            seen.word = _terminated_word(terminated)
        elif container.get("ready") and state.get("running") is not None:
            running = True
            seen.ready += 1
    if seen.word == "Completed" and running:
        seen.word = "Running" if _condition(status, "Ready") == "True" else "NotReady"


def _terminated_word(terminated: Object) -> str:
    if terminated.get("reason"):
        return str(terminated["reason"])
    if terminated.get("signal"):
        return f"Signal:{terminated['signal']}"
    return f"ExitCode:{terminated.get('exitCode', 0)}"


def _count_restarts(container: Object, seen: _Summary) -> None:
    seen.restarts += container.get("restartCount") or 0
    last = ((container.get("lastState") or _EMPTY).get("terminated") or _EMPTY).get("finishedAt") or ""
    # RFC 3339 in UTC with whole seconds sorts as text.
    seen.last_restart = max(seen.last_restart, last)


def _conditions(status: Object) -> Iterable[Object]:
    return status.get("conditions") or ()


def _condition(status: Object, kind: str) -> str:
    return next((condition.get("status", "") for condition in _conditions(status) if condition.get("type") == kind), "")


def age(created: str | None, now: datetime) -> str:
    """Return the AGE column of an object created at `created`."""
    if not created:
        return "<unknown>"
    return short_age((now - parse_time(created)).total_seconds())
