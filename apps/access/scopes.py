"""The ASGI scope of a Django request, whichever handler made it; used by `rest`, `middleware` and the views."""

from typing import Any

from django.http import HttpRequest


def scope_of(request: HttpRequest) -> Any:
    """Return the request's ASGI scope. Django's synchronous test client has none: it gets one of the same headers."""
    scope = getattr(request, "scope", None)
    if scope is not None:
        return scope
    headers = [(name.lower().encode(), value.encode("latin-1", "replace")) for name, value in request.headers.items()]
    if not any(name == b"host" for name, _ in headers):
        headers.append((b"host", request.META.get("SERVER_NAME", "").encode()))
    return {
        "type": "http",
        "method": request.method,
        "headers": headers,
        "scheme": request.scheme,
        "path": request.path,
    }
