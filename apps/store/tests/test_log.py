"""Watching: nothing is missed, whatever the speed of the watcher; leaving a selector is DELETED."""

import asyncio
import socket
import threading
import time

import pytest
from django.db import connection

from apps.store import compaction, hints, read, transaction
from apps.store.errors import Behind, Compacted
from apps.store.log import LogReader, log_reader, watch_verb
from apps.store.tests.shapes import ALICE, config_map, pod
from nodeworker.wire.selectors import parse_field_selector, parse_label_selector

pytestmark = pytest.mark.usefixtures("store")
CONFIG_MAPS = frozenset({"ConfigMap"})


def write_many(count: int, start: int = 0) -> None:
    for number in range(start, start + count):
        transaction.create("ConfigMap", config_map(f"c{number}"), ALICE)


def test_a_thread_sees_a_change_when_it_happens() -> None:
    subscription = log_reader().subscribe(read.current_revision())
    stored = transaction.create("ConfigMap", config_map("a"), ALICE)
    change = subscription.get(5)
    assert change is not None
    assert (change.revision, change.verb, change.body) == (stored.revision, "ADDED", stored.body)


async def test_an_event_loop_sees_changes_in_order() -> None:
    subscription = log_reader().subscribe(await read.current_revision_async(), CONFIG_MAPS)
    await asyncio.gather(*(transaction.create_async("ConfigMap", config_map(f"c{n}"), ALICE) for n in range(30)))
    seen = [(await anext(subscription)).revision for _ in range(30)]
    assert seen == sorted(seen)
    assert seen[-1] - seen[0] == 29


async def test_waiting_in_an_event_loop_ends_with_its_time() -> None:
    subscription = log_reader().subscribe(await read.current_revision_async())
    assert await subscription.next_batch(0.01) == []


def test_a_subscription_starts_at_any_kept_revision() -> None:
    write_many(20)
    reader = LogReader()  # its ring begins here, so the past comes from the database
    try:
        subscription = reader.subscribe(0, CONFIG_MAPS)
        seen = [change.name for _ in range(20) if (change := subscription.get(5))]
        write_many(1, start=20)
        following = subscription.get(5)
        assert seen == [f"c{number}" for number in range(20)]
        assert following is not None
        assert following.name == "c20"
    finally:
        reader.close()


