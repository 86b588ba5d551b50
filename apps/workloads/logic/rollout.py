"""Sizes during a rollout: maxSurge and maxUnavailable, how far each replica set may grow or shrink.

Called by `deployments.py`; pure.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from apps.workloads.logic.seen import DESIRED_REPLICAS, MAX_REPLICAS, ReplicaSetSeen


@dataclass(frozen=True)
class Bounds:
    """What a deployment asks for, with its percentages resolved."""

    replicas: int
    surge: int
    unavailable: int
    rolling: bool = True

    @property
    def most(self) -> int:
        """How many pods there may be at most."""
        return self.replicas + self.surge if self.replicas else 0

    @property
    def least_available(self) -> int:
        """How many pods must stay available."""
        return self.replicas - self.unavailable

    @property
    def annotations(self) -> dict[str, str]:
        return {DESIRED_REPLICAS: str(self.replicas), MAX_REPLICAS: str(self.replicas + self.surge)}


def bounds_of(spec: Mapping[str, Any]) -> Bounds:
    """Return the bounds of a deployment's spec: surge rounded up, unavailable rounded down, never both zero."""
    replicas = spec.get("replicas", 1)
    strategy = spec.get("strategy") or {}
    if strategy.get("type") == "Recreate":
        return Bounds(replicas, 0, replicas, rolling=False)
    rolling = strategy.get("rollingUpdate") or {}
    surge = amount(rolling.get("maxSurge", "25%"), replicas, up=True)
    unavailable = amount(rolling.get("maxUnavailable", "25%"), replicas, up=False)
    if not surge and not unavailable:
        # Neither may move: one pod may be missing, else the rollout would never end.
        unavailable = 1
    return Bounds(replicas, surge, min(unavailable, replicas))


def amount(value: int | str, of: int, *, up: bool) -> int:
    """Return a count given as a number or as a percentage of `of`."""
    if isinstance(value, int):
        return value
    percent = int(value.removesuffix("%"))
    return -(-percent * of // 100) if up else percent * of // 100


def new_size(bounds: Bounds, current: int, total: int) -> int:
    """Return how far the new replica set, now of size `current`, may grow while all have `total` pods together."""
    if not bounds.rolling:
        return bounds.replicas
    if total >= bounds.replicas + bounds.surge:
        return current
    return current + max(0, min(bounds.replicas + bounds.surge - total, bounds.replicas - current))


def new_replicas(bounds: Bounds, new: ReplicaSetSeen, total: int) -> int:
    """Return the size that the new replica set should have now."""
    if new.replicas == bounds.replicas:
        return new.replicas
    if new.replicas > bounds.replicas:
        return bounds.replicas
    return new_size(bounds, new.replicas, total)


def old_replicas(bounds: Bounds, new: ReplicaSetSeen | None, old: Sequence[ReplicaSetSeen]) -> dict[str, int]:
    """Return the sizes of the old replica sets that should shrink now: unavailable pods go first."""
    sizes = {replica_set.name: replica_set.replicas for replica_set in old}
    new_total, new_available = (new.replicas, new.available) if new else (0, 0)
    # What the new replica set has not brought up yet is not spare.
    spare = sum(sizes.values()) + new_total - bounds.least_available - (new_total - new_available)
    if spare <= 0:
        return {}
    oldest_first = sorted(old, key=lambda replica_set: (replica_set.created, replica_set.name))
    for replica_set in oldest_first:
        broken = min(spare, replica_set.replicas - replica_set.available)
        sizes[replica_set.name] -= broken
        spare -= broken
    spare = new_available + sum(min(s.available, sizes[s.name]) for s in old) - bounds.least_available
    for replica_set in oldest_first:
        down = max(0, min(spare, sizes[replica_set.name]))
        sizes[replica_set.name] -= down
        spare -= down
    return {s.name: sizes[s.name] for s in oldest_first if sizes[s.name] != s.replicas}


def proportional(bounds: Bounds, active: Sequence[ReplicaSetSeen], shown_replicas: int) -> dict[str, int]:
    """Return the sizes after the deployment was scaled in the middle of a rollout: each replica set by its share."""
    to_add = bounds.most - sum(replica_set.replicas for replica_set in active)
    newest_first = to_add >= 0
    by_age = sorted(active, key=lambda s: s.created, reverse=newest_first)
    ordered = sorted(by_age, key=lambda s: s.replicas, reverse=True)
    sizes: dict[str, int] = {}
    added = 0
    for replica_set in ordered:
        share = _share(bounds, replica_set, shown_replicas, to_add, added)
        sizes[replica_set.name] = max(0, replica_set.replicas + share)
        added += share
    if ordered and added != to_add:
        # Rounding left some over: the largest takes them.
        first = ordered[0].name
        sizes[first] = max(0, sizes[first] + to_add - added)
    return sizes


def _share(bounds: Bounds, replica_set: ReplicaSetSeen, shown: int, to_add: int, added: int) -> int:
    if not replica_set.replicas or to_add == added:
        return 0
    fraction = _fraction(bounds, replica_set, shown)
    left = to_add - added
    return min(fraction, left) if to_add > 0 else max(fraction, left)


def _fraction(bounds: Bounds, replica_set: ReplicaSetSeen, shown: int) -> int:
    if not bounds.replicas:
        return -replica_set.replicas
    before = int(replica_set.annotations.get(MAX_REPLICAS) or shown or bounds.most)
    # Rounds half away from zero, as Kubernetes does.
    return (2 * replica_set.replicas * bounds.most + before) // (2 * before) - replica_set.replicas
