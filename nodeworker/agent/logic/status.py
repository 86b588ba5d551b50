"""The status of a pod as the kubelet computes it: phase, conditions, container statuses. Called by agent/syncing.py."""

from typing import Any

from nodeworker.agent.logic import podspec
from nodeworker.agent.logic.observed import ContainerSeen, Object, Probed, View
from nodeworker.agent.logic.plan import Next, current, decide, failed_init, is_initialized, post_start_pending

Status = dict[str, Any]
TIMES = frozenset({"lastTransitionTime", "lastProbeTime", "lastHeartbeatTime"})
OWNED_CONDITIONS = ("Initialized", "Ready", "ContainersReady")


def compute_status(pod: Object, view: View, now: float) -> Status:
    """The status as it should stand in the API, without the conditions that others own."""
    init_statuses = _init_statuses(pod, view, now)
    statuses = [_container_status(pod, container, view, now) for container in podspec.containers(pod)]
    phase = _phase(pod, view, init_statuses, statuses)
    status: Status = {
        "phase": phase,
        "conditions": _conditions(pod, view, phase, statuses, now),
        "hostIP": view.host_address,
        "hostIPs": [{"ip": view.host_address}],
        "containerStatuses": statuses,
        "qosClass": (pod.get("status") or {}).get("qosClass") or qos_class(pod),
    }
    if init_statuses:
        status["initContainerStatuses"] = init_statuses
    if view.memory.started_at:
        status["startTime"] = podspec.format_seconds(view.memory.started_at)
    if view.memory.address:
        status["podIP"] = view.memory.address
        status["podIPs"] = [{"ip": view.memory.address}]
    return status


def without_times(status: Any) -> Any:
    """The status without what only says when: two that are equal so need no write."""
    if isinstance(status, dict):
        return {key: without_times(value) for key, value in status.items() if key not in TIMES}
    if isinstance(status, list):
        return [without_times(value) for value in status]
    return status


def differs(pod: Object, status: Status) -> bool:
    """Whether the API does not know this status yet."""
    known = pod.get("status") or {}
    for key, value in status.items():
        if key == "conditions":
            continue
        if without_times(known.get(key)) != without_times(value):
            return True
    return any(_condition_differs(pod, condition) for condition in status["conditions"])


def _condition_differs(pod: Object, condition: Status) -> bool:
    known = podspec.condition(pod, condition["type"]) or {}
    return any(known.get(key) != condition.get(key) for key in ("status", "reason", "message"))


def qos_class(pod: Object) -> str:
    """Guaranteed, Burstable or BestEffort, by requests and limits of CPU and memory."""
    guaranteed, anything = True, False
    for container in podspec.all_containers(pod):
        resources = container.get("resources") or {}
        requests, limits = resources.get("requests") or {}, resources.get("limits") or {}
        anything = anything or any(name in requests or name in limits for name in ("cpu", "memory"))
        for name in ("cpu", "memory"):
            if name not in limits or requests.get(name, limits[name]) != limits[name]:
                guaranteed = False
    if not anything:
        return "BestEffort"
    return "Guaranteed" if guaranteed else "Burstable"


def _init_statuses(pod: Object, view: View, now: float) -> list[Status]:
    statuses: list[Status] = []
    initialized = is_initialized(pod, view)
    turn = True  # whether the containers before this one have succeeded
    for container in podspec.init_containers(pod):
        seen = current(view, container["name"], init=True) or view.memory.last.get(container["name"])
        entry = _base_status(container, seen, view)
        if seen is not None and seen.alive:
            entry["state"] = _running(seen) if seen.phase == "running" else _waiting("PodInitializing")
        elif seen is not None and (seen.succeeded or initialized or podspec.restart_policy(pod) == "Never"):
            entry["state"] = {"terminated": terminated(seen, view)}
        else:
            entry["state"] = _state_waiting(pod, container, view, now, init=True, turn=turn)
            if seen is not None:
                entry["lastState"] = {"terminated": terminated(seen, view)}
        entry["ready"] = bool(seen and seen.succeeded)
        entry["started"] = bool(seen and seen.phase == "running")
        turn = turn and bool(seen and seen.succeeded)
        statuses.append(entry)
    return statuses


