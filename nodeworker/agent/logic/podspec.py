"""Questions about a pod object that several modules ask."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from nodeworker.agent.logic.observed import Object

FINISHED = ("Succeeded", "Failed")


def uid(pod: Object) -> str:
    return str(pod["metadata"]["uid"])


def name_of(pod: Object) -> tuple[str, str]:
    return str(pod["metadata"].get("namespace", "default")), str(pod["metadata"]["name"])


def init_containers(pod: Object) -> list[Object]:
    return list(pod["spec"].get("initContainers") or ())


def containers(pod: Object) -> list[Object]:
    return list(pod["spec"].get("containers") or ())


def all_containers(pod: Object) -> Iterator[Object]:
    yield from init_containers(pod)
    yield from containers(pod)


def container_named(pod: Object, name: str) -> Object | None:
    return next((container for container in all_containers(pod) if container["name"] == name), None)


def hook_of(container: Object | None, kind: str) -> Object | None:
    """The handler of postStart or preStop."""
    return ((container or {}).get("lifecycle") or {}).get(kind) or None


def restart_policy(pod: Object) -> str:
    return str(pod["spec"].get("restartPolicy", "Always"))


def phase(pod: Object) -> str:
    return str((pod.get("status") or {}).get("phase", "Pending"))


def is_deleting(pod: Object) -> bool:
    return bool(pod["metadata"].get("deletionTimestamp"))


def grace_seconds(pod: Object) -> float:
    """How long a process has between SIGTERM and SIGKILL."""
    asked = pod["metadata"].get("deletionGracePeriodSeconds")
    if asked is None:
        asked = pod["spec"].get("terminationGracePeriodSeconds")
    return float(30 if asked is None else asked)


def condition(pod: Object, kind: str) -> dict[str, Any] | None:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return next((dict(entry) for entry in conditions if entry.get("type") == kind), None)


def format_seconds(moment: float) -> str:
    """RFC 3339 with a Z, whole seconds, as Kubernetes writes times."""
    return datetime.fromtimestamp(int(moment), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_seconds(text: str | None) -> float:
    """The reverse; 0 for nothing."""
    if not text:
        return 0.0
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
