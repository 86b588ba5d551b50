"""A container's log, followed from its node to a tab: across restarts of the container, resuming after line n.

→ params {namespace, pod, container, tail, previous, uid, attempt, from_line}: the last three resume
← lines {lines: [{n, t, s, x, p, a}]} | log-state {state, message}, of which the state is one of
  "following" (with the pod's uid), "waiting", "ended" (this run), "gone" (the pod), "lost" (ask again)
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import httpx2
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
PATIENCE_SECONDS = 3.0
_NUMBERS = ("tail", "attempt", "from_line")


class LogSubscription:
    """The log of one container of one pod."""

    def __init__(self, viewer: Viewer, params: Mapping[str, Any]) -> None:
        self._viewer = viewer
        self._namespace, self._pod, self._container = (
            str(params.get(name) or "") for name in ("namespace", "pod", "container")
        )
        self._previous = bool(params.get("previous"))
        self._uid = str(params.get("uid") or "")
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
        pod = await self._find()
        subscription = log_reader().subscribe(0 if pod is None else pod.revision, frozenset({"Pod"}))
        seen: tuple[str, int] | None = None
        try:
            while pod is not None:
                run = _run_of(pod, self._container)
                if run is None:
                    await send(_state("waiting", _("The container has not started yet.")))
                elif run != seen:
                    attempt = self._attempt_to_read(pod, run[1])
                    if not await self._stream(send, pod, attempt, run[1]) or self._previous:
                        return
                    self._numbers.clear()
                    if attempt < run[1]:
                        continue
                    seen = run
                # A stream that ended though its container runs is one that its node has dropped.
                patience = PATIENCE_SECONDS if seen == run and _runs(pod, self._container) else None
                changed = await self._next_change(subscription, patience)
                pod = await self._find()
                if not changed and pod is not None and _runs(pod, self._container):
                    await send(_state("lost", _("The node ended the log although the container runs.")))
                    return
        finally:
            subscription.close()
        await send(_state("gone", _("The pod is gone; these are its last lines.")))

    def _attempt_to_read(self, pod: Stored, newest: int) -> int:
        """The run to begin with: an older one if that is where the tab has got to in this very pod."""
        if self._uid and self._uid != pod.uid:
            self._numbers.clear()
        return min(self._numbers.pop("attempt", newest), newest)

    async def _stream(self, send: Send, pod: Stored, attempt: int, newest: int) -> bool:
        """Follow one run to its end; False when the node could not be reached and the tab has to ask again."""
        try:
            node = await get_async("Node", "", str(pod.object["spec"]["nodeName"]))
            if node is None:
                raise Refused(_("The node of this pod is gone, and its logs with it."))
            query = self._query(attempt, newest)
            async with open_logs(endpoint_of(node.object), pod.uid, self._container, query) as pieces:
                await send({**_state("following", ""), "uid": pod.uid})
                async for lines in _lines(pieces):
                    await send({"type": "lines", "lines": lines})
        except (ApiError, httpx2.HTTPError) as error:
            if isinstance(error, ApiError) and error.code < 500 and (self._previous or attempt < newest):
                # That run's log is not kept any more.
                await send(_state("ended", str(error)))
                return True
            await send(_state("lost", str(error)))
            return False
        await send(_state("ended", _("This run of the container has ended.")))
        return True

    def _query(self, attempt: int, newest: int) -> list[tuple[str, str]]:
        older = self._previous or attempt < newest
        query = [("format", "ndjson"), ("follow", "false" if older else "true")]
        if self._previous:
            query.append(("previous", "true"))
        elif older:
            query.append(("attempt", str(attempt)))
        return [*query, *((name, str(value)) for name, value in self._numbers.items())]

    async def _find(self) -> Stored | None:
        return await get_async("Pod", self._namespace, self._pod)

    async def _next_change(self, subscription: Any, patience: float | None) -> bool:
        """Wait until the pod may have changed; False when nothing came in `patience` seconds."""
        try:
            async with asyncio.timeout(patience):
                while True:
                    changes = await subscription.next_batch()
                    if any(change.namespace == self._namespace and change.name == self._pod for change in changes):
                        return True
        except TimeoutError:
            return False
        except StoreError:
            await asyncio.sleep(RETRY_SECONDS)
            return True


def _state(state: str, message: str) -> dict[str, Any]:
    return {"type": "log-state", "state": state, "message": message}


def _status_of(pod: Stored, container: str) -> dict[str, Any] | None:
    status = pod.object.get("status", {})
    for entry in [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]:
        if entry.get("name") == container:
            return dict(entry)
    return None


def _run_of(pod: Stored, container: str) -> tuple[str, int] | None:
    """The pod and the number of the container's newest run; None before its first."""
    entry = _status_of(pod, container)
    if entry is None or not pod.object.get("spec", {}).get("nodeName"):
        return None
    state = entry.get("state") or {}
    started = "running" in state or "terminated" in state or entry.get("lastState")
    return (pod.uid, int(entry.get("restartCount", 0))) if started else None


def _runs(pod: Stored, container: str) -> bool:
    return "running" in ((_status_of(pod, container) or {}).get("state") or {})


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
