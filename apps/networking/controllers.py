"""The Service controller: keeps the endpoint slices of a service in step with its pods. Called by `workloads.tasks`."""

from collections.abc import Sequence
from typing import Any

from apps.networking.logic import endpoints
from apps.networking.logic.endpoints import MANAGED_BY, MANAGER
from apps.store import read
from apps.store.rows import Origin, Stored
from apps.store.transaction import Transaction, commit
from nodeworker.wire.selectors import selector_from_labels

ACTOR = "system:controller:endpointslice"


def reconcile_service(namespace: str, name: str, cause: int | None = None) -> None:
    """Look at one service and its pods, and bring its slices in step."""
    stored = read.get("Service", namespace, name)
    if stored is None or stored.deletion_milliseconds is not None:
        return
    service = stored.object
    slices, counter = read.children(stored.uid, "EndpointSlice")
    managed = [s.object for s in slices]
    managed = [s for s in managed if (s["metadata"].get("labels") or {}).get(MANAGED_BY) == MANAGER]
    plan = endpoints.decide(service, _pods(service), managed)
    if plan:
        commit(_apply(stored, counter, plan), Origin(ACTOR, cause))


def _pods(service: dict[str, Any]) -> Sequence[dict[str, Any]]:
    selector = service["spec"].get("selector")
    if not selector or service["spec"].get("type") == "ExternalName":
        return []
    namespace = service["metadata"]["namespace"]
    return [pod.object for pod in read.list_objects("Pod", namespace, labels=selector_from_labels(selector)).items]


def _apply(service: Stored, counter: int, plan: endpoints.Plan) -> Any:
    def work(transaction: Transaction) -> None:
        transaction.check_children(service.uid, counter)
        for made in plan.create:
            transaction.create("EndpointSlice", dict(made))
        for made in plan.update:
            # Its metadata holds the version that was seen: a newer one is a conflict, and we look again.
            transaction.update("EndpointSlice", dict(made))
        for name in plan.delete:
            transaction.delete("EndpointSlice", service.namespace, name)

    return work
