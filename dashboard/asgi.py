"""The one ASGI application of the web process: who answers which path.

Served by `dashboard.server` on both listeners. The Kubernetes protocol goes to the lean application of `apps.api`
without Django's request machinery; `/ws` goes to Channels; everything else is Django.
"""

import os
from importlib import import_module
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dashboard.settings.production")
django.setup(set_prefix=False)

from channels.routing import URLRouter  # noqa: E402
from django.core.handlers.asgi import ASGIHandler  # noqa: E402

from apps.api.application import application as kubernetes_application  # noqa: E402
from apps.api.asgi import Receive, Scope, Send  # noqa: E402
from apps.images import upload  # noqa: E402

KUBERNETES_ROOTS = frozenset({"api", "apis", "openapi", "version", "livez", "readyz", "healthz"})

_django: Any = ASGIHandler()
_websockets: Any = URLRouter(import_module("apps.console.routing").websocket_urlpatterns)


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Hand the request to the part that owns the first element of its path."""
    if scope["type"] not in ("http", "websocket"):
        return
    path: str = scope["path"]
    root = path.split("/", 2)[1] if path.startswith("/") else ""
    if root in KUBERNETES_ROOTS:
        await kubernetes_application(scope, receive, send)
    elif scope["type"] == "http" and path == upload.PATH and scope["method"] == "POST":
        await upload.application(scope, receive, send)  # Django would store gigabytes before it looked at them
    elif scope["type"] == "http":
        await _django(scope, receive, send)
    elif root == "ws":
        await _serve_console_socket(scope, receive, send)
    else:
        await _refuse_socket(receive, send)


async def _serve_console_socket(scope: Scope, receive: Receive, send: Send) -> None:
    try:
        await _websockets(scope, receive, send)
    except ValueError as error:  # URLRouter has no better name for "no route"
        if "No route found" not in str(error):
            raise
        await _refuse_socket(receive, send)


async def _refuse_socket(receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "websocket.close", "code": 4404})
