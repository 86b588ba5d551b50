"""Who sends a request: `authenticate(scope)` for the Kubernetes protocol, Django, Channels and the registry alike.

On the console's listener a session cookie or a bearer token counts; on the API's a bearer token or a client
certificate that TLS has verified. What a credential stands for is looked up at most once every few seconds;
`session_alive` asks anew.
"""

import hashlib
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from http.cookies import CookieError, SimpleCookie
from importlib import import_module
from typing import Any, Literal

from cryptography import x509
from cryptography.x509.oid import NameOID
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.db import connection
from django.utils.crypto import constant_time_compare

from apps.access.models import Token, User
from apps.access.origins import check_origin, header, host_is_ours
from apps.store import pool

__all__ = ["Identity", "authenticate", "authenticate_now", "check_origin", "forget", "session_alive"]

Source = Literal["session", "token", "certificate"]
Scope = Any  # an ASGI scope: a mutable mapping whose values are of many types
REMEMBER = 2.0  # seconds; with the connections' own look every 3 s an end is seen within 5
AUTHENTICATED = "system:authenticated"
MASTERS = "system:masters"


@dataclass(frozen=True, slots=True)
class Identity:
    """Somebody who has shown a valid credential."""

    name: str
    groups: frozenset[str]
    uid: str
    source: Source
    expires: datetime | None = None
    session_key: str = ""
    credential: str = ""  # what `session_alive` looks up again: the session's key, the token's sha256

    @property
    def node_name(self) -> str:
        """The node that this is, or the empty text."""
        is_node = self.source == "certificate" and "system:nodes" in self.groups
        return self.name.removeprefix("system:node:") if is_node and self.name.startswith("system:node:") else ""


@dataclass(frozen=True, slots=True)
class _Credential:
    source: Source
    key: str
    der: bytes = b""


_known: dict[_Credential, tuple[float, Identity | None]] = {}
_lock = threading.Lock()
_MOST_KNOWN = 10_000


async def authenticate(scope: Scope) -> Identity | None:
    """Return who sends this request, or None; never raises for a bad credential."""
    credential = _read_credential(scope)
    if credential is None:
        return None
    known, identity = _remembered(credential)
    if not known:
        identity = await pool.in_thread(_load_in_thread, credential)
    return _unexpired(identity)


def authenticate_now(scope: Scope) -> Identity | None:
    """Like `authenticate`, for Django's threads."""
    credential = _read_credential(scope)
    if credential is None:
        return None
    known, identity = _remembered(credential)
    return _unexpired(identity if known else _load(credential))


async def session_alive(identity: Identity) -> bool:
    """Say whether what let `identity` in still does; long-lived connections ask every few seconds."""
    if _unexpired(identity) is None:
        return False
    if identity.source == "certificate":
        return True
    found = await pool.in_thread(_load_in_thread, _Credential(identity.source, identity.credential))
    return found is not None and found.name == identity.name and found.groups == identity.groups


def forget() -> None:
    """Look everything up anew: somebody signed out, or tokens or users changed in this process."""
    with _lock:
        _known.clear()


# Which credential


def _read_credential(scope: Scope) -> _Credential | None:
    bearer = _bearer_token(scope)
    if bearer is not None:
        return _Credential("token", hashlib.sha256(bearer.encode()).hexdigest())
    if scope.get("gantry.listener", "console") == "api":
        der = ((scope.get("extensions") or {}).get("tls") or {}).get("client_certificate")
        return _Credential("certificate", hashlib.sha256(der).hexdigest(), der) if der else None
    # A page that a foreign name leads here (DNS rebinding) must not act with the visitor's session.
    key = _session_key(scope) if host_is_ours(scope) else ""
    return _Credential("session", key) if key else None


def _bearer_token(scope: Scope) -> str | None:
    kind, _, token = header(scope, b"authorization").partition(" ")
    return token.strip() if kind.lower() == "bearer" and token.strip() else None


def _session_key(scope: Scope) -> str:
    try:
        cookie = SimpleCookie(header(scope, b"cookie")).get(settings.SESSION_COOKIE_NAME)
    except CookieError:
        return ""
    return cookie.value if cookie else ""


# What it stands for


def _remembered(credential: _Credential) -> tuple[bool, Identity | None]:
    entry = _known.get(credential)
    if entry is None or time.monotonic() - entry[0] > REMEMBER:
        return False, None
    return True, entry[1]


def _load_in_thread(credential: _Credential) -> Identity | None:
    """Look up in a thread of the read pool, whose own Django connection must not linger."""
    try:
        return _load(credential)
    finally:
        connection.close()


def _load(credential: _Credential) -> Identity | None:
    match credential.source:
        case "token":
            identity = _of_token(credential.key)
        case "session":
            identity = _of_session(credential.key)
        case "certificate":
            identity = _of_certificate(credential.der)
    with _lock:
        if len(_known) > _MOST_KNOWN:
            _known.clear()  # somebody tries keys; what is real is looked up again
        _known[credential] = (time.monotonic(), identity)
    return identity


def _of_token(sha256: str) -> Identity | None:
    token = Token.objects.select_related("user").filter(sha256=sha256).first()
    if token is None or not token.user.is_active:
        return None
    return _of_user(token.user, "token", expires=token.expires, credential=sha256)


def _of_session(key: str) -> Identity | None:
    session = import_module(settings.SESSION_ENGINE).SessionStore(key)
    found = session.load()
    if BACKEND_SESSION_KEY not in found or session.session_key != key:
        return None
    user = User.objects.filter(pk=found.get(SESSION_KEY), is_active=True).first()
    if user is None or not constant_time_compare(found.get(HASH_SESSION_KEY, ""), user.get_session_auth_hash()):
        return None  # the password was changed since
    return _of_user(user, "session", expires=session.get_expiry_date(), credential=key)


def _of_user(user: User, source: Source, *, expires: datetime | None, credential: str) -> Identity:
    # "system:" is not for people: a group of that name must not make a master or a node.
    groups = {name for name in user.groups.values_list("name", flat=True) if not name.startswith("system:")}
    groups.add(AUTHENTICATED)
    if user.is_superuser:
        groups.add(MASTERS)
    session_key = credential if source == "session" else ""
    return Identity(user.username, frozenset(groups), str(user.pk), source, expires, session_key, credential)


def _of_certificate(der: bytes) -> Identity | None:
    """Read common name and organisations; the certificate itself was verified by TLS."""
    try:
        certificate = x509.load_der_x509_certificate(der)
        names = [str(part.value) for part in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
        groups = {str(part.value) for part in certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)}
    except ValueError:
        return None
    if len(names) != 1:
        return None
    groups.add(AUTHENTICATED)
    return Identity(names[0], frozenset(groups), "", "certificate", certificate.not_valid_after_utc)


def _unexpired(identity: Identity | None) -> Identity | None:
    if identity is None or (identity.expires is not None and identity.expires <= datetime.now(UTC)):
        return None
    return identity