def _container_status(pod: Object, container: Object, view: View, now: float) -> Status:
    name = str(container["name"])
    seen = current(view, name)
    entry = _base_status(container, seen, view)
    if seen is not None and seen.phase == "running":
        probed = view.probes.get(name, Probed())
        pending = post_start_pending(container, seen, view)
        entry["state"] = _waiting("ContainerCreating") if pending else _running(seen)
        entry["started"] = probed.started and not pending
        entry["ready"] = probed.started and probed.ready and not pending
        previous = _previous(view, seen)
        if previous is not None:
            entry["lastState"] = {"terminated": terminated(previous, view)}
        return entry
    if seen is not None and seen.phase == "exited" and _stays_ended(pod, container, view, now):
        entry["state"] = {"terminated": terminated(seen, view)}
        previous = _previous(view, seen)
        if previous is not None:
            entry["lastState"] = {"terminated": terminated(previous, view)}
        return entry
    entry["state"] = _state_waiting(pod, container, view, now)
    ended = seen if seen is not None and seen.phase == "exited" else _previous(view, seen) if seen else None
    if ended is not None:
        entry["lastState"] = {"terminated": terminated(ended, view)}
    return entry


def _stays_ended(pod: Object, container: Object, view: View, now: float) -> bool:
    if podspec.is_deleting(pod) or podspec.phase(pod) in podspec.FINISHED:
        return True
    return decide(pod, container, view, now).next is Next.DONE


def _state_waiting(
    pod: Object, container: Object, view: View, now: float, *, init: bool = False, turn: bool = True
) -> Status:
    has_init = bool(podspec.init_containers(pod))
    fallback = "PodInitializing" if has_init else "ContainerCreating"
    if not turn or (not init and not is_initialized(pod, view)):
        return _waiting("PodInitializing")
    if view.observed is None or not view.observed.alive:
        return _waiting(fallback)
    decision = decide(pod, container, view, now, init=init)
    if decision.reason in ("", "ContainerCreating"):
        return _waiting(fallback)
    return _waiting(decision.reason, decision.message)


def _base_status(container: Object, seen: ContainerSeen | None, view: View) -> Status:
    name = str(container["name"])
    return {
        "name": name,
        "image": container.get("image", ""),
        "imageID": view.memory.image_ids.get(name, ""),
        "restartCount": max(seen.attempt if seen else 0, view.memory.attempts.get(name, 0), 0),
        "ready": False,
        "started": False,
        "lastState": {},
        **({"containerID": container_id(view, seen)} if seen is not None else {}),
    }


def container_id(view: View, seen: ContainerSeen) -> str:
    uid = view.observed.uid if view.observed else str((view.pod or {}).get("metadata", {}).get("uid", ""))
    return f"gantry://{uid}/{seen.name}/{seen.attempt}"


def _waiting(reason: str, message: str = "") -> Status:
    return {"waiting": {"reason": reason, **({"message": message} if message else {})}}


def _running(seen: ContainerSeen) -> Status:
    return {"running": {"startedAt": podspec.format_seconds(seen.started_at)}}


def terminated(seen: ContainerSeen, view: View) -> Status:
    """The `terminated` state of an attempt that has ended."""
    entry: Status = {
        "exitCode": seen.exit_code if seen.exit_code or not seen.signal else 128 + seen.signal,
        "reason": _end_reason(seen),
        "startedAt": podspec.format_seconds(seen.started_at or seen.created_at),
        "finishedAt": podspec.format_seconds(seen.finished_at),
        "containerID": container_id(view, seen),
    }
    if seen.signal:
        entry["signal"] = seen.signal
    if seen.error:
        entry["message"] = seen.error
    return entry


def _end_reason(seen: ContainerSeen) -> str:
    if seen.oom_killed:
        return "OOMKilled"
    if seen.reason:
        return seen.reason
    if seen.error:
        return "ContainerCannotRun"
    return "Completed" if seen.succeeded else "Error"


def _previous(view: View, seen: ContainerSeen) -> ContainerSeen | None:
    """The newest attempt before this one."""
    known = [
        container for container in (view.observed.containers if view.observed else ()) if container.name == seen.name
    ]
    remembered = view.memory.last.get(seen.name)
    if remembered is not None:
        known.append(remembered)
    earlier = [container for container in known if container.attempt < seen.attempt and not container.alive]
    return max(earlier, key=lambda container: container.attempt, default=None)


