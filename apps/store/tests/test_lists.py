"""Lists: selectors by index, pages, one snapshot."""

import pytest

from apps.kinds.status import BadRequest, Gone
from apps.store import compaction, read, transaction
from apps.store.tests.shapes import ALICE, config_map, pod

pytestmark = pytest.mark.usefixtures("store")


def names(listing: read.Listing) -> list[str]:
    return [item.name for item in listing.items]


@pytest.fixture
def maps(store: None) -> None:
    """Four ConfigMaps with labels."""
    for name, labels in {
        "a": {"app": "web", "n": "1"},
        "b": {"app": "web", "tier": "x", "n": "5"},
        "c": {"app": "db", "n": "10"},
        "d": {},
    }.items():
        transaction.create("ConfigMap", config_map(name, labels=labels), ALICE)


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("app=web", "ab"),
        ("app!=web", "cd"),
        ("app in (web,db)", "abc"),
        ("app notin (web,db)", "d"),
        ("app", "abc"),
        ("!app", "d"),
        ("app=web,tier=x", "b"),
        ("n>4", "bc"),
        ("n<4", "a"),
        ("", "abcd"),
    ],
)
@pytest.mark.usefixtures("maps")
def test_label_selectors_choose(selector: str, expected: str) -> None:
    assert names(read.list_objects("ConfigMap", "default", labels=selector)) == list(expected)


@pytest.mark.usefixtures("maps")
def test_fields_of_every_kind_choose() -> None:
    assert names(read.list_objects("ConfigMap", fields="metadata.name=c")) == ["c"]
    assert names(read.list_objects("ConfigMap", fields="metadata.name!=c,metadata.namespace=default")) == [
        "a",
        "b",
        "d",
    ]


def test_pods_are_chosen_by_node_and_the_unbound_ones_by_its_absence() -> None:
    transaction.create("Pod", pod("bound", node="n1"), ALICE)
    transaction.create("Pod", pod("free"), ALICE)
    assert names(read.list_objects("Pod", fields="spec.nodeName=n1")) == ["bound"]
    assert names(read.list_objects("Pod", fields="spec.nodeName=")) == ["free"]
    assert names(read.list_objects("Pod", fields="spec.nodeName!=n1,status.phase=Pending")) == ["free"]


@pytest.mark.usefixtures("maps")
def test_pages_go_through_everything_once_and_say_what_remains() -> None:
    first = read.list_objects("ConfigMap", limit=3)
    second = read.list_objects("ConfigMap", limit=3, continue_token=first.continue_token)
    assert (names(first), first.remaining) == (["a", "b", "c"], 1)
    assert (names(second), second.remaining, second.continue_token) == (["d"], None, "")


@pytest.mark.usefixtures("maps")
def test_all_pages_carry_the_revision_of_the_first() -> None:
    first = read.list_objects("ConfigMap", limit=3)
    transaction.create("ConfigMap", config_map("e"), ALICE)
    second = read.list_objects("ConfigMap", limit=3, continue_token=first.continue_token)
    assert second.revision == first.revision < read.current_revision()


@pytest.mark.usefixtures("maps")
def test_a_page_whose_start_is_compacted_is_gone() -> None:
    first = read.list_objects("ConfigMap", limit=3)
    for number in range(4):
        transaction.create("ConfigMap", config_map(f"e{number}"), ALICE)
    compaction.compact(compaction.Keep(most=1, least=1))
    with pytest.raises(Gone):
        read.list_objects("ConfigMap", limit=3, continue_token=first.continue_token)


@pytest.mark.parametrize("token", ["x", "!!!", "eyJh", "W10"])
def test_a_token_that_nobody_gave_is_a_bad_request(token: str) -> None:
    with pytest.raises(BadRequest, match="continue key is not valid"):
        read.list_objects("ConfigMap", limit=3, continue_token=token)


def test_lists_are_ordered_by_namespace_and_name() -> None:
    transaction.create("ConfigMap", config_map("z", namespace="default"), ALICE)
    transaction.create("ConfigMap", config_map("a", namespace="kube-system"), ALICE)
    assert names(read.list_objects("ConfigMap")) == ["z", "a"]


async def test_event_loops_list() -> None:
    listing = await read.list_objects_async("Namespace")
    assert names(listing) == ["default", "kube-node-lease", "kube-public", "kube-system"]
    assert listing.revision == await read.current_revision_async() == 4
