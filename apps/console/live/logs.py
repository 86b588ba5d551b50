"""A container's log, followed from its node to a tab: across restarts of the container, resuming after line n.

→ params {namespace, pod, container, tail, previous, attempt, from_line}
← lines {lines: [{n, t, s, x, p, a}]} | log-state {state: "waiting" | "ended" | "gone", message}
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import msgspec
from django.utils.translation import gettext as _

from apps.console.live.refused import Refused
from apps.console.viewer import Viewer
from apps.kinds.status import ApiError
from apps.nodes.streaming_client import endpoint_of, open_logs
from apps.store.errors import StoreError
from apps.store.log import log_reader
from apps.store.read import get_async
from apps.store.rows import Stored

Send = Callable[[dict[str, Any]], Awaitable[None]]
MOST_LINES = 2000
RETRY_SECONDS = 2.0
_NUMBERS = ("tail", "attempt", "from_line")


class LogSubscription:
    """The log of one container of one pod."""

    def __init__(self, viewer: Viewer, params: Mapping[str, Any]) -> None:
        self._viewer = viewer
        self._namespace, self._pod, self._container = (
            str(params.get(name) or "") for name in ("namespace", "pod", "container")
        )
        self._previous = bool(params.get("previous"))
        self._numbers: dict[str, int] = {}
        for name in _NUMBERS:
            if params.get(name) not in (None, ""):
                try:
                    self._numbers[name] = int(params[name])
                except (TypeError, ValueError) as error:
                    raise Refused(_("%s must be a number.") % name) from error

    def allowed(self) -> bool:
        """Whether the viewer may read logs in that namespace."""
        return self._viewer.may("get", "pods", self._namespace, self._pod, "log")

    def move(self, start: int, count: int) -> None:
        """Logs have no window."""

    async def run(self, send: Send) -> None:
        """Follow the present run of the container, then the next one, until the pod is gone."""
        subscription = log_reader().subscribe(
            0 if (pod := await self._find()) is None else pod.revision, frozenset({"Pod"})
        )
        seen: tuple[str, int] | None = None
        try:
            while pod is not None:
                run = self._run_of(pod)
                if run is None:
                    await send(
                        {"type": "log-state", "state": "waiting", "message": _("The container has not started yet.")}
                    )
                elif run != seen:
                    seen = run
                    if not await self._stream(send, pod):
                        seen = None
                    if self._previous:
                        return
                    self._numbers.pop("tail", None)
                    self._numbers.pop("from_line", None)
                    self._numbers.pop("attempt", None)
                await self._next_change(subscription)
                pod = await self._find()
        finally:
            subscription.close()
        await send({"type": "log-state", "state": "gone", "message": _("The pod is gone; these are its last lines.")})

    async def _stream(self, send: Send, pod: Stored) -> bool:
        """Follow one run to its end; False when the node could not be reached and it has to be tried again."""
        try:
            node = await get_async("Node", "", str(pod.object["spec"]["nodeName"]))
            if node is None:
                raise Refused(_("The node of this pod is gone, and its logs with it."))
            async with open_logs(endpoint_of(node.object), pod.uid, self._container, self._query()) as pieces:
                async for lines in _lines(pieces):
                    await send({"type": "lines", "lines": lines})
        except ApiError as error:
            await send({"type": "log-state", "state": "waiting", "message": str(error)})
            await asyncio.sleep(RETRY_SECONDS)
            return False
        await send({"type": "log-state", "state": "ended", "message": _("This run of the container has ended.")})
        return True

    def _query(self) -> list[tuple[str, str]]:
        query = [("format", "ndjson"), ("follow", "false" if self._previous else "true")]
        if self._previous:
            query.append(("previous", "true"))
        return [*query, *((name, str(value)) for name, value in self._numbers.items())]

    async def _find(self) -> Stored | None:
        return await get_async("Pod", self._namespace, self._pod)

    def _run_of(self, pod: Stored) -> tuple[str, int] | None:
        status = pod.object.get("status", {})
        for entry in [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]:
            if entry.get("name") == self._container and pod.object.get("spec", {}).get("nodeName"):
                state = entry.get("state") or {}
                started = "running" in state or "terminated" in state or entry.get("lastState")
                return (pod.uid, int(entry.get("restartCount", 0))) if started else None
        return None

    async def _next_change(self, subscription: Any) -> None:
        while True:
            try:
                changes = await subscription.next_batch()
            except StoreError:
                await asyncio.sleep(RETRY_SECONDS)
                return
            if any(change.namespace == self._namespace and change.name == self._pod for change in changes):
                return


async def _lines(pieces: AsyncIterator[bytes]) -> AsyncIterator[list[msgspec.Raw]]:
    """Whole ndjson lines, as many at a time as have arrived; they pass through without being decoded."""
    rest = b""
    async for piece in pieces:
        whole, newline, tail = (rest + piece).rpartition(b"\n")
        rest = tail
        if not newline:
            continue
        lines = [msgspec.Raw(line) for line in whole.split(b"\n") if line]
        for start in range(0, len(lines), MOST_LINES):
            yield lines[start : start + MOST_LINES]
