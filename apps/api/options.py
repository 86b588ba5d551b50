"""ListOptions, DeleteOptions and the write options: query parameters to typed values, with Kubernetes' rules. Pure."""

from dataclasses import dataclass
from typing import Any, Literal

from apps.api.errors import bad_request
from apps.api.request import Query
from apps.kinds.problems import Problem
from apps.kinds.status import ApiError, Invalid
from nodeworker.wire.selectors import (
    FieldSelector,
    Selector,
    SelectorError,
    parse_field_selector,
    parse_label_selector,
)

FIELD_VALIDATION = ("Ignore", "Warn", "Strict")
Propagation = Literal["Background", "Foreground", "Orphan"]
PROPAGATION: tuple[Propagation, ...] = ("Background", "Foreground", "Orphan")


@dataclass(frozen=True)
class ListOptions:
    """What list, watch and deletecollection read from the query. `revision` is None when none was given."""

    labels: Selector | None
    fields: FieldSelector | None
    limit: int | None
    continue_token: str
    revision: int | None
    match: str
    watch: bool
    bookmarks: bool
    initial_events: bool | None
    timeout: int | None


def list_options(query: Query) -> ListOptions:
    """Read ListOptions; contradictory ones are refused."""
    options = ListOptions(
        labels=_labels(query.text("labelSelector")),
        fields=_fields(query.text("fieldSelector")),
        limit=query.number("limit"),
        continue_token=query.text("continue"),
        revision=_revision(query.text("resourceVersion")),
        match=query.text("resourceVersionMatch"),
        watch=query.boolean("watch"),
        bookmarks=query.boolean("allowWatchBookmarks"),
        initial_events=query.boolean("sendInitialEvents") if "sendInitialEvents" in query else None,
        timeout=query.number("timeoutSeconds"),
    )
    _check(options)
    return options


def _check(options: ListOptions) -> None:
    if options.limit is not None and options.limit < 0:
        raise bad_request(f"limit: {options.limit} is negative; it would be a number of objects, or 0 for all")
    if options.match and options.match not in ("Exact", "NotOlderThan"):
        raise _invalid("resourceVersionMatch", 'supported values: "Exact", "NotOlderThan", ""', options.match)
    if options.watch:
        if options.initial_events is not None and options.match != "NotOlderThan":
            raise _forbidden(
                "resourceVersionMatch", 'sendInitialEvents requires setting resourceVersionMatch to "NotOlderThan"'
            )
        if options.initial_events is None and options.match:
            raise _forbidden(
                "resourceVersionMatch",
                "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
            )
    else:
        if options.initial_events is not None:
            raise _forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list")
        if options.match and options.revision is None:
            raise _forbidden(
                "resourceVersionMatch", "resourceVersionMatch is forbidden unless resourceVersion is provided"
            )
        if options.match == "Exact" and options.revision == 0:
            raise _forbidden(
                "resourceVersionMatch", 'resourceVersionMatch "Exact" is forbidden for resourceVersion "0"'
            )
    if options.continue_token and options.revision:
        raise bad_request("specifying resource version is not allowed when using continue")


def _forbidden(field: str, message: str) -> ApiError:
    return _refused(Problem(field, "Forbidden", message))


def _invalid(field: str, message: str, value: str) -> ApiError:
    return _refused(Problem(field, "NotSupported", message, value))


def _refused(problem: Problem) -> ApiError:
    return Invalid("ListOptions.meta.k8s.io", "", [problem])


def _revision(text: str) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise bad_request(f'Invalid value: "{text}": resourceVersion would be a number that this server gave out')
    return int(text)


def _labels(text: str) -> Selector | None:
    try:
        return parse_label_selector(text) if text else None
    except SelectorError as error:
        raise bad_request(str(error)) from None


def _fields(text: str) -> FieldSelector | None:
    try:
        return parse_field_selector(text) if text else None
    except SelectorError as error:
        raise bad_request(str(error)) from None


@dataclass(frozen=True)
class DeleteOptions:
    """How to delete: from the query, and from the body where it says something."""

    grace_seconds: int | None
    propagation: Propagation
    uid: str | None
    revision: int | None
    dry_run: bool


def delete_options(query: Query, body: Any, default_propagation: Propagation = "Background") -> DeleteOptions:
    """Merge DeleteOptions of body and query; the body wins, as in Kubernetes."""
    if body is None:
        body = {}
    if not isinstance(body, dict):
        raise bad_request("DeleteOptions would be an object with gracePeriodSeconds, propagationPolicy, preconditions")
    if body.get("kind", "DeleteOptions") != "DeleteOptions":
        raise bad_request(f"expected DeleteOptions in the body, found {body['kind']!r}")
    conditions = body.get("preconditions") or {}
    grace = body.get("gracePeriodSeconds", query.number("gracePeriodSeconds"))
    if grace is not None and (isinstance(grace, bool) or not isinstance(grace, int) or grace < 0):
        raise bad_request(f"gracePeriodSeconds: {grace!r} would be a number of seconds, 0 or more")
    return DeleteOptions(
        grace_seconds=grace,
        propagation=_propagation(query, body, default_propagation),
        uid=_text(conditions, "uid"),
        revision=_revision(_text(conditions, "resourceVersion") or ""),
        dry_run=dry_run(query, body.get("dryRun") or []),
    )


def _text(mapping: Any, key: str) -> str | None:
    value = mapping.get(key) if isinstance(mapping, dict) else None
    if value is not None and not isinstance(value, str):
        raise bad_request(f"preconditions.{key} would be a text")
    return value


def _propagation(query: Query, body: dict[str, Any], default: Propagation) -> Propagation:
    orphan = body.get("orphanDependents")
    if orphan is None and "orphanDependents" in query:
        orphan = query.boolean("orphanDependents")
    if orphan is not None:
        return "Orphan" if orphan else "Background"
    policy = body.get("propagationPolicy") or query.text("propagationPolicy") or default
    for known in PROPAGATION:
        if policy == known:
            return known
    raise bad_request(f"propagationPolicy: {policy!r} would be one of {', '.join(PROPAGATION)}")


def dry_run(query: Query, from_body: Any = None) -> bool:
    """True for dryRun=All; anything else than that is refused, lest a trial changes something."""
    said = from_body if isinstance(from_body, list) else [from_body] if from_body else []
    values = [*query.texts("dryRun"), *said]
    wrong = [value for value in values if value not in ("All", "")]
    if wrong:
        raise bad_request(f"dryRun: {wrong[0]!r} would be All")
    return "All" in values


def field_validation(query: Query) -> str:
    """Return what to do about unknown and doubled fields; Warn is the default as in Kubernetes."""
    value = query.text("fieldValidation") or "Warn"
    if value not in FIELD_VALIDATION:
        raise bad_request(f"fieldValidation: {value!r} would be one of {', '.join(FIELD_VALIDATION)}")
    return value
