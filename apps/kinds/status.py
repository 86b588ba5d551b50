"""Errors as Kubernetes' `Status` objects.

    ApiError
     ├─ BadRequest 400
     ├─ Unauthorized 401
     ├─ Forbidden 403
     ├─ NotFound 404
     ├─ MethodNotAllowed 405
     ├─ NotAcceptable 406
     ├─ AlreadyExists 409
     ├─ Conflict 409
     ├─ Gone 410
     ├─ TooLarge 413
     ├─ UnsupportedMediaType 415
     ├─ Invalid 422
     ├─ Unprocessable 422
     ├─ TooManyRequests 429
     ├─ InternalError 500
     ├─ Unavailable 503
     └─ Timeout 504

Raised by admission, the store and the API; the API answers with `error.status` and `error.code`.
"""

# ruff: noqa: N818  (the classes carry the names of Kubernetes' reasons)

from collections.abc import Mapping, Sequence
from typing import Any

from apps.kinds.problems import CAUSES, Problem


def status_object(code: int, reason: str, message: str, details: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return a failure `Status`."""
    status: dict[str, Any] = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": reason,
    }
    if details:
        status["details"] = dict(details)
    status["code"] = code
    return status


def success_object(details: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the `Status` that answers a finished deletion."""
    status: dict[str, Any] = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}
    if details:
        status["details"] = dict(details)
    return status


class ApiError(Exception):
    """An answer other than success; `status` is the object to send, `code` its HTTP status."""

    code = 500
    reason = "InternalError"

    def __init__(self, message: str, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.details = details

    @property
    def status(self) -> dict[str, Any]:
        return status_object(self.code, self.reason, self.message, self.details)


class BadRequest(ApiError):
    code, reason = 400, "BadRequest"


class Unauthorized(ApiError):
    code, reason = 401, "Unauthorized"

    def __init__(self, message: str = "Unauthorized", details: Mapping[str, Any] | None = None) -> None:
        super().__init__(message, details)


class Forbidden(ApiError):
    code, reason = 403, "Forbidden"


class NotFound(ApiError):
    code, reason = 404, "NotFound"

    @classmethod
    def of(cls, resource: str, name: str) -> "NotFound":
        """Return the error for one object: `deployments.apps "web" not found`."""
        plural, _, group = resource.partition(".")
        details = {"name": name, "group": group, "kind": plural} if group else {"name": name, "kind": plural}
        return cls(f'{resource} "{name}" not found', details)


class MethodNotAllowed(ApiError):
    code, reason = 405, "MethodNotAllowed"


class NotAcceptable(ApiError):
    code, reason = 406, "NotAcceptable"


class AlreadyExists(ApiError):
    code, reason = 409, "AlreadyExists"

    @classmethod
    def of(cls, resource: str, name: str) -> "AlreadyExists":
        """Return the error for one object: `pods "web" already exists`."""
        plural, _, group = resource.partition(".")
        details = {"name": name, "group": group, "kind": plural} if group else {"name": name, "kind": plural}
        return cls(f'{resource} "{name}" already exists', details)


class Conflict(ApiError):
    code, reason = 409, "Conflict"

    @classmethod
    def of(cls, resource: str, name: str) -> "Conflict":
        """Return the error for a write that was based on an old version."""
        plural, _, group = resource.partition(".")
        details = {"name": name, "group": group, "kind": plural} if group else {"name": name, "kind": plural}
        return cls(
            f'Operation cannot be fulfilled on {resource} "{name}": the object has been modified; '
            "please apply your changes to the latest version and try again",
            details,
        )


class Gone(ApiError):
    code, reason = 410, "Expired"


class TooLarge(ApiError):
    code, reason = 413, "RequestEntityTooLarge"


class UnsupportedMediaType(ApiError):
    code, reason = 415, "UnsupportedMediaType"


class Invalid(ApiError):
    """The object breaks its kind's rules; every problem is told, not only the first."""

    code, reason = 422, "Invalid"

    def __init__(self, qualified_kind: str, name: str, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        sentences = list(dict.fromkeys(str(problem) for problem in self.problems))
        text = sentences[0] if len(sentences) == 1 else f"[{', '.join(sentences)}]"
        kind, _, group = qualified_kind.partition(".")
        details: dict[str, Any] = {"name": name, "kind": kind}
        if group:
            details["group"] = group
        details["causes"] = [
            {"reason": CAUSES[problem.reason], "message": problem.body(), "field": problem.path}
            for problem in self.problems
        ]
        super().__init__(f'{qualified_kind} "{name}" is invalid: {text}', details)


class Unprocessable(ApiError):
    """A patch that does not fit the object."""

    code, reason = 422, "Invalid"


class TooManyRequests(ApiError):
    code, reason = 429, "TooManyRequests"


class InternalError(ApiError):
    code, reason = 500, "InternalError"


class Unavailable(ApiError):
    code, reason = 503, "ServiceUnavailable"


class Timeout(ApiError):
    code, reason = 504, "Timeout"