def test_nothing_is_missed_under_load_by_slow_and_fast_watchers_of_a_small_ring() -> None:
    reader = LogReader(keep=10)
    start = read.current_revision()
    seen: dict[int, list[int]] = {0: [], 1: [], 2: []}
    last = threading.Event()

    def watch(number: int, pause: float) -> None:
        subscription = reader.subscribe(start)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            for change in subscription.get_batch(0.1):
                seen[number].append(change.revision)
                last.wait(pause)  # a slow reader: the ring moves on meanwhile
            if last.is_set() and subscription.revision >= read.current_revision():
                return

    watchers = [threading.Thread(target=watch, args=(number, pause)) for number, pause in enumerate((0, 0.002, 0.005))]
    writers = [threading.Thread(target=write_many, args=(60, 1000 * number)) for number in range(3)]
    for thread in (*watchers, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    last.set()
    for thread in watchers:
        thread.join()
    reader.close()
    expected = list(range(start + 1, start + 181))
    assert seen == {0: expected, 1: expected, 2: expected}


def test_without_hints_changes_come_within_a_look(monkeypatch: pytest.MonkeyPatch) -> None:
    subscription = log_reader().subscribe(read.current_revision())
    monkeypatch.setattr(hints.Sender, "send", lambda self, revision: None)
    transaction.create("ConfigMap", config_map("a"), ALICE)
    assert subscription.get(5) is not None


def test_the_socket_of_a_dead_process_is_removed() -> None:
    path = hints.folder() / "1-1.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as dead:
        dead.bind(str(path))
    transaction.create("ConfigMap", config_map("a"), ALICE)
    transaction.create("ConfigMap", config_map("b"), ALICE)
    assert not path.exists()


def test_kinds_that_nobody_asked_for_are_not_told() -> None:
    subscription = log_reader().subscribe(read.current_revision(), CONFIG_MAPS)
    transaction.create("Pod", pod("p"), ALICE)
    transaction.create("ConfigMap", config_map("a"), ALICE)
    change = subscription.get(5)
    assert change is not None
    assert change.kind == "ConfigMap"


def test_progress_moves_with_changes_of_other_kinds() -> None:
    reader = log_reader()
    everything = reader.subscribe(read.current_revision())
    quiet = reader.subscribe(read.current_revision(), CONFIG_MAPS)
    quiet.get_batch(0)
    while not reader.ready:
        everything.get_batch(0.1)  # until the thread has looked once, subscribers read the database themselves
    stored = transaction.create("Pod", pod("p"), ALICE)
    assert everything.get(5) is not None
    assert quiet.progress() == stored.revision


def test_a_subscriber_may_limit_its_lag() -> None:
    everything = log_reader().subscribe(read.current_revision())
    lagging = log_reader().subscribe(read.current_revision(), longest_lag=3)
    write_many(5)
    while everything.revision < read.current_revision():
        assert everything.get(5) is not None
    with pytest.raises(Behind):
        lagging.get(1)


def test_a_compacted_revision_is_told() -> None:
    write_many(8)
    compaction.compact(compaction.Keep(most=2, least=1))
    with pytest.raises(Compacted) as caught:
        log_reader().subscribe(1, CONFIG_MAPS).get(5)
    assert caught.value.oldest == read.compacted_revision() == read.current_revision() - 2


def test_from_the_compacted_revision_on_nothing_is_missing() -> None:
    write_many(8)
    compaction.compact(compaction.Keep(most=2, least=1))
    subscription = log_reader().subscribe(read.compacted_revision(), CONFIG_MAPS)
    assert [change.name for _ in range(2) if (change := subscription.get(5))] == ["c6", "c7"]


def test_leaving_a_selector_is_told_as_deleted() -> None:
    subscription = log_reader().subscribe(read.current_revision(), CONFIG_MAPS)
    transaction.create("ConfigMap", config_map("a", labels={"app": "web"}), ALICE)
    for app in ("web2", "web3", "web"):
        transaction.modify("ConfigMap", "default", "a", lambda it, app=app: _relabelled(it, app), ALICE)  # type: ignore[misc]
    transaction.delete("ConfigMap", "default", "a", ALICE)
    changes = [change for _ in range(5) if (change := subscription.get(5))]
    selector = parse_label_selector("app=web")
    assert [watch_verb(change, selector, None) for change in changes] == ["ADDED", "DELETED", None, "ADDED", "DELETED"]


def _relabelled(object: dict[str, object], app: str) -> dict[str, object]:
    return {**object, "metadata": {**object["metadata"], "labels": {"app": app}}}  # type: ignore[dict-item]


def test_field_selectors_see_a_pod_being_bound() -> None:
    subscription = log_reader().subscribe(read.current_revision(), frozenset({"Pod"}))
    transaction.create("Pod", pod("p"), ALICE)
    transaction.modify("Pod", "default", "p", _bound, ALICE, subresource="binding")
    changes = [change for _ in range(2) if (change := subscription.get(5))]
    selector = parse_field_selector("spec.nodeName=n1")
    assert [watch_verb(change, None, selector) for change in changes] == [None, "ADDED"]


def _bound(object: dict[str, object]) -> dict[str, object]:
    return {**object, "spec": {**object["spec"], "nodeName": "n1"}}  # type: ignore[dict-item]


def test_a_database_restored_from_a_copy_makes_watchers_list_anew() -> None:
    write_many(5)
    subscription = log_reader().subscribe(read.current_revision())
    assert subscription.get_batch(0.01) == []
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM store_revision WHERE number > 3")
        cursor.execute("UPDATE store_counter SET value = 3 WHERE name = 'revision'")
    with pytest.raises(Compacted):
        subscription.get_batch(5)
