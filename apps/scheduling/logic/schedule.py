"""The scheduler's decision: for each waiting pod a node or a sentence why there is none, and a row for each node.

Called by `controller.py`; the explanation of a pending pod and "what if" call the same functions. Pure.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from apps.scheduling.logic.filters import Refusal, refusal
from apps.scheduling.logic.scores import score
from apps.scheduling.logic.seen import NodeSeen, PodAsking

# Rows are for people: of a thousand nodes the chosen one and the next best are told, and a part of those that refused.
MOST_ROWS = 50


@dataclass(frozen=True)
class Row:
    """What was found for one node: the filter that failed with what was asked and free, or the score."""

    node: str
    passed: bool
    filter: str = ""
    reason: str = ""
    asked: str = ""
    free: str = ""
    score: int = 0


@dataclass(frozen=True)
class Placed:
    """The decision for one pod; `node` is "" if none was found, `message` says why."""

    pod: PodAsking
    node: str
    rows: tuple[Row, ...]
    message: str = ""


def place(pod: PodAsking, nodes: Sequence[NodeSeen]) -> Placed:
    """Return the best node for `pod`."""
    refusals = {node.name: found for node in nodes if (found := refusal(pod, node))}
    passing = [node for node in nodes if node.name not in refusals]
    scores = {node.name: score(pod, node, passing) for node in passing}
    ranked = sorted(scores, key=lambda name: (-scores[name], name))
    rows = [Row(name, True, score=scores[name]) for name in ranked]
    rows += [_refused(name, found) for name, found in sorted(refusals.items())]
    if ranked:
        return Placed(pod, ranked[0], tuple(rows[:MOST_ROWS]))
    return Placed(pod, "", tuple(rows[:MOST_ROWS]), explain(len(nodes), list(refusals.values())))


def place_all(pods: Sequence[PodAsking], nodes: Sequence[NodeSeen]) -> list[Placed]:
    """Return a decision for each pod in turn; each takes its room before the next is looked at."""
    state = {node.name: node for node in nodes}
    decisions = []
    for pod in pods:
        decision = place(pod, list(state.values()))
        if decision.node:
            state[decision.node] = state[decision.node].holding(pod.requests, pod.owner)
        decisions.append(decision)
    return decisions


def explain(total: int, refusals: Sequence[Refusal]) -> str:
    """Return Kubernetes' sentence: how many nodes there are and how many refused for which reason."""
    if not total:
        return "no nodes available to schedule pods"
    counts = Counter(reason for found in refusals for reason in found.reasons)
    parts = sorted(f"{count} {reason}" for reason, count in counts.items())
    return f"0/{total} nodes are available: {', '.join(parts)}."


def _refused(node: str, found: Refusal) -> Row:
    return Row(node, False, found.filter, ", ".join(found.reasons), found.asked, found.free)
