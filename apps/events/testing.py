"""The fixture `events_written` for tests over the store: whatever a test told is written before its store closes."""

from collections.abc import Iterator

import pytest

from apps.events import record


@pytest.fixture
def events_written(store: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Write events at once, and none of one test into the store of the next."""
    monkeypatch.setattr(record, "GATHER_SECONDS", 0.0)
    yield
    record.flush()
