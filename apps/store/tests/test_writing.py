"""The verbs of a transaction: versions, revisions, labels, owners, counters, namespaces."""

import pytest

from apps.kinds.status import AlreadyExists, BadRequest, Conflict, Forbidden, Invalid, NotFound
from apps.store import read, transaction
from apps.store.errors import OutsideStore
from apps.store.models import Counter, Label, Object, Revision
from apps.store.rows import Origin
from apps.store.tests.shapes import ALICE, config_map, owned_by, pod

pytestmark = pytest.mark.usefixtures("store")


def test_a_created_object_carries_its_revision_inside() -> None:
    stored = transaction.create("ConfigMap", config_map("a"), ALICE)
    assert stored.object["metadata"]["resourceVersion"] == str(stored.revision) == str(read.current_revision())


def test_the_log_says_who_wrote_and_why() -> None:
    origin = Origin("bob", cause=7, request="r1")
    transaction.create("ConfigMap", config_map("a"), origin)
    change = read.history("ConfigMap", "default", "a")[-1]
    assert (change.verb, change.actor, change.cause, change.request) == ("ADDED", "bob", 7, "r1")


def test_the_same_name_twice_is_refused() -> None:
    transaction.create("ConfigMap", config_map("a"), ALICE)
    with pytest.raises(AlreadyExists, match='configmaps "a" already exists'):
        transaction.create("ConfigMap", config_map("a"), ALICE)


def test_a_stale_version_is_a_conflict() -> None:
    first = transaction.create("ConfigMap", config_map("a"), ALICE).object
    transaction.update("ConfigMap", {**first, "data": {"key": "w"}}, ALICE)
    with pytest.raises(Conflict, match="the object has been modified"):
        transaction.update("ConfigMap", {**first, "data": {"key": "x"}}, ALICE)


def test_an_update_that_changes_nothing_takes_no_revision() -> None:
    first = transaction.create("ConfigMap", config_map("a"), ALICE)
    assert transaction.update("ConfigMap", first.object, ALICE).revision == first.revision
    assert read.current_revision() == first.revision


def test_a_refused_write_leaves_nothing() -> None:
    before = read.current_revision()
    with pytest.raises(Invalid):
        transaction.create("ConfigMap", config_map("Not A Name"), ALICE)
    assert read.current_revision() == before
    assert not Object.objects.filter(kind="ConfigMap").exists()


def test_a_wrong_uid_is_a_failed_precondition() -> None:
    transaction.create("ConfigMap", config_map("a"), ALICE)
    with pytest.raises(Conflict, match="UID in precondition: other"):
        transaction.delete("ConfigMap", "default", "a", ALICE, uid="other")


def test_a_version_that_is_no_number_is_a_bad_request() -> None:
    first = transaction.create("ConfigMap", config_map("a"), ALICE).object
    first["metadata"]["resourceVersion"] = "x"
    with pytest.raises(BadRequest, match="resourceVersion"):
        transaction.update("ConfigMap", first, ALICE)


def test_creating_in_an_absent_namespace_is_not_found() -> None:
    with pytest.raises(NotFound, match='namespaces "nowhere" not found'):
        transaction.create("ConfigMap", config_map("a", namespace="nowhere"), ALICE)


def test_creating_in_a_terminating_namespace_is_forbidden() -> None:
    transaction.create("Namespace", {"metadata": {"name": "shop"}}, ALICE)
    transaction.delete("Namespace", "", "shop", ALICE)
    with pytest.raises(
        Forbidden, match="unable to create new content in namespace shop because it is being terminated"
    ):
        transaction.create("ConfigMap", config_map("a", namespace="shop"), ALICE)


def test_the_namespaces_of_every_cluster_stay() -> None:
    with pytest.raises(Forbidden, match="this namespace may not be deleted"):
        transaction.delete("Namespace", "", "default", ALICE)


def test_labels_follow_the_object() -> None:
    transaction.create("ConfigMap", config_map("a", labels={"app": "web", "tier": "x"}), ALICE)
    transaction.modify("ConfigMap", "default", "a", lambda it: _labelled(it, {"app": "db"}), ALICE)
    assert list(Label.objects.filter(kind="ConfigMap").values_list("key", "value")) == [("app", "db")]


def _labelled(object: dict[str, object], labels: dict[str, str]) -> dict[str, object]:
    return {**object, "metadata": {**object["metadata"], "labels": labels}}  # type: ignore[dict-item]


def test_children_move_the_counter_of_their_owner() -> None:
    owner = transaction.create("ConfigMap", config_map("owner"), ALICE)
    _, before = read.children(owner.uid, "Pod")
    transaction.create("Pod", pod("child", ownerReferences=owned_by(owner.uid)), ALICE)
    children, after = read.children(owner.uid, "Pod")
    assert ([child.name for child in children], after) == (["child"], before + 1)


def test_a_plan_for_other_children_is_a_conflict() -> None:
    owner = transaction.create("ConfigMap", config_map("owner"), ALICE)
    _, counter = read.children(owner.uid, "Pod")
    transaction.create("Pod", pod("child", ownerReferences=owned_by(owner.uid)), ALICE)
    with pytest.raises(Conflict, match="the children of this owner have changed"):
        transaction.commit(lambda it: it.check_children(owner.uid, counter), ALICE)


def test_a_child_that_begins_to_go_moves_the_counter() -> None:
    owner = transaction.create("ConfigMap", config_map("owner"), ALICE)
    transaction.create("Pod", pod("child", node="n1", ownerReferences=owned_by(owner.uid)), ALICE)
    _, counter = read.children(owner.uid, "Pod")
    transaction.delete("Pod", "default", "child", ALICE)
    assert read.children(owner.uid, "Pod")[1] == counter + 1


def test_bound_pods_move_the_counter_of_their_node() -> None:
    transaction.create("Pod", pod("a", node="n1"), ALICE)
    pods, counter = read.bound("n1")
    assert ([one.name for one in pods], counter) == (["a"], 1)
    transaction.delete("Pod", "default", "a", ALICE, grace_seconds=0)
    assert read.bound("n1") == ([], 2)


def test_store_models_cannot_be_written_around_the_store() -> None:
    transaction.create("ConfigMap", config_map("a"), ALICE)
    row = Object.objects.get(kind="ConfigMap")
    for attempt in (row.save, row.delete, Object.objects.all().delete, lambda: Object.objects.update(name="b")):
        with pytest.raises(OutsideStore):
            attempt()
    with pytest.raises(OutsideStore):
        Counter.objects.create(name="x")
    with pytest.raises(OutsideStore):
        Revision.objects.bulk_create([])


def test_what_a_work_returns_comes_back_and_its_warnings_too() -> None:
    def work(writing: transaction.Transaction) -> tuple[str, list[str]]:
        return writing.create("ConfigMap", config_map("a")).name, writing.warnings

    assert transaction.commit(work, ALICE) == ("a", [])


async def test_event_loops_write_without_blocking() -> None:
    stored = await transaction.create_async("ConfigMap", config_map("a"), ALICE)
    found = await read.get_async("ConfigMap", "default", "a")
    assert found == stored
