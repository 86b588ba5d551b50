"""What follows the log or runs beside it: tailer, compaction, delays, commands."""

import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from io import StringIO
from unittest import mock

import pytest
from django.core.management import call_command

from apps.store import compaction, delays, read, transaction
from apps.store.models import Counter, Revision
from apps.store.rows import Change
from apps.store.tailer import Tailer, stored_cursor
from apps.store.tests.shapes import ALICE, config_map, owned_by

pytestmark = pytest.mark.usefixtures("store")
NOW = datetime.now(UTC)


def run_tailer(tailer: Tailer, until: threading.Event) -> None:
    """Run it in a thread until the event, then stop it."""
    stop = threading.Event()
    thread = threading.Thread(target=tailer.run, args=(stop,))
    thread.start()
    assert until.wait(20)
    stop.set()
    thread.join(20)


class Collector:
    """A handler that remembers names and says when it has seen the last one."""

    def __init__(self, last: str, crash_at: str = "") -> None:
        self.names: list[str] = []
        self.done = threading.Event()
        self._last = last
        self._crash_at = crash_at

    def __call__(self, changes: Sequence[Change]) -> None:
        for change in changes:
            if change.name == self._crash_at:
                self._crash_at = ""
                raise RuntimeError("on purpose")
            self.names.append(change.name)
            if change.name == self._last:
                self.done.set()


def test_a_tailer_goes_on_where_it_was() -> None:
    transaction.create("ConfigMap", config_map("a"), ALICE)
    first = Collector("a")
    run_tailer(Tailer("t", first), first.done)
    assert stored_cursor("t") >= 5
    transaction.create("ConfigMap", config_map("b"), ALICE)
    second = Collector("b")
    run_tailer(Tailer("t", second), second.done)
    assert second.names == ["b"]


def test_a_crashed_tailer_handles_again_what_it_had_not_stored() -> None:
    transaction.create("ConfigMap", config_map("a"), ALICE)
    first = Collector("a")
    with mock.patch.object(Tailer, "_save"):  # it dies before the cursor is stored
        run_tailer(Tailer("t", first), first.done)
    second = Collector("a")
    run_tailer(Tailer("t", second), second.done)
    assert second.names == first.names


def test_a_handler_that_fails_gets_the_same_changes_again() -> None:
    collector = Collector("b", crash_at="b")
    for name in ("a", "b"):
        transaction.create("ConfigMap", config_map(name), ALICE)
    with mock.patch("apps.store.tailer._RETRY", 0.01):
        run_tailer(Tailer("t", collector), collector.done)
    assert collector.names[-1] == "b"
    assert collector.names.count("a") >= 2


def test_a_tailer_behind_the_compaction_asks_for_a_look_at_everything() -> None:
    for number in range(6):
        transaction.create("ConfigMap", config_map(f"c{number}"), ALICE)
    compaction.compact(compaction.Keep(most=1, least=1))
    resynced = threading.Event()
    run_tailer(Tailer("t", lambda changes: None, resync=resynced.set), resynced)
    assert stored_cursor("t") == read.current_revision()


def test_compaction_keeps_the_age_and_at_least_so_many() -> None:
    for number in range(10):
        transaction.create("ConfigMap", config_map(f"c{number}"), ALICE)
    later = datetime.now(UTC) + timedelta(hours=25)
    assert compaction.compact(compaction.Keep(least=100), later) == 0
    assert compaction.compact(compaction.Keep(least=4), later) == 10
    assert Revision.objects.count() == 4


def test_old_revisions_of_leases_go_within_a_minute_and_leave_the_others() -> None:
    lease = {"metadata": {"name": "n1", "namespace": "kube-node-lease"}, "spec": {"holderIdentity": "n1"}}
    transaction.create("Lease", lease, ALICE)
    transaction.create("ConfigMap", config_map("a"), ALICE)
    assert compaction.compact(now=datetime.now(UTC) + timedelta(minutes=1)) == 1
    assert read.history("Lease", "kube-node-lease", "n1") == []
    assert len(read.history("ConfigMap", "default", "a")) == 1


def test_counters_of_owners_that_are_gone_go_too() -> None:
    owner = transaction.create("ConfigMap", config_map("owner"), ALICE)
    transaction.create("ConfigMap", config_map("child", ownerReferences=owned_by(owner.uid)), ALICE)
    transaction.delete("ConfigMap", "default", "owner", ALICE)
    compaction.compact()
    assert Counter.objects.filter(name=f"children/{owner.uid}").exists()
    transaction.delete("ConfigMap", "default", "child", ALICE)
    compaction.compact()
    assert not Counter.objects.filter(name=f"children/{owner.uid}").exists()


def test_compaction_takes_small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "STEP", 2)
    for number in range(6):
        transaction.create("ConfigMap", config_map(f"c{number}"), ALICE)
    with mock.patch.object(compaction, "_step", wraps=compaction._step) as step:
        compaction.compact(compaction.Keep(most=1, least=1))
    assert step.call_count >= 4


def test_a_delayed_look_comes_when_its_time_has_come_and_once() -> None:
    delays.look_again("q", "late", NOW + timedelta(seconds=60))
    delays.look_again("q", "soon", NOW + timedelta(seconds=5))
    assert delays.due(NOW) == []
    assert delays.due(NOW + timedelta(seconds=5)) == [("q", "soon")]
    assert delays.due(NOW + timedelta(seconds=5)) == []


def test_the_earlier_of_two_looks_counts() -> None:
    delays.look_again("q", "k", NOW + timedelta(seconds=5))
    delays.look_again("q", "k", NOW + timedelta(seconds=60))
    due = delays.next_due()
    assert due is not None
    assert abs(due - NOW - timedelta(seconds=5)) < timedelta(milliseconds=2)


def test_the_commands_say_what_they_did() -> None:
    output = StringIO()
    call_command("bootstrap", stdout=output)
    call_command("compact", stdout=output)
    assert output.getvalue() == "nothing was missing\n0 revisions forgotten\n"
