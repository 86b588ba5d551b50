"""A pod's page: why it is as it is, its containers, how it was placed and started, its logs and a shell."""

from datetime import UTC, datetime
from typing import Any

from django.utils.translation import gettext as _

from apps.console import words
from apps.console.pages.base import Context, Page, Params
from apps.console.pages.common import delete_action, events_of, labels_of, read_models, yaml_tab
from apps.console.viewer import Viewer
from apps.events.models import StepTiming
from apps.scheduling.models import Placement
from apps.store.read import get_async

RESOURCE = "pods"


async def context(viewer: Viewer, params: Params) -> Context | None:
    """Read what the page shows."""
    namespace, name, tab = params["namespace"], params["name"], params.get("tab", "")
    if not viewer.may("get", RESOURCE, namespace, name):
        return None
    stored = await get_async("Pod", namespace, name)
    if stored is None:
        return None
    pod, now = stored.object, datetime.now(UTC)
    names = [
        container["name"] for container in [*(pod["spec"].get("initContainers") or ()), *pod["spec"]["containers"]]
    ]
    first = pod["spec"]["containers"][0]["name"]
    shared: Context = {
        "pod": pod,
        "state": words.pod_state(pod, now),
        "tab": tab,
        "base": f"/n/{namespace}/pods/{name}",
        "container_names": names,
        "container": params.get("container") if params.get("container") in names else first,
        "may_exec": viewer.may("create", RESOURCE, namespace, name, "exec"),
        "may_log": viewer.may("get", RESOURCE, namespace, name, "log"),
        "actions": [delete_action(viewer, pod, RESOURCE, _("pod"), _deletion_text(pod))],
        "owner": _owner(pod),
    }
    if tab == "yaml":
        return {**shared, "editor": yaml_tab(viewer, pod, RESOURCE)}
    if tab in ("logs", "shell"):
        return shared
    uid = stored.uid
    placements = await read_models(lambda: list(Placement.objects.filter(pod_uid=uid)[:60]))
    timings = await read_models(
        lambda: list(StepTiming.objects.filter(pod_uid=uid).order_by("-attempt", "started", "id")[:60])
    )
    return {
        **shared,
        "explanation": words.explain_pod(pod, now),
        "containers": [_container(pod, spec, init=True) for spec in pod["spec"].get("initContainers") or ()]
        + [_container(pod, spec, init=False) for spec in pod["spec"]["containers"]],
        "placements": placements,
        "steps": _steps(timings),
        "events": await events_of([uid]),
        "labels": labels_of(pod),
        "conditions": pod.get("status", {}).get("conditions") or [],
        "volumes": [_volume(volume) for volume in pod["spec"].get("volumes") or ()],
    }


def _deletion_text(pod: Any) -> str:
    if _owner(pod):
        return _("Its replica set makes another one at once.")
    return _("Nothing owns it, so it does not come back.")


def _owner(pod: Any) -> dict[str, str] | None:
    for owner in pod["metadata"].get("ownerReferences") or ():
        if owner.get("controller"):
            plural = f"{owner['kind'].lower()}s"
            return {
                "kind": owner["kind"],
                "name": owner["name"],
                "href": f"/n/{pod['metadata']['namespace']}/{plural}/{owner['name']}",
            }
    return None


def _container(pod: Any, spec: Any, init: bool) -> dict[str, Any]:
    field = "initContainerStatuses" if init else "containerStatuses"
    status: dict[str, Any] = next(
        (entry for entry in pod.get("status", {}).get(field) or () if entry.get("name") == spec["name"]), {}
    )
    last = (status.get("lastState") or {}).get("terminated") or {}
    return {
        "spec": spec,
        "init": init,
        "status": status,
        "state": _container_state(status, init),
        "said": _said((status.get("state") or {}).get("terminated") or {}),
        "last": last,
        "last_said": _said(last),
        "started": (status.get("state") or {}).get("running", {}).get("startedAt", ""),
        "waiting": (status.get("state") or {}).get("waiting") or {},
        "command": " ".join([*(spec.get("command") or ()), *(spec.get("args") or ())]),
        "ports": ", ".join(
            f"{port['containerPort']}/{port.get('protocol', 'TCP')}" for port in spec.get("ports") or ()
        ),
        "limits": ", ".join(
            f"{key} {value}" for key, value in ((spec.get("resources") or {}).get("limits") or {}).items()
        ),
        "requests": ", ".join(
            f"{key} {value}" for key, value in ((spec.get("resources") or {}).get("requests") or {}).items()
        ),
        "probe": _probe(spec.get("readinessProbe")),
    }


def _container_state(status: Any, init: bool) -> words.State:
    state = status.get("state") or {}
    if "running" in state:
        return (
            words.State("healthy", "Running")
            if status.get("ready") or init
            else words.State("pending", "Running", _("not ready"))
        )
    if "terminated" in state:
        ended = state["terminated"]
        good = int(ended.get("exitCode", 0)) == 0 and ended.get("reason") != "OOMKilled"
        return words.State("done" if good else "failed", ended.get("reason") or ("Completed" if good else "Error"))
    reason = (state.get("waiting") or {}).get("reason") or "Waiting"
    return words.State(
        "progress" if reason in ("ContainerCreating", "PodInitializing", "Waiting") else "failed", reason
    )


def _said(ended: Any) -> str:
    if not ended:
        return ""
    return words.exit_sentence(
        int(ended.get("exitCode", 0)), int(ended.get("signal") or 0), str(ended.get("reason", ""))
    )


def _probe(probe: Any) -> str:
    if not probe:
        return ""
    every = probe.get("periodSeconds", 10)
    if "httpGet" in probe:
        what = f"GET {probe['httpGet'].get('path', '/')} :{probe['httpGet'].get('port')}"
    elif "tcpSocket" in probe:
        what = f"TCP :{probe['tcpSocket'].get('port')}"
    else:
        what = "exec " + " ".join((probe.get("exec") or {}).get("command") or ())
    return _("%(what)s every %(every)s s") % {"what": what, "every": every}


def _steps(timings: list[StepTiming]) -> dict[str, Any] | None:
    """The newest start as a waterfall: where each step begins and how long it took, in percent of the whole."""
    if not timings:
        return None
    newest = {timing.container: timing.attempt for timing in reversed(timings)}
    shown = sorted((t for t in timings if t.attempt == newest[t.container]), key=lambda t: (t.started, t.id))
    begin = shown[0].started
    spans = [((t.started - begin).total_seconds() * 1000, t.milliseconds, t) for t in shown]
    whole = max(offset + length for offset, length, _timing in spans) or 1.0
    return {
        "total": whole,
        "rows": [
            {
                "name": timing.name,
                "container": timing.container,
                "milliseconds": length,
                "x": f"{min(99.4, 100 * offset / whole):.2f}",
                "width": f"{max(0.6, 100 * length / whole):.2f}",
            }
            for offset, length, timing in spans
        ],
    }


def _volume(volume: Any) -> dict[str, str]:
    kind = next((key for key in volume if key != "name"), "emptyDir")
    source = volume.get(kind) or {}
    return {"name": volume["name"], "kind": kind, "source": str(source.get("name") or source.get("secretName") or "")}


PAGE = Page("pod", "console/live/pod.html", frozenset({"Pod", "Event"}), context)
