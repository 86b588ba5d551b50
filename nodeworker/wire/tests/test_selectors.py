"""Label and field selectors: read, matched, and compared with a naive model."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodeworker.wire.selectors import (
    EVERYTHING,
    Requirement,
    Selector,
    SelectorError,
    parse_field_selector,
    parse_label_selector,
    selector_from_labels,
    selector_from_object,
)

WEB = {"app": "web", "tier": "front", "rank": "5"}


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("", True),
        ("app=web", True),
        ("app==web", True),
        ("app=db", False),
        ("app!=db", True),
        ("absent!=x", True),
        ("app", True),
        ("!app", False),
        ("!absent", True),
        ("app in (db, web)", True),
        ("app notin (db,web)", False),
        ("absent notin (x)", True),
        ("rank>4", True),
        ("rank<5", False),
        ("app>4", False),
        ("app=web,tier=back", False),
        ("app in (web),tier!=back,!absent,rank>1", True),
        ("app in ()", False),
        ("example.com/key", False),
        ("app=", False),
    ],
)
def test_a_label_selector_matches(text: str, matches: bool) -> None:
    assert parse_label_selector(text).matches(WEB) is matches


@pytest.mark.parametrize(
    "text", ["=x", "a=b=c", "a in b", "a in (b", "a,,b", ",", "a>x", "-a=b", "a=b c", "a=(b)", "a!b", "x" * 20_000]
)
def test_a_bad_label_selector_is_refused(text: str) -> None:
    with pytest.raises(SelectorError):
        parse_label_selector(text)


def test_no_selector_object_selects_nothing_and_an_empty_one_everything() -> None:
    assert not selector_from_object(None).matches(WEB)
    assert selector_from_object({}).matches(WEB)
    assert not selector_from_labels({}).matches(WEB)


def test_expressions_of_an_object_are_read() -> None:
    expressions = [{"key": "tier", "operator": "In", "values": ["front", "edge"]}]
    selector = selector_from_object({"matchLabels": {"app": "web"}, "matchExpressions": expressions})
    assert selector.matches(WEB)
    assert str(selector) == "app=web,tier in (edge,front)"


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("", True),
        ("status.phase=Running", True),
        ("status.phase!=Running", False),
        ("spec.nodeName=", True),
        ("spec.nodeName!=n1,status.phase==Running", True),
        (r"metadata.name=a\,b\=c", True),
    ],
)
def test_a_field_selector_matches(text: str, matches: bool) -> None:
    fields = {"status.phase": "Running", "metadata.name": "a,b=c"}
    assert parse_field_selector(text).matches(fields) is matches


@pytest.mark.parametrize("text", ["name", "=x", r"a=b\c", "a=b=c", "a!b", "a=b,c"])
def test_a_bad_field_selector_is_refused(text: str) -> None:
    with pytest.raises(SelectorError):
        parse_field_selector(text)


KEYS = st.sampled_from(["a", "b", "c"])
VALUES = st.sampled_from(["x", "y", "1", "22"])
LABELS = st.dictionaries(KEYS, VALUES)
REQUIREMENTS = st.one_of(
    st.builds(Requirement, KEYS, st.sampled_from(["In", "NotIn"]), st.sets(VALUES, min_size=1).map(sorted).map(tuple)),
    st.builds(Requirement, KEYS, st.sampled_from(["Exists", "DoesNotExist"])),
    st.builds(Requirement, KEYS, st.sampled_from(["Gt", "Lt"]), st.tuples(st.sampled_from(["0", "7", "100"]))),
)


def naive(requirement: Requirement, labels: dict[str, str]) -> bool:
    present, value = requirement.key in labels, labels.get(requirement.key, "")
    if requirement.operator in ("Gt", "Lt"):
        if not value.isdigit():
            return False
        bound = int(requirement.values[0])
        return int(value) > bound if requirement.operator == "Gt" else int(value) < bound
    return {
        "In": present and value in requirement.values,
        "NotIn": not (present and value in requirement.values),
        "Exists": present,
        "DoesNotExist": not present,
    }[requirement.operator]


@given(st.lists(REQUIREMENTS, max_size=4), LABELS)
def test_selectors_agree_with_a_naive_model(requirements: list[Requirement], labels: dict[str, str]) -> None:
    selector = Selector(tuple(requirements))
    assert selector.matches(labels) == all(naive(requirement, labels) for requirement in requirements)


@given(st.lists(REQUIREMENTS, min_size=1, max_size=4))
def test_a_selector_is_read_back_from_its_text(requirements: list[Requirement]) -> None:
    selector = Selector(tuple(requirements))
    assert parse_label_selector(str(selector)) == selector


@given(st.text(max_size=60))
def test_no_text_breaks_the_parsers(text: str) -> None:
    for parse in (parse_label_selector, parse_field_selector):
        try:
            parse(text)
        except SelectorError as error:
            assert str(error)


def test_an_empty_text_selects_everything() -> None:
    assert parse_label_selector("  ") is EVERYTHING
