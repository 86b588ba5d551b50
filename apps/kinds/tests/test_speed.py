"""Admission is on the path of every write: its cost is bounded, generously, so that a slow machine does not fail."""

import time
from collections.abc import Callable

from apps.kinds.tests.examples import admit, created, deployment, manifest_objects, updated


def best_microseconds(work: Callable[[], object], count: int = 200) -> float:
    best = float("inf")
    for _ in range(5):
        begun = time.perf_counter()
        for _ in range(count):
            work()
        best = min(best, (time.perf_counter() - begun) / count)
    return best * 1e6


def test_a_create_costs_well_under_a_millisecond() -> None:
    obj = next(obj for obj in manifest_objects() if obj["metadata"]["name"] == "javaweb-2")
    assert best_microseconds(lambda: admit(obj)) < 900  # 65 on the development machine


def test_a_status_update_costs_less_than_a_create() -> None:
    old = created(deployment())
    new = {**old, "status": {"replicas": 3, "conditions": [{"type": "Available", "status": "True"}]}}
    assert best_microseconds(lambda: updated(new, old, "status")) < 600  # 8 on the development machine
