"""Admission is on the path of every write: its cost is bounded, generously, so that a slow machine does not fail."""

import timeit
from collections.abc import Callable

from apps.kinds.tests.examples import admit, created, deployment, manifest_objects, updated


def best_microseconds(work: Callable[[], object], count: int = 200) -> float:
    return min(timeit.repeat(work, number=count, repeat=5)) / count * 1e6


def test_a_create_costs_well_under_a_millisecond() -> None:
    obj = next(obj for obj in manifest_objects() if obj["metadata"]["name"] == "javaweb-2")
    assert best_microseconds(lambda: admit(obj)) < 900  # 65 on the development machine


def test_a_status_update_costs_less_than_a_create() -> None:
    old = created(deployment())
    new = {**old, "status": {"replicas": 3, "conditions": [{"type": "Available", "status": "True"}]}}
    assert best_microseconds(lambda: updated(new, old, "status")) < 600  # 8 on the development machine
