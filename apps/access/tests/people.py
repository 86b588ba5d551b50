"""People of the tests: alice may do everything, bob edits one namespace, vera looks, charlie may nothing."""

from collections.abc import Callable
from typing import Any, TypeVar

from django.db import connection

from apps.access import authorize, identity
from apps.access.identity import Identity
from apps.access.models import RoleGrant, User
from apps.access.tokens import make_token
from apps.store import pool

T = TypeVar("T")


def person(name: str, role: str = "", namespace: str = "", **options: Any) -> User:
    """A user with a role."""
    user = User.objects.create_user(name, password="quite-a-long-password", **options)
    if role:
        RoleGrant.objects.create(user=user, role=role, namespace=namespace)
    authorize.forget()
    identity.forget()
    return user


async def in_thread(function: Callable[..., T], *arguments: Any) -> T:
    """Run something with the ORM from an event loop, in a thread that leaves no connection open."""

    def run() -> T:
        try:
            return function(*arguments)
        finally:
            connection.close()

    return await pool.in_thread(run)


def identity_of(user: User) -> Identity:
    """The identity that a token of this user gives."""
    _, secret = make_token(user, "test")
    found = identity.authenticate_now(scope(bearer=secret))
    assert found is not None
    return found


def node(name: str = "n1") -> Identity:
    """The identity that a node's certificate gives."""
    groups = frozenset({"system:nodes", "system:authenticated"})
    return Identity(f"system:node:{name}", groups, "", "certificate")


def scope(
    *,
    bearer: str = "",
    cookie: str = "",
    listener: str = "console",
    method: str = "GET",
    der: bytes = b"",
    **headers: str,
) -> dict[str, Any]:
    """An ASGI scope."""
    pairs = {"host": "127.0.0.1:8000", **{name.replace("_", "-"): value for name, value in headers.items()}}
    if bearer:
        pairs["authorization"] = f"Bearer {bearer}"
    if cookie:
        pairs["cookie"] = cookie
    made: dict[str, Any] = {
        "type": "http",
        "method": method,
        "scheme": "http",
        "path": "/",
        "headers": [(name.encode(), value.encode()) for name, value in pairs.items()],
        "gantry.listener": listener,
    }
    if der:
        made["extensions"] = {"tls": {"client_certificate": der}}
    return made
