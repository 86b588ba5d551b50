"""Which nodes a pod may run on: an ordered table of filters, the first that fails names the reason.

Reasons are Kubernetes' sentences: people search for them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from apps.scheduling.logic.seen import UNSCHEDULABLE, NodeSeen, PodAsking, Taint
from nodeworker.wire.selectors import Requirement, Selector

REPELLING = ("NoSchedule", "NoExecute")


@dataclass(frozen=True)
class Refusal:
    """Why a node does not take a pod; `asked` and `free` when it is about an amount."""

    filter: str
    reasons: tuple[str, ...]
    asked: str = ""
    free: str = ""


Filter = Callable[[PodAsking, NodeSeen], Refusal | None]


def unschedulable(pod: PodAsking, node: NodeSeen) -> Refusal | None:
    """A cordoned node takes nobody but who tolerates its taint."""
    taint = Taint(UNSCHEDULABLE, "", "NoSchedule")
    if node.unschedulable and not any(t.tolerates(taint) for t in pod.tolerations):
        return Refusal("NodeUnschedulable", ("node(s) were unschedulable",))
    return None


def taints(pod: PodAsking, node: NodeSeen) -> Refusal | None:
    """A taint with NoSchedule or NoExecute keeps away who does not tolerate it."""
    for taint in node.taints:
        if taint.effect in REPELLING and not any(t.tolerates(taint) for t in pod.tolerations):
            return Refusal(
                "TaintToleration", (f"node(s) had untolerated taint {{{taint.key}: {taint.value}}}",), free=taint.effect
            )
    return None


def affinity(pod: PodAsking, node: NodeSeen) -> Refusal | None:
    """The nodeSelector and the required node affinity must match the node's labels."""
    matches = pod.node_selector.items() <= dict(node.labels).items()
    if matches and (pod.affinity is None or any(_term_matches(term, node) for term in pod.affinity)):
        return None
    asked = ",".join(f"{key}={value}" for key, value in sorted(pod.node_selector.items()))
    return Refusal("NodeAffinity", ("node(s) didn't match Pod's node affinity/selector",), asked=asked)


def resources(pod: PodAsking, node: NodeSeen) -> Refusal | None:
    """What the pod asks for must be free."""
    free, asked = node.free, pod.requests
    short: list[tuple[str, str, str]] = []
    if free.pods < 1:
        short.append(("Too many pods", "1 pod", f"{free.pods} of {node.allocatable.pods} pods"))
    if asked.cpu and asked.cpu > free.cpu:
        short.append(("Insufficient cpu", f"{asked.cpu}m", f"{free.cpu}m of {node.allocatable.cpu}m"))
    if asked.memory and asked.memory > free.memory:
        room = f"{_mebibytes(free.memory)} of {_mebibytes(node.allocatable.memory)}"
        short.append(("Insufficient memory", _mebibytes(asked.memory), room))
    if not short:
        return None
    reasons, wanted, room_left = zip(*short, strict=True)
    return Refusal("NodeResourcesFit", reasons, ", ".join(wanted), ", ".join(room_left))


FILTERS: tuple[Filter, ...] = (unschedulable, taints, affinity, resources)


def refusal(pod: PodAsking, node: NodeSeen) -> Refusal | None:
    """Return the first filter's refusal, or None if the node may take the pod."""
    return next((found for check in FILTERS if (found := check(pod, node))), None)


def _term_matches(term: Mapping[str, Any], node: NodeSeen) -> bool:
    expressions, fields = term.get("matchExpressions") or (), term.get("matchFields") or ()
    if not expressions and not fields:
        # An empty term matches no node.
        return False
    by_label = Selector(tuple(_requirement(e) for e in expressions)).matches(node.labels)
    return by_label and Selector(tuple(_requirement(f) for f in fields)).matches({"metadata.name": node.name})


def _requirement(expression: Mapping[str, Any]) -> Requirement:
    return Requirement(expression["key"], expression["operator"], tuple(expression.get("values") or ()))


def _mebibytes(amount: int) -> str:
    return f"{amount / 2**20:.0f}Mi" if amount >= 2**20 or amount <= 0 else f"{amount}"
