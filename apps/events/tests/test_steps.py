"""POST /rest/v1/steps: what a node tells of a start."""

import pytest
from rest_framework.test import APIRequestFactory, force_authenticate

from apps.access.identity import Identity
from apps.access.rest import Caller
from apps.events.models import StepTiming
from apps.events.rest import StepsView
from apps.store import transaction
from apps.store.rows import Origin
from apps.store.testing import store  # noqa: F401

pytestmark = pytest.mark.usefixtures("store")


def bound_pod():
    spec = {"nodeName": "n1", "containers": [{"name": "c", "image": "busybox"}]}
    return transaction.create("Pod", {"metadata": {"name": "p", "namespace": "default"}, "spec": spec}, Origin("alice"))


def tell(pod, node="n1", **changes):
    steps = [{"name": "mounts", "started": 1767268800.5, "milliseconds": 1.25}]
    body = {
        "uid": pod.uid,
        "namespace": "default",
        "name": "p",
        "container": "c",
        "attempt": 1,
        "steps": steps,
        **changes,
    }
    request = APIRequestFactory().post("/rest/v1/steps", body, format="json")
    identity = Identity(f"system:node:{node}", frozenset({"system:nodes"}), "", "certificate")
    force_authenticate(request, user=Caller(identity), token=identity)
    return StepsView.as_view()(request)


def test_a_node_tells_the_steps_of_its_pod_and_telling_twice_counts_once():
    pod = bound_pod()
    assert [tell(pod).status_code, tell(pod).status_code] == [204, 204]
    row = StepTiming.objects.get()
    assert (row.name, row.milliseconds, row.started.isoformat()) == ("mounts", 1.25, "2026-01-01T12:00:00.500000+00:00")


def test_another_node_may_not():
    assert tell(bound_pod(), node="n2").status_code == 403
    assert not StepTiming.objects.exists()


def test_nonsense_is_refused_with_its_field():
    answer = tell(bound_pod(), steps=[{"name": "mounts", "started": "yesterday", "milliseconds": -1}])
    assert answer.status_code in (400, 422)
    assert not StepTiming.objects.exists()
