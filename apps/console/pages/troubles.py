"""What is not as it should be in a cluster, the worst first, each with its reason: for the overview. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _

from apps.console import words
from apps.console.words import State

_RANK = {"failed": 0, "unknown": 1, "pending": 2}


@dataclass(frozen=True)
class Trouble:
    """One thing that needs a look."""

    state: State
    name: str
    href: str
    sentence: str
    detail: str = ""
    count: int = 1


def troubles(pods: Iterable[Any], deployments: Iterable[Any], nodes: Iterable[Any], now: datetime) -> list[Trouble]:
    """Nodes that do not report, pods that fail or wait, deployments that fail without a pod to say why."""
    by_reason: dict[tuple[str, str, str], Trouble] = {}
    for pod in pods:
        found = _of_pod(pod, now)
        if found:
            key = (pod["metadata"]["namespace"], _owner(pod), found.sentence)
            known = by_reason.get(key)
            by_reason[key] = replace(known, count=known.count + 1) if known else found
    explained = {(namespace, owner.rpartition("-")[0]) for namespace, owner, _sentence in by_reason}
    unexplained = (d for d in deployments if (d["metadata"]["namespace"], d["metadata"]["name"]) not in explained)
    everything = [*_of_nodes(nodes), *by_reason.values(), *_of_deployments(unexplained)]
    return sorted(everything, key=lambda trouble: (_RANK.get(trouble.state.look, 3), trouble.name))


def _of_pod(pod: Any, now: datetime) -> Trouble | None:
    explanation = words.explain_pod(pod, now)
    if explanation is None or explanation.look not in ("failed", "pending"):
        return None
    namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
    state = words.pod_state(pod, now)
    return Trouble(
        state, f"{namespace}/{name}", f"/n/{namespace}/pods/{name}", explanation.sentence, explanation.detail
    )


def _owner(pod: Any) -> str:
    owners = pod["metadata"].get("ownerReferences") or ()
    return str(next((owner["name"] for owner in owners if owner.get("controller")), pod["metadata"]["name"]))


def _of_nodes(nodes: Iterable[Any]) -> Iterator[Trouble]:
    for node in nodes:
        state = words.node_state(node)
        if state.look in ("failed", "unknown"):
            name = node["metadata"]["name"]
            message = words.condition(node, "Ready").get("message") or _("It has not reported.")
            yield Trouble(state, name, f"/nodes/{name}", str(message))


def _of_deployments(deployments: Iterable[Any]) -> Iterator[Trouble]:
    for deployment in deployments:
        state = words.deployment_state(deployment)
        if state.look == "failed":
            namespace, name = deployment["metadata"]["namespace"], deployment["metadata"]["name"]
            yield Trouble(state, f"{namespace}/{name}", f"/n/{namespace}/deployments/{name}", state.note)
