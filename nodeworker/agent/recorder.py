"""Events and step timings on their way to the API: queued, batched, never waited for, dropped when the API is away.

A repeated event raises the count of the first one, as kubectl describe shows it ("x3 over 5m").
"""

import logging
import queue
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nodeworker.agent.api import ApiClient, ApiError
from nodeworker.agent.logic.podspec import format_seconds

log = logging.getLogger(__name__)
KEPT = 1000  # events whose count may still rise
REPEAT_WITHIN = 3600.0
# What a start has to tell is sent after it: a request costs the machine as much as one of the steps it tells of.
LINGER = 0.15
LONGEST_QUEUE = 5000
Object = Mapping[str, Any]


@dataclass
class _Sent:
    path: str
    count: int
    at: float


class Recorder:
    """One thread that sends what the others hand to it."""

    def __init__(self, api: ApiClient, node: str) -> None:
        self._api, self._node = api, node
        self._queue: queue.Queue[tuple[str, Any] | None] = queue.Queue(LONGEST_QUEUE)
        self._sent: OrderedDict[tuple[str, ...], _Sent] = OrderedDict()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._put(None)
        self._thread.join(5)

    def event(self, involved: Object, reason: str, message: str, *, warning: bool = False, container: str = "") -> None:
        """Say that something happened to a pod or the node."""
        metadata = involved["metadata"]
        reference = {
            "kind": involved.get("kind") or "Pod",
            "apiVersion": involved.get("apiVersion") or "v1",
            "name": metadata["name"],
            "uid": metadata.get("uid", ""),
        }
        if metadata.get("namespace"):
            reference["namespace"] = metadata["namespace"]
        if container:
            reference["fieldPath"] = f"spec.containers{{{container}}}"
        kind = "Warning" if warning else "Normal"
        self._put(("event", (reference, kind, reason, message[:1024], time.time())))

    def steps(self, pod: Object, container: str, attempt: int, steps: list[dict[str, Any]]) -> None:
        """Tell how long each step of a start took."""
        metadata = pod["metadata"]
        body = {
            "uid": metadata["uid"],
            "namespace": metadata.get("namespace", ""),
            "name": metadata["name"],
            "container": container,
            "attempt": attempt,
            "steps": steps,
        }
        self._put(("steps", body))

    def _put(self, item: tuple[str, Any] | None) -> None:
        try:
            self._queue.put_nowait(item)
        except queue.Full:
            log.warning("too many events wait for the API; one was dropped")

    def _run(self) -> None:
        item = self._queue.get()
        while item is not None:
            self._stopping.wait(LINGER)
            while item is not None:
                self._send(*item)
                try:
                    item = self._queue.get_nowait()
                except queue.Empty:
                    item = self._queue.get()
                    break

    def _send(self, what: str, content: Any) -> None:
        try:
            if what == "event":
                self._send_event(*content)
            else:
                self._api.call("POST", "/rest/v1/steps", content, timeout=5)
        except (OSError, ApiError) as problem:
            log.debug("an event was lost: %s", problem)

    def _send_event(self, reference: dict[str, str], kind: str, reason: str, message: str, now: float) -> None:
        key = (reference["uid"], reference.get("fieldPath", ""), kind, reason, message)
        known = self._sent.get(key)
        moment = format_seconds(now)
        if known is not None and now - known.at < REPEAT_WITHIN:
            known.count, known.at = known.count + 1, now
            patch = {"count": known.count, "lastTimestamp": moment}
            try:
                self._api.call("PATCH", known.path, patch, content_type="application/merge-patch+json", timeout=5)
                return
            except ApiError as problem:
                if problem.code != 404:
                    raise
        namespace = reference.get("namespace", "default")
        name = f"{reference['name']}.{secrets.token_hex(8)}"
        body = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": namespace},
            "involvedObject": reference,
            "type": kind,
            "reason": reason,
            "message": message,
            "count": 1,
            "firstTimestamp": moment,
            "lastTimestamp": moment,
            "source": {"component": "gantry-nodeworker", "host": self._node},
            "reportingComponent": "gantry-nodeworker",
            "reportingInstance": self._node,
        }
        path = f"/api/v1/namespaces/{namespace}/events"
        self._api.call("POST", path, body, timeout=5)
        self._sent[key] = _Sent(f"{path}/{name}", 1, now)
        while len(self._sent) > KEPT:
            self._sent.popitem(last=False)
