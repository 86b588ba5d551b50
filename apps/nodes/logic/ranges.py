"""Which part of the pods' range a node gets. Pure; `apps.nodes.ranges` calls it in a transaction."""

from collections.abc import Collection
from ipaddress import IPv4Network

NODE_PREFIX = 24


def next_range(pod_cidr: str, taken: Collection[str]) -> str | None:
    """Return the first /24 of `pod_cidr` that overlaps none of `taken`, or None if there is none left."""
    whole = IPv4Network(pod_cidr)
    used = [IPv4Network(text) for text in taken]
    for candidate in whole.subnets(new_prefix=max(NODE_PREFIX, whole.prefixlen)):
        if not any(candidate.overlaps(other) for other in used):
            return str(candidate)
    return None
