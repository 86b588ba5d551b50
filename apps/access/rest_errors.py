"""Errors of /rest/v1/ as Kubernetes' Status objects. Named in settings; REST framework calls it."""

from typing import Any

from django.http import Http404
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import exception_handler

from apps.kinds.status import ApiError, status_object

_REASONS = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    405: "MethodNotAllowed",
    406: "NotAcceptable",
    409: "Conflict",
    413: "RequestEntityTooLarge",
    415: "UnsupportedMediaType",
    429: "TooManyRequests",
}


def status_exception_handler(error: Exception, context: dict[str, Any]) -> Response | None:
    """Answer errors with a Status object; REST framework calls it for whatever a view raises."""
    if isinstance(error, ApiError):
        return Response(error.status, status=error.code)
    if isinstance(error, Http404):
        error = exceptions.NotFound(str(error) or None)
    answer = exception_handler(error, context)
    if answer is None:
        return None  # a bug: Django logs it and answers 500
    answer.data = _status(error, answer)
    answer.content_type = None
    return answer


def _status(error: Exception, answer: Response) -> dict[str, Any]:
    code = answer.status_code
    if isinstance(error, exceptions.ValidationError):
        return _invalid(error)
    detail = getattr(error, "detail", error)
    return status_object(code, _REASONS.get(code, "InternalError"), str(detail))


def _invalid(error: exceptions.ValidationError) -> dict[str, Any]:
    """A 422-shaped body (the code stays 400) that names each field with its sentence."""
    causes = list(_causes(error.detail, ""))
    message = "; ".join(f"{field}: {text}" if field else text for field, text in causes)
    listed = [{"reason": "FieldValueInvalid", "message": text, "field": field} for field, text in causes]
    return status_object(400, "BadRequest", message, {"causes": listed})


def _causes(detail: Any, path: str) -> list[tuple[str, str]]:
    if isinstance(detail, dict):
        pairs = []
        for key, value in detail.items():
            step = "" if key == "non_field_errors" else str(key)
            pairs += _causes(value, f"{path}.{step}" if path and step else path or step)
        return pairs
    if isinstance(detail, list):
        return [pair for item in detail for pair in _causes(item, path)]
    return [(path, str(detail))]
