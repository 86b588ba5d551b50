"""Gives services their addresses and node ports, in the transaction that stores them: never two services the same."""

from typing import Any

from apps.kinds.problems import Problem
from apps.kinds.registry import by_kind
from apps.kinds.status import InternalError, Invalid
from apps.networking.logic.allocation import RangeExhaustedError
from apps.networking.logic.services import RefusedError, Taken, fill, node_ports_of
from apps.networking.models import NodePort, Service
from apps.nodes.instance import instance
from apps.store.transaction import Transaction

Object = dict[str, Any]


def fill_service(transaction: Transaction, service: Object, before: Object | None) -> Object:
    """Return the service with what it is given. Registered with `apps.store.hooks` for the kind Service."""
    metadata = service["metadata"]
    uid = metadata["uid"]
    try:
        filled = fill(service, before, _taken(uid), instance().service_cidr)
    except RefusedError as error:
        problem = Problem(error.path, "Invalid", error.message, error.value)
        raise Invalid(by_kind("Service").qualified, metadata["name"], [problem]) from error
    except RangeExhaustedError as error:
        raise InternalError(str(error)) from error
    if before is None or node_ports_of(before["spec"]) != node_ports_of(filled["spec"]):
        _hold_ports(uid, node_ports_of(filled["spec"]))
    return filled


def _taken(uid: str) -> Taken:
    others = Service.objects.exclude(uid=uid)
    addresses = others.exclude(cluster_ip=None).values_list("cluster_ip", flat=True)
    # Ports of services that are gone count as free; their rows go when the port is given out again.
    ports = NodePort.objects.filter(service_uid__in=others.values("uid")).values_list("port", flat=True)
    return Taken(frozenset(filter(None, addresses)), frozenset(ports))


def _hold_ports(uid: str, ports: list[int]) -> None:
    NodePort.objects.filter(service_uid=uid).delete()
    NodePort.objects.filter(port__in=ports).delete()
    NodePort.objects.bulk_create([NodePort(port=port, service_uid=uid) for port in sorted(set(ports))])
