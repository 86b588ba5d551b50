"""ListOptions and DeleteOptions: contradictions are refused in Kubernetes' words."""

from typing import Any

import pytest

from apps.api.options import delete_options, dry_run, field_validation, list_options
from apps.api.request import Query
from apps.kinds.status import ApiError, BadRequest, Invalid


def query(text: str) -> Query:
    return Query(text.encode())


def test_an_informer_of_client_go_is_understood() -> None:
    options = list_options(
        query(
            "watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&timeoutSeconds=9"
        )
    )
    assert (options.watch, options.initial_events, options.bookmarks, options.timeout) == (True, True, True, 9)


@pytest.mark.parametrize(
    "text",
    [
        "watch=true&sendInitialEvents=true",
        "watch=true&resourceVersionMatch=Exact",
        "sendInitialEvents=true",
        "resourceVersionMatch=Exact",
        "resourceVersionMatch=Exact&resourceVersion=0",
        "resourceVersionMatch=Newest&resourceVersion=4",
    ],
)
def test_contradictory_options_are_invalid(text: str) -> None:
    with pytest.raises(Invalid):
        list_options(query(text))


@pytest.mark.parametrize(
    "text",
    [
        "limit=-1",
        "limit=many",
        "resourceVersion=abc",
        "watch=perhaps",
        "labelSelector=a%20in%20(",
        "fieldSelector=nonsense",
        "continue=x&resourceVersion=7",
    ],
)
def test_what_cannot_be_read_is_a_bad_request(text: str) -> None:
    with pytest.raises(BadRequest):
        list_options(query(text))


def test_a_revision_of_zero_is_not_the_same_as_none() -> None:
    assert list_options(query("resourceVersion=0")).revision == 0
    assert list_options(query("")).revision is None


@pytest.mark.parametrize(
    ("text", "body", "propagation"),
    [
        ("", None, "Background"),
        ("propagationPolicy=Orphan", None, "Orphan"),
        ("propagationPolicy=Orphan", {"propagationPolicy": "Foreground"}, "Foreground"),
        ("", {"orphanDependents": True}, "Orphan"),
        ("orphanDependents=false", None, "Background"),
    ],
)
def test_propagation_comes_from_body_or_query(text: str, body: Any, propagation: str) -> None:
    assert delete_options(query(text), body).propagation == propagation


@pytest.mark.parametrize(
    "body",
    [
        {"gracePeriodSeconds": -1},
        {"gracePeriodSeconds": True},
        {"propagationPolicy": "Sometimes"},
        {"preconditions": {"uid": 3}},
        {"dryRun": ["Some"]},
        {"kind": "Pod"},
        [],
    ],
)
def test_wrong_delete_options_are_refused(body: Any) -> None:
    with pytest.raises(ApiError):
        delete_options(query(""), body)


def test_dry_run_is_all_or_an_error() -> None:
    assert dry_run(query("dryRun=All"))
    assert not dry_run(query(""))
    with pytest.raises(BadRequest):
        dry_run(query("dryRun=true"))


def test_field_validation_warns_unless_told_otherwise() -> None:
    assert field_validation(query("")) == "Warn"
    with pytest.raises(BadRequest):
        field_validation(query("fieldValidation=Maybe"))
