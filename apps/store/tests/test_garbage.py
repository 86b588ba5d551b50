"""Garbage collection: by owner, in the foreground, orphaning; namespaces on their way out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.store import garbage, read, transaction
from apps.store.garbage import decide_child
from apps.store.models import Object
from apps.store.tests.shapes import ALICE, config_map, owned_by, pod


def settle() -> None:
    """Follow the log until nobody has anything to do, as the controllers' process does."""
    position = 0
    while True:
        changes, position = read.changes_after(position, None, 500)
        if not changes:
            return
        for key in dict.fromkeys(key for change in changes for key in garbage.keys(change)):
            garbage.collect(key)


def left(kind: str = "ConfigMap") -> list[str]:
    return sorted(Object.objects.filter(kind=kind).values_list("name", flat=True))


@pytest.mark.usefixtures("store")
def test_children_go_after_their_owner_down_the_tree() -> None:
    owner = transaction.create("ConfigMap", config_map("owner"), ALICE)
    middle = transaction.create("ConfigMap", config_map("middle", ownerReferences=owned_by(owner.uid)), ALICE)
    transaction.create("ConfigMap", config_map("leaf", ownerReferences=owned_by(middle.uid)), ALICE)
    transaction.delete("ConfigMap", "default", "owner", ALICE)
    settle()
    assert left() == []


@pytest.mark.usefixtures("store")
def test_a_child_born_after_its_owner_went_goes_too() -> None:
    transaction.create("ConfigMap", config_map("late", ownerReferences=owned_by("gone")), ALICE)
    settle()
    assert left() == []


@pytest.mark.usefixtures("store")
def test_a_child_of_two_owners_lets_go_of_the_one_that_went() -> None:
    one = transaction.create("ConfigMap", config_map("one"), ALICE)
    two = transaction.create("ConfigMap", config_map("two"), ALICE)
    owners = [*owned_by(one.uid), {**owned_by(two.uid)[0], "controller": False}]
    transaction.create("ConfigMap", config_map("child", ownerReferences=owners), ALICE)
    transaction.delete("ConfigMap", "default", "one", ALICE)
    settle()
    child = read.get("ConfigMap", "default", "child")
    assert child is not None
    assert [owner["uid"] for owner in child.object["metadata"]["ownerReferences"]] == [two.uid]


@pytest.mark.usefixtures("store")
def test_orphans_stay_without_their_owner() -> None:
    owner = transaction.create("ConfigMap", config_map("owner"), ALICE)
    transaction.create("ConfigMap", config_map("child", ownerReferences=owned_by(owner.uid)), ALICE)
    transaction.delete("ConfigMap", "default", "owner", ALICE, propagation="Orphan")
    settle()
    child = read.get("ConfigMap", "default", "child")
    assert child is not None
    assert "ownerReferences" not in child.object["metadata"]


@pytest.mark.usefixtures("store")
def test_in_the_foreground_the_owner_waits_for_a_pod_that_ends_in_its_time() -> None:
    owner = transaction.create("ConfigMap", config_map("owner"), ALICE)
    transaction.create("Pod", pod("p", node="n1", ownerReferences=owned_by(owner.uid, blocking=True)), ALICE)
    transaction.delete("ConfigMap", "default", "owner", ALICE, propagation="Foreground")
    settle()
    assert (left(), left("Pod")) == (["owner"], ["p"])
    transaction.delete("Pod", "default", "p", ALICE, grace_seconds=0)
    settle()
    assert left() == []


@pytest.mark.usefixtures("store")
def test_a_namespace_goes_when_it_is_empty() -> None:
    transaction.create("Namespace", {"metadata": {"name": "shop"}}, ALICE)
    transaction.create("ConfigMap", config_map("a", namespace="shop"), ALICE)
    transaction.create("Pod", pod("p", namespace="shop", node="n1"), ALICE)
    transaction.delete("Namespace", "", "shop", ALICE)
    settle()
    assert (left(), left("Pod"), "shop" in left("Namespace")) == ([], ["p"], True)
    transaction.delete("Pod", "shop", "p", ALICE, grace_seconds=0)
    settle()
    assert "shop" not in left("Namespace")


@pytest.mark.usefixtures("store")
def test_a_sweep_finds_what_hints_would_have_told() -> None:
    transaction.create("ConfigMap", config_map("late", ownerReferences=owned_by("gone")), ALICE)
    transaction.create("Namespace", {"metadata": {"name": "shop"}}, ALICE)
    transaction.delete("Namespace", "", "shop", ALICE)
    assert garbage.sweep() == ["owner/gone", "namespace/shop"]


@pytest.mark.usefixtures("store")
def test_the_collector_names_itself_and_its_cause() -> None:
    owner = transaction.create("ConfigMap", config_map("owner"), ALICE)
    transaction.create("ConfigMap", config_map("child", ownerReferences=owned_by(owner.uid)), ALICE)
    transaction.delete("ConfigMap", "default", "owner", ALICE)
    garbage.collect(f"owner/{owner.uid}", cause=42)
    last = read.history("ConfigMap", "default", "child")[-1]
    assert (last.verb, last.actor, last.cause) == ("DELETED", garbage.ORIGIN, 42)


uids = st.frozensets(st.sampled_from("abcd"))


@given(st.lists(st.sampled_from("abcd"), unique=True), uids, uids)
def test_a_child_is_deleted_only_when_no_owner_stays(
    owners: list[str], living: frozenset[str], going: frozenset[str]
) -> None:
    verdict = decide_child(owners, living, going & living)
    staying = [uid for uid in owners if uid in living - going]
    assert (verdict == "delete") == (bool(owners) and not staying)
    assert verdict != "release" or any(uid not in living for uid in owners)
