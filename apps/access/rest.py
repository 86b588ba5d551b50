"""The base of everything under /rest/v1/: who asks, whether they may, and errors as Kubernetes' Status objects.

A view names its `resource` ("images"); the verb comes from the method. `required(request)` may say something finer:
(verb, resource, namespace, name, subresource).
"""

from typing import Any

from django.http import Http404
from rest_framework import exceptions
from rest_framework.authentication import BaseAuthentication
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView, exception_handler

from apps.access.authorize import authorize
from apps.access.identity import Identity, authenticate_now
from apps.access.models import User
from apps.access.origins import check_origin
from apps.access.scopes import scope_of
from apps.kinds.status import ApiError, status_object

VERBS = {
    "GET": "get",
    "HEAD": "get",
    "OPTIONS": "get",
    "POST": "create",
    "PUT": "update",
    "PATCH": "patch",
    "DELETE": "delete",
}
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


class Caller:
    """What `request.user` is: an identity in the shape that REST framework and its templates expect."""

    is_authenticated = True
    is_anonymous = False
    is_active = True

    def __init__(self, identity: Identity) -> None:
        self.identity = identity
        self.username = identity.name
        self.pk = int(identity.uid) if identity.uid else None

    def __str__(self) -> str:
        return self.username

    def get_username(self) -> str:
        return self.username

    def user(self) -> User | None:
        """The person or account in the database; a node has none."""
        return User.objects.filter(pk=self.pk).first() if self.pk else None


class IdentityAuthentication(BaseAuthentication):
    """`apps.access.identity` for REST framework: request.user is a `Caller`, request.auth its Identity."""

    def authenticate(self, request: Request) -> tuple[Any, Any] | None:
        scope = scope_of(request._request)
        identity = authenticate_now(scope)
        if identity is None:
            return None
        if identity.source == "session" and not check_origin(scope):
            raise exceptions.PermissionDenied(
                "the request does not come from a page of this console: its Origin or CSRF token is missing or wrong"
            )
        return Caller(identity), identity

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="gantry"'


class Authorized(BasePermission):
    """Everybody must be allowed by `authorize`; a view without a resource is refused."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        identity = identity_of(request)
        if identity is None:
            return False
        verb, resource, namespace, name, subresource = required(request, view)
        decision = authorize(identity, verb, resource, namespace, name, subresource)
        if decision.allowed:
            return True
        raise exceptions.PermissionDenied(denial(identity, verb, resource, namespace, subresource, decision.reason))


def identity_of(request: Request) -> Identity | None:
    """The identity of a REST request, or None."""
    return request.auth if isinstance(request.auth, Identity) else None


def required(request: Request, view: APIView) -> tuple[str, str, str, str, str]:
    """Return what the view's request must be allowed to do."""
    hook = getattr(view, "required", None)
    if hook is not None:
        asked = tuple(hook(request))
        return (*asked, *("",) * (5 - len(asked)))
    resource = getattr(view, "resource", "")
    if not resource:
        raise exceptions.PermissionDenied(f"{type(view).__name__} names no resource, so nobody may use it")
    subresource = getattr(view, "subresource", "")
    return VERBS.get(request.method or "", "get"), resource, "", "", subresource


def denial(identity: Identity, verb: str, resource: str, namespace: str, subresource: str, reason: str) -> str:
    """Say who may not do what where, in Kubernetes' words."""
    plural, _, group = resource.partition(".")
    what = f"{plural}/{subresource}" if subresource else plural
    place = f'in the namespace "{namespace}"' if namespace else "at the cluster scope"
    who = f'User "{identity.name}" cannot {verb} resource "{what}"'
    text = f'{resource} is forbidden: {who} in API group "{group}" {place}'
    return f"{text}: {reason}" if reason else text


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
