"""What the routes ask of the cluster, kept in memory by the tailer's own reading of the log."""

from collections.abc import Iterable, Mapping

from apps.nodes.logic.lifecycle import is_ready
from apps.scheduling.controller import waiting_pods
from apps.store import read
from apps.store.rows import Change
from nodeworker.wire.selectors import Selector, selector_from_labels, selector_from_object

SELECTING = ("Service", "ReplicaSet", "Deployment")


class Cluster:
    """A namespace's selectors are read when first asked for, and again after one of them changed."""

    def __init__(self) -> None:
        self._selectors: dict[tuple[str, str], list[tuple[str, Selector]]] = {}
        self._listening: dict[str, bool] = {}

    def note(self, change: Change) -> None:
        """Take a change into account; called before its routes."""
        if change.kind in SELECTING and (
            change.verb != "MODIFIED" or not change.actor.startswith("system:controller:")
        ):
            self._selectors.pop((change.kind, change.namespace), None)
        elif change.kind == "Node":
            self._listening[change.name] = change.verb != "DELETED" and is_ready(change.object)

    def selecting(self, kind: str, namespace: str, labels: Mapping[str, str]) -> Iterable[str]:
        key = (kind, namespace)
        if key not in self._selectors:
            listed = read.list_objects(kind, namespace).items
            self._selectors[key] = [(stored.name, _selector(kind, stored.object["spec"])) for stored in listed]
        return [name for name, selector in self._selectors[key] if selector.matches(labels)]

    def waiting_pods(self) -> Iterable[str]:
        return waiting_pods()

    def listens(self, node: str) -> bool:
        if node not in self._listening:
            stored = read.get("Node", "", node)
            self._listening[node] = stored is not None and is_ready(stored.object)
        return self._listening[node]


def _selector(kind: str, spec: Mapping[str, object]) -> Selector:
    selector = spec.get("selector")
    if not isinstance(selector, dict):
        return selector_from_object(None)
    return selector_from_labels(selector) if kind == "Service" else selector_from_object(selector)
