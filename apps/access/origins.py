"""Is this request from a page of this console? Host, Origin and CSRF token of a request; called by everything that
takes a session.

A session cookie is sent by the browser whoever made the request, so an unsafe method needs the CSRF header and an
Origin of ours, a WebSocket (whose handshake has no header of ours) an Origin of ours. A Host that is neither an
address nor a name of ours is somebody's name that leads here (DNS rebinding).
"""

import ipaddress
from functools import lru_cache
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.http.request import split_domain_port, validate_host
from django.middleware.csrf import InvalidTokenFormat, _check_token_format, _does_token_match  # type: ignore[attr-defined]

from nodeworker.wire.instance import Instance

Scope = Any
_SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})


def header(scope: Scope, name: bytes) -> str:
    """The value of a header, the first when there are several; empty when there is none."""
    for key, value in scope.get("headers") or ():
        if key == name:
            return str(value, "latin-1")
    return ""


def host_is_ours(scope: Scope) -> bool:
    """Say whether the Host header is an address, localhost, or a name of this instance."""
    name, _ = split_domain_port(header(scope, b"host"))
    return bool(name) and (_is_address(name) or validate_host(name, list(own_names())))


def check_origin(scope: Scope) -> bool:
    """Say whether the request comes from a page of ours; for unsafe methods the CSRF token counts too."""
    if scope["type"] == "websocket":
        return origin_is_ours(scope)
    if scope.get("method", "GET") in _SAFE:
        return True
    return origin_is_ours(scope) and _csrf_token_matches(scope)


def origin_is_ours(scope: Scope) -> bool:
    """Say whether Origin is the address that this request was sent to, or the public address."""
    origin = header(scope, b"origin").lower()
    if not origin or not host_is_ours(scope):
        return False
    scheme = {"ws": "http", "wss": "https"}.get(scope.get("scheme", "http"), scope.get("scheme", "http"))
    return origin in {f"{scheme}://{header(scope, b'host').lower()}", *_public_origins()}


def own_names() -> tuple[str, ...]:
    """The host names under which this instance may be asked."""
    public = urlsplit(settings.GANTRY_PUBLIC_URL).hostname
    names = [name for name in settings.ALLOWED_HOSTS if name != "*"]
    return ("localhost", *names, *_configured_names(str(settings.GANTRY_HOME)), *((public,) if public else ()))


@lru_cache(maxsize=4)
def _configured_names(home: str) -> tuple[str, ...]:
    try:
        instance = Instance.load(Path(home))
    except (OSError, ValueError):
        return ()
    public = urlsplit(instance.public_url).hostname
    listen, _ = split_domain_port(instance.listen)
    return tuple(name for name in (listen, instance.address, public) if name)


def _public_origins() -> tuple[str, ...]:
    parts = urlsplit(settings.GANTRY_PUBLIC_URL.lower())
    return (f"{parts.scheme}://{parts.netloc}",) if parts.netloc else ()


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True


def _csrf_token_matches(scope: Scope) -> bool:
    token = header(scope, b"x-csrftoken")
    try:
        cookie = SimpleCookie(header(scope, b"cookie")).get(settings.CSRF_COOKIE_NAME)
        secret = cookie.value if cookie else ""
        _check_token_format(token)
        _check_token_format(secret)
    except (InvalidTokenFormat, CookieError):
        return False
    return bool(_does_token_match(token, secret))
