"""Gives each node its part of the pods' range, in the transaction that registers it: never two nodes the same."""

from typing import Any

from apps.kinds.problems import Problem
from apps.kinds.registry import by_kind
from apps.kinds.status import Invalid
from apps.nodes.instance import instance
from apps.nodes.logic.ranges import next_range
from apps.nodes.models import Node
from apps.store.transaction import Transaction

Object = dict[str, Any]


def fill_node(transaction: Transaction, node: Object, before: Object | None) -> Object:
    """Keep the node's range, or give it one. Registered with `apps.store.hooks` for the kind Node."""
    held = ((before or {}).get("spec") or {}).get("podCIDR")
    spec = dict(node.get("spec") or {})
    asked = spec.get("podCIDR") or held
    uid = node["metadata"]["uid"]
    if asked and asked == held:
        return {**node, "spec": {**spec, "podCIDR": held, "podCIDRs": [held]}}
    taken = Node.objects.exclude(uid=uid).exclude(pod_cidr=None).values_list("pod_cidr", flat=True)
    if asked and asked in taken:
        problem = Problem("spec.podCIDR", "Invalid", "another node has this range", asked)
        raise Invalid(by_kind("Node").qualified, node["metadata"]["name"], [problem])
    chosen = asked or next_range(instance().pod_cidr, [held for held in taken if held])
    if chosen is None:
        # The pods' range is used up: the node registers, and stays without pods until another leaves.
        return node
    return {**node, "spec": {**spec, "podCIDR": chosen, "podCIDRs": [chosen]}}
