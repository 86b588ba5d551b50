"""The base of everything under /rest/v1/: who asks and whether they may. Errors are `rest_errors`.

A view names its `resource` ("images"); the verb comes from the method. `required(request)` may say something finer:
(verb, resource, namespace, name, subresource).

rest_framework.views imports this module while it is loading (its default classes are here), so this one must not import
it.
"""

from typing import TYPE_CHECKING, Any

from rest_framework import exceptions
from rest_framework.authentication import BaseAuthentication
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from apps.access.authorize import authorize
from apps.access.identity import Identity, authenticate_now
from apps.access.models import User
from apps.access.origins import check_origin
from apps.access.scopes import scope_of

if TYPE_CHECKING:
    from rest_framework.views import APIView

VERBS = {
    "GET": "get",
    "HEAD": "get",
    "OPTIONS": "get",
    "POST": "create",
    "PUT": "update",
    "PATCH": "patch",
    "DELETE": "delete",
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

    def has_permission(self, request: Request, view: "APIView") -> bool:
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


def required(request: Request, view: "APIView") -> tuple[str, str, str, str, str]:
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