def _phase(pod: Object, view: View, init_statuses: list[Status], statuses: list[Status]) -> str:
    known = podspec.phase(pod)
    if known in podspec.FINISHED:
        return known
    if failed_init(pod, view):
        return "Failed"
    ended = [entry for entry in statuses if "terminated" in entry["state"]]
    if podspec.is_deleting(pod) and statuses and len(ended) == len(statuses):
        return _phase_of_ended(ended)
    if init_statuses and not is_initialized(pod, view) and not podspec.is_deleting(pod):
        return "Pending"
    return _phase_by_containers(podspec.restart_policy(pod), statuses)


def _phase_by_containers(policy: str, statuses: list[Status]) -> str:
    running = [entry for entry in statuses if "running" in entry["state"]]
    # A container that waits for its restart counts as stopped; one that never ran keeps the pod pending.
    waiting = [entry for entry in statuses if "waiting" in entry["state"] and not entry["lastState"]]
    ended = [entry for entry in statuses if "terminated" in entry["state"]]
    if waiting:
        return "Pending"
    if running or policy == "Always" or len(ended) < len(statuses):
        return "Running"
    return _phase_of_ended(ended)


def _phase_of_ended(ended: list[Status]) -> str:
    failed = any(entry["state"]["terminated"]["exitCode"] != 0 for entry in ended)
    return "Failed" if failed else "Succeeded"


def _conditions(pod: Object, view: View, phase: str, statuses: list[Status], now: float) -> list[Status]:
    unready = [entry["name"] for entry in statuses if not entry["ready"]]
    initialized = _initialized_condition(pod, view, phase)
    if phase == "Succeeded":
        ready: Status = {"status": "False", "reason": "PodCompleted"}
    elif phase == "Failed":
        ready = {"status": "False", "reason": "PodFailed"}
    elif unready:
        message = f"containers with unready status: [{' '.join(unready)}]"
        ready = {"status": "False", "reason": "ContainersNotReady", "message": message}
    else:
        ready = {"status": "True"}
    pod_ready = ready
    if podspec.is_deleting(pod) and ready["status"] == "True":
        pod_ready = {"status": "False", "reason": "PodTerminating", "message": "the pod is being deleted"}
    conditions = []
    for kind, condition in (("Initialized", initialized), ("Ready", pod_ready), ("ContainersReady", ready)):
        conditions.append(_with_time(pod, {"type": kind, **condition}, now))
    return conditions


def _initialized_condition(pod: Object, view: View, phase: str) -> Status:
    if phase == "Succeeded":
        return {"status": "True", "reason": "PodCompleted"}
    if phase in ("Pending", "Failed") and not is_initialized(pod, view):
        done = view.observed.newest if view.observed else lambda name: None
        incomplete = [
            container["name"]
            for container in podspec.init_containers(pod)
            if not ((seen := done(container["name"])) and seen.succeeded)
        ]
        message = f"containers with incomplete status: [{' '.join(incomplete)}]"
        return {"status": "False", "reason": "ContainersNotInitialized", "message": message}
    return {"status": "True"}


def _with_time(pod: Object, condition: Status, now: float) -> Status:
    """Keep the transition time (and while deleting the reason that the API gave) as long as the status stays."""
    known = podspec.condition(pod, condition["type"])
    if known is not None and known.get("status") == condition["status"]:
        if podspec.is_deleting(pod) and condition["status"] == "False" and podspec.phase(pod) not in podspec.FINISHED:
            condition = {"type": condition["type"], "status": "False"} | {
                key: known[key] for key in ("reason", "message") if key in known
            }
        condition["lastTransitionTime"] = known.get("lastTransitionTime") or podspec.format_seconds(now)
    else:
        condition["lastTransitionTime"] = podspec.format_seconds(now)
    # A strategic merge patch keeps what it does not name: say explicitly that these are gone.
    for key in ("reason", "message"):
        if known is not None and key in known and key not in condition:
            condition[key] = None
    return condition
