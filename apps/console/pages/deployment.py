"""A deployment's page: where it answers, how many run, its rollout, its revisions, its pods."""

from datetime import UTC, datetime
from typing import Any

from django.utils.translation import gettext as _

from apps.console import words
from apps.console.actions import STRATEGIC, Action, not_allowed, patch
from apps.console.pages.base import Context, Page, Params
from apps.console.pages.common import (
    delete_action,
    events_of,
    labels_of,
    node_address,
    path_of,
    published,
    services_for,
    yaml_tab,
)
from apps.console.tables import load_table
from apps.console.viewer import Viewer
from apps.store.pool import in_thread
from apps.store.read import children_async, get_async, list_objects_async
from apps.workloads.verbs import revisions
from nodeworker.wire.selectors import selector_from_object

RESOURCE = "deployments.apps"
MOST_PIPS = 48


async def context(viewer: Viewer, params: Params) -> Context | None:
    """Read what the page shows."""
    namespace, name, tab = params["namespace"], params["name"], params.get("tab", "")
    if not viewer.may("get", RESOURCE, namespace, name):
        return None
    stored = await get_async("Deployment", namespace, name)
    if stored is None:
        return None
    deployment = stored.object
    spec, status = deployment["spec"], deployment.get("status", {})
    allowed = viewer.may("patch", RESOURCE, namespace, name)
    desired = int(spec.get("replicas", 1))
    shared: Context = {
        "deployment": deployment,
        "state": words.deployment_state(deployment),
        "tab": tab,
        "base": f"/n/{namespace}/deployments/{name}",
        "actions": _actions(viewer, deployment, allowed),
        "desired": desired,
    }
    if tab == "yaml":
        return {**shared, "editor": yaml_tab(viewer, deployment, RESOURCE)}
    selector = str(selector_from_object(spec["selector"]))
    pods = [s.object for s in (await list_objects_async("Pod", namespace, labels=selector)).items]
    replica_sets, _counter = await children_async(stored.uid, "ReplicaSet")
    address = await node_address()
    services = await services_for(namespace, spec["template"]["metadata"].get("labels") or {})
    now = datetime.now(UTC)
    return {
        **shared,
        "addresses": [entry for service in services for entry in published(service, address)],
        "ready": int(status.get("readyReplicas", 0)),
        "scale": _scale(deployment, desired, allowed),
        "pips": [(pod["metadata"]["name"], words.pod_state(pod, now)) for pod in pods[:MOST_PIPS]],
        "more_pips": max(0, len(pods) - MOST_PIPS),
        "rollout": _rollout(deployment, desired),
        "troubles": _troubles(pods, now),
        "containers": spec["template"]["spec"]["containers"],
        "image_url": path_of(deployment),
        "may_change": allowed,
        "revisions": _with_rollback(deployment, await in_thread(revisions, namespace, name), allowed),
        "events": await events_of(
            [stored.uid, *(rs.uid for rs in replica_sets), *(p["metadata"]["uid"] for p in pods)]
        ),
        "labels": labels_of(deployment),
        "strategy": spec.get("strategy") or {},
        "pods": await load_table(
            viewer, "pods", {"namespace": namespace, "labels": selector}, hidden=frozenset({"ip"})
        ),
    }


def _scale(deployment: Any, desired: int, allowed: bool) -> dict[str, Action]:
    url = path_of(deployment, "scale")
    fewer = patch(_("One replica fewer"), url, {"spec": {"replicas": max(0, desired - 1)}}, icon="minus")
    more = patch(_("One replica more"), url, {"spec": {"replicas": desired + 1}}, icon="plus")
    reason = "" if allowed else not_allowed()
    return {
        "fewer": fewer.unless(reason or (_("There are none left.") if desired == 0 else "")),
        "more": more.unless(reason),
    }


def _rollout(deployment: Any, desired: int) -> dict[str, Any] | None:
    status = deployment.get("status", {})
    state = words.deployment_state(deployment)
    if state.word not in ("Deploying", "Failed", "Paused"):
        return None
    updated, available = int(status.get("updatedReplicas", 0)), int(status.get("availableReplicas", 0))
    old = max(0, int(status.get("replicas", 0)) - updated)
    sentence = {
        "Paused": _("The rollout is paused; changes are kept and not carried out until you resume it."),
        "Failed": _("The rollout made no progress within its deadline."),
    }.get(state.word) or (
        _("%(updated)s of %(desired)s updated, %(old)s old still to end")
        % {"updated": updated, "desired": desired, "old": old}
        if old
        else _("%(updated)s of %(desired)s updated, %(available)s available")
        % {"updated": updated, "desired": desired, "available": available}
    )
    done = min(updated, max(0, available - old)) if old else min(updated, available)
    return {
        "sentence": sentence,
        "state": state,
        "value": done,
        "max": max(1, desired),
        "detail": words.condition(deployment, "Progressing").get("message", "") if state.word == "Failed" else "",
    }


def _troubles(pods: list[Any], now: Any) -> list[dict[str, Any]]:
    """What is wrong with its pods, each reason once."""
    found: dict[str, dict[str, Any]] = {}
    for pod in pods:
        explanation = words.explain_pod(pod, now)
        if explanation and explanation.look in ("failed", "pending"):
            entry = found.setdefault(
                explanation.sentence + explanation.detail, {"explanation": explanation, "pods": []}
            )
            entry["pods"].append(pod["metadata"]["name"])
    return list(found.values())[:4]


def _with_rollback(deployment: Any, known: list[Any], allowed: bool) -> list[dict[str, Any]]:
    metadata = deployment["metadata"]
    url = f"/rest/v1/namespaces/{metadata['namespace']}/deployments/{metadata['name']}/roll_back"
    paused = bool(deployment["spec"].get("paused"))
    entries = []
    for revision in known:
        action = Action(
            label=_("Roll back"),
            method="POST",
            url=url,
            body=f'{{"revision":{revision.number}}}',
            icon="rotate-ccw",
            done=_("Rolling back to revision %s") % revision.number,
        ).unless("" if allowed else not_allowed())
        if paused:
            action = action.unless(_("Resume the rollout first."))
        entries.append({"revision": revision, "action": None if revision.current else action})
    return entries


def _actions(viewer: Viewer, deployment: Any, allowed: bool) -> list[Action]:
    url = path_of(deployment)
    reason = "" if allowed else not_allowed()
    # {now} is filled in by the browser, so that a page rendered again does not look different for the time alone.
    stamp = {"spec": {"template": {"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": "{now}"}}}}}
    paused = bool(deployment["spec"].get("paused"))
    restart = patch(
        _("Restart"),
        url,
        stamp,
        content_type=STRATEGIC,
        icon="refresh-cw",
        done=_("Restarting, one pod after the other"),
    )
    pause = patch(
        _("Resume") if paused else _("Pause"), url, {"spec": {"paused": not paused}}, icon="play" if paused else "pause"
    )
    text = _("Its replica sets and pods go with it. Services that point to it stay.")
    return [
        restart.unless(reason),
        pause.unless(reason),
        delete_action(viewer, deployment, RESOURCE, _("deployment"), text),
    ]


PAGE = Page(
    name="deployment",
    template="console/live/deployment.html",
    kinds=frozenset({"Deployment", "ReplicaSet", "Pod", "Service", "Event", "Node"}),
    context=context,
)
