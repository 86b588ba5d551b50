"""Errors of the protocol itself, in the words of Kubernetes; those of objects are raised by kinds and store."""

from collections.abc import Sequence

from apps.kinds.status import BadRequest, Gone, MethodNotAllowed, NotAcceptable, NotFound, Timeout, TooLarge


def bad_request(message: str) -> BadRequest:
    return BadRequest(message)


def too_large(limit: int) -> TooLarge:
    return TooLarge(f"Request entity too large: limit is {limit} bytes")


def path_not_found() -> NotFound:
    return NotFound("the server could not find the requested resource")


def method_not_allowed() -> MethodNotAllowed:
    return MethodNotAllowed("the server does not allow this method on the requested resource")


def not_acceptable(accepted: Sequence[str]) -> NotAcceptable:
    return NotAcceptable(f"only the following media types are accepted: {', '.join(accepted)}")


def expired(message: str) -> Gone:
    return Gone(message)


def too_large_revision(asked: int, current: int) -> Timeout:
    """The client has seen a revision that this server has not: another database, or one restored from a copy."""
    cause = {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
    return Timeout(
        f"Too large resource version: {asked}, current: {current}", {"causes": [cause], "retryAfterSeconds": 1}
    )
