"""Events: batched, counted, never waited for."""

import pytest

from apps.events import record
from apps.events.testing import events_written  # noqa: F401
from apps.store import read
from apps.store.testing import store  # noqa: F401

pytestmark = pytest.mark.usefixtures("store", "events_written")


def tell(namespace="default", message="Created pod: a"):
    metadata = {"namespace": namespace, "name": "web", "uid": "u"}
    record.emit(
        "ReplicaSet", {"apiVersion": "apps/v1", "metadata": metadata}, "Normal", "SuccessfulCreate", message, "test"
    )


def events():
    return [stored.object for stored in read.list_objects("Event").items]


def test_the_same_event_is_counted_up():
    for _ in range(3):
        tell()
    assert record.flush()
    tell()
    assert record.flush()
    (event,) = events()
    assert event["count"] == 4
    assert event["involvedObject"]["kind"] == "ReplicaSet"


def test_an_event_of_a_namespace_that_is_gone_harms_no_other():
    tell(namespace="gone")
    tell(message="Created pod: b")
    assert record.flush()
    assert [event["message"] for event in events()] == ["Created pod: b"]
