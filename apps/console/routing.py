"""The console's WebSocket addresses; mounted by dashboard.asgi."""

from typing import Any

from django.urls import path

from apps.console.consumers import LiveConsumer

websocket_urlpatterns: list[Any] = [path("ws", LiveConsumer.as_asgi())]
