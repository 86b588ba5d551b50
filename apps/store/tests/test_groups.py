"""Many writers: one commit for the works that wait, dense revisions, no lost writes, no extra children."""

import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from django.conf import settings
from django.db import DatabaseError, connection, connections

from apps.kinds.status import Conflict
from apps.store import read, transaction, writer
from apps.store.errors import CommitFailed, StoreError, StoreUnavailable
from apps.store.models import Object, Revision
from apps.store.tests.shapes import ALICE, config_map, owned_by, pod

pytestmark = pytest.mark.usefixtures("store")


def submit(work: Callable[[transaction.Transaction], Any]) -> "Future[Any]":
    """Hand a work to the writer without waiting."""
    future: Future[Any] = Future()
    writer.writer(transaction.Transaction).submit(writer.Pending(work, ALICE, future, None))
    return future


def in_one_group(*works: Callable[[transaction.Transaction], Any]) -> "list[Future[Any]]":
    """Hold the writer up while the works queue, so that they make one commit."""
    entered, release = threading.Event(), threading.Event()

    def hold(_: transaction.Transaction) -> None:
        entered.set()
        release.wait(10)

    submit(hold)
    entered.wait(10)
    futures = [submit(work) for work in works]
    release.set()
    return futures


def assert_dense() -> None:
    numbers = list(Revision.objects.order_by("number").values_list("number", flat=True))
    assert numbers == list(range(1, read.current_revision() + 1))


def test_a_bad_work_spoils_no_other_of_its_commit() -> None:
    def bad(writing: transaction.Transaction) -> None:
        writing.create("ConfigMap", config_map("bad"))
        raise ValueError("on purpose")

    first, second, third = in_one_group(
        lambda it: it.create("ConfigMap", config_map("a")), bad, lambda it: it.create("ConfigMap", config_map("b"))
    )
    assert first.result().revision + 1 == third.result().revision
    with pytest.raises(ValueError, match="on purpose"):
        second.result()
    assert read.get("ConfigMap", "default", "bad") is None
    assert_dense()


def test_a_statement_that_the_database_refuses_spoils_no_other() -> None:
    first, second = in_one_group(
        lambda it: it.cursor.execute("INSERT INTO nowhere VALUES (1)"),
        lambda it: it.create("ConfigMap", config_map("b")),
    )
    with pytest.raises(DatabaseError):
        first.result()
    assert second.result().name == "b"


def test_a_failing_commit_acknowledges_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    before = read.current_revision()

    def fail(_: Any) -> None:
        raise DatabaseError("disk I/O error")

    with monkeypatch.context() as patch:
        patch.setattr(type(connections["default"]), "_commit", fail)
        with pytest.raises(CommitFailed, match=r"did not confirm the commit.*disk I/O error"):
            transaction.create("ConfigMap", config_map("a"), ALICE)
    assert (read.get("ConfigMap", "default", "a"), read.current_revision()) == (None, before)
    assert transaction.create("ConfigMap", config_map("a"), ALICE).revision == before + 1


def test_a_database_that_is_away_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(writer, "_WAITS", ())

        def locked(_: Any) -> int:
            raise DatabaseError("database is locked")

        patch.setattr(writer, "_lock_revision", locked)
        with pytest.raises(StoreUnavailable, match="database is locked"):
            transaction.create("ConfigMap", config_map("a"), ALICE)
    assert transaction.create("ConfigMap", config_map("a"), ALICE).name == "a"


@pytest.mark.skipif("connection.vendor == 'sqlite'", reason="a file is never disconnected")
def test_a_closed_connection_is_opened_again() -> None:
    process = transaction.commit(lambda it: it.connection.connection.info.backend_pid, ALICE)
    with connection.cursor() as cursor:  # as a restarted server would
        cursor.execute("SELECT pg_terminate_backend(%s)", [process])
    assert transaction.create("ConfigMap", config_map("a"), ALICE).name == "a"


def test_commit_inside_a_work_is_refused() -> None:
    with pytest.raises(StoreError, match="use the work's own transaction"):
        transaction.commit(lambda _: transaction.create("ConfigMap", config_map("a"), ALICE), ALICE)


def test_threads_lose_no_increment() -> None:
    transaction.create("ConfigMap", config_map("counter", data="0"), ALICE)

    def increment(_: int) -> None:
        transaction.modify("ConfigMap", "default", "counter", _plus_one, ALICE)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(increment, range(120)))
    stored = read.get("ConfigMap", "default", "counter")
    assert stored is not None
    assert stored.object["data"]["key"] == "120"
    assert_dense()


def _plus_one(object: dict[str, Any]) -> dict[str, Any]:
    return {**object, "data": {"key": str(int(object["data"]["key"]) + 1)}}


def test_threads_that_see_the_same_children_never_make_too_many() -> None:
    owner = transaction.create("ConfigMap", config_map("owner"), ALICE)

    def reconcile(number: int) -> None:
        for attempt in range(20):
            children, counter = read.children(owner.uid, "Pod")
            if len(children) >= 5:
                return
            try:
                transaction.commit(adding_child(owner.uid, f"p{number}-{attempt}", counter), ALICE)
            except Conflict:
                continue

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(reconcile, range(6)))
    assert len(read.children(owner.uid, "Pod")[0]) == 5


def adding_child(uid: str, name: str, counter: int) -> Callable[[transaction.Transaction], None]:
    """A work that makes one child if the children are still those of `counter`."""

    def work(writing: transaction.Transaction) -> None:
        writing.check_children(uid, counter)
        writing.create("Pod", pod(name, ownerReferences=owned_by(uid)))

    return work


def test_processes_write_dense_revisions_and_lose_nothing() -> None:
    transaction.create("ConfigMap", config_map("counter", data="0"), ALICE)
    owner = transaction.create("ConfigMap", config_map("owner"), ALICE)
    name = str(connections["default"].settings_dict["NAME"])
    command = [sys.executable, "-m", "apps.store.tests.other_process", name, owner.uid]
    running = [subprocess.Popen([*command, str(number)], cwd=settings.BASE_DIR) for number in range(3)]
    assert [process.wait(60) for process in running] == [0, 0, 0]
    stored = read.get("ConfigMap", "default", "counter")
    assert stored is not None
    assert stored.object["data"]["key"] == "90"
    assert len(read.children(owner.uid, "Pod")[0]) == 5
    assert Object.objects.filter(kind="ConfigMap").count() == 2 + 60
    assert_dense()
