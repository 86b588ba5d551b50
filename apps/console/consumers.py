"""/ws: one socket a tab. Subscriptions to lists, pages and logs; raw JSON.

    → subscribe {id, view, params, from_revision} | window {id, start, count} | unsubscribe {id} | pong
    ← rows {id, revision, start, keys, upsert, remove, total} | html {id, revision, html} | lines {id, lines}
    ← behind {id} | error {id, message, gone} | ping

Nothing is queued for a slow client: each subscription has one task that sends, waits for the socket, and then sends
what differs from what it sent last.
"""

import asyncio
import contextlib
import logging
from typing import Any

import msgspec
from channels.exceptions import DenyConnection, StopConsumer
from channels.generic.websocket import AsyncWebsocketConsumer
from django.utils.translation import gettext as _

from apps.access.identity import authenticate, check_origin, session_alive
from apps.console.live.subscriptions import Refused, Subscription, open_subscription
from apps.console.viewer import Viewer

logger = logging.getLogger(__name__)
PING_SECONDS = 20.0
CHECK_SECONDS = 4.0
MOST_SUBSCRIPTIONS = 40
SIGNED_OUT = 4401
FOREIGN_ORIGIN = 4403
BAD_MESSAGE = 4400


class Incoming(msgspec.Struct):
    """What a browser may say."""

    type: str
    id: int = 0
    view: str = ""
    params: dict[str, Any] = {}
    from_revision: int = 0
    start: int = 0
    count: int = 0


_decode = msgspec.json.Decoder(Incoming).decode
_encode = msgspec.json.Encoder().encode


class LiveConsumer(AsyncWebsocketConsumer):  # type: ignore[misc]
    """One tab."""

    viewer: Viewer

    async def connect(self) -> None:
        """Let in who is signed in and comes from our own pages."""
        self._subscriptions: dict[int, Subscription] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._guard: asyncio.Task[None] | None = None
        self._sending = asyncio.Lock()
        if not check_origin(self.scope):
            raise DenyConnection
        identity = await authenticate(self.scope)
        await self.accept()
        if identity is None:
            await self.close(code=SIGNED_OUT)
            return
        self.viewer = Viewer(identity)
        await self.viewer.refresh()
        self._guard = asyncio.create_task(self._watch_over())

    async def disconnect(self, code: int) -> None:
        """End everything that this tab had."""
        if self._guard:
            self._guard.cancel()
        for task in self._tasks.values():
            task.cancel()

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """Read one message of the browser."""
        try:
            message = _decode((text_data or "").encode() or bytes_data or b"")
        except msgspec.MsgspecError:
            await self.close(code=BAD_MESSAGE)
            return
        if message.type == "subscribe":
            await self._subscribe(message)
        elif message.type == "unsubscribe":
            self._end(message.id)
        elif message.type == "window" and message.id in self._subscriptions:
            self._subscriptions[message.id].move(message.start, message.count)

    async def _subscribe(self, message: Incoming) -> None:
        self._end(message.id)
        if len(self._tasks) >= MOST_SUBSCRIPTIONS:
            await self._send({"type": "error", "id": message.id, "message": _("Too many live views in one tab.")})
            return
        try:
            subscription = open_subscription(self.viewer, message.view, message.params, message.from_revision)
        except Refused as refusal:
            await self._send({"type": "error", "id": message.id, "gone": True, "message": str(refusal)})
            return
        self._subscriptions[message.id] = subscription
        self._tasks[message.id] = asyncio.create_task(self._run(message.id, subscription))

    async def _run(self, number: int, subscription: Subscription) -> None:
        async def send(body: dict[str, Any]) -> None:
            await self._send({**body, "id": number})

        try:
            await subscription.run(send)
        except Refused as refusal:
            await send({"type": "error", "gone": True, "message": str(refusal)})
        except asyncio.CancelledError:
            raise
        except Exception:
            logger.exception("the live view %s failed", subscription)
            with contextlib.suppress(Exception):
                await send(
                    {
                        "type": "error",
                        "message": _("This view failed on the server; its log says why. Reload the page to try again."),
                    }
                )

    def _end(self, number: int) -> None:
        self._subscriptions.pop(number, None)
        if task := self._tasks.pop(number, None):
            task.cancel()

    async def _watch_over(self) -> None:
        """Ping, and look every few seconds whether all this is still allowed."""
        silent = 0.0
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            if not await session_alive(self.viewer.identity):
                await self.close(code=SIGNED_OUT)
                return
            await self.viewer.refresh()
            for number, subscription in list(self._subscriptions.items()):
                if not subscription.allowed():
                    self._end(number)
                    await self._send({"type": "error", "id": number, "gone": True, "message": _("Not found.")})
            silent += CHECK_SECONDS
            if silent >= PING_SECONDS - CHECK_SECONDS:
                silent = 0.0
                await self._send({"type": "ping"})

    async def _send(self, message: dict[str, Any]) -> None:
        async with self._sending:
            await self.send(text_data=_encode(message).decode())

    async def websocket_disconnect(self, message: dict[str, Any]) -> None:
        """As Channels does, without touching a channel layer that the console has none of."""
        await self.disconnect(message.get("code", 1005))
        raise StopConsumer
