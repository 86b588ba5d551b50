"""Which container of which pod a log or a shell means, and whether it can be asked. Pure; for `logs` and `execs`."""

from typing import Any

from apps.api.errors import bad_request

Json = dict[str, Any]


def container_name(pod: Json, wanted: str) -> str:
    """Return the container asked for; without a name the only one counts."""
    spec, name = pod["spec"], pod["metadata"]["name"]
    names = [container["name"] for container in spec["containers"]]
    initial = [container["name"] for container in spec.get("initContainers", [])]
    if wanted:
        if wanted not in names and wanted not in initial:
            raise bad_request(f"container {wanted} is not valid for pod {name}")
        return wanted
    if len(names) > 1:
        also = f" or one of the init containers: [{' '.join(initial)}]" if initial else ""
        raise bad_request(
            f"a container name must be specified for pod {name}, choose one of: [{' '.join(names)}]{also}"
        )
    return str(names[0])


def node_name(pod: Json) -> str:
    """Return the node that has the pod."""
    node = pod["spec"].get("nodeName")
    if not node:
        raise bad_request(f"pod {pod['metadata']['name']} does not have a host assigned")
    return str(node)


def check_has_logs(pod: Json, container: str, previous: bool) -> None:
    """Refuse to ask the node for the log of a container that has not started yet."""
    status = _status_of(pod, container)
    waiting = status.get("state", {}).get("waiting")
    started_before = bool(status.get("lastState", {}).get("terminated")) or status.get("restartCount", 0) > 0
    name = pod["metadata"]["name"]
    if previous and not started_before:
        raise bad_request(f'previous terminated container "{container}" in pod "{name}" not found')
    if (waiting or not status) and not started_before:
        reason = (waiting or {}).get("reason") or "ContainerCreating"
        raise bad_request(f'container "{container}" in pod "{name}" is waiting to start: {reason}')


def _status_of(pod: Json, container: str) -> Json:
    status = pod.get("status", {})
    for entry in [*status.get("containerStatuses", []), *status.get("initContainerStatuses", [])]:
        if entry.get("name") == container:
            found: Json = entry
            return found
    return {}
