"""One pod's reconcile step: observe, plan, apply, until nothing is left to do; then its status. The heart of the agent.

Everything that notices something about a pod ends in `PodSync.sync(uid)`, through the queue of agent/queueing.py.
"""

import logging
import time
from collections.abc import Callable
from typing import Any

from nodeworker.agent.api import STRATEGIC, ApiClient, ApiError, pod_path
from nodeworker.agent.applying import ActionFailed, Applier, seen_container
from nodeworker.agent.hooks import Hooks
from nodeworker.agent.logic import podspec
from nodeworker.agent.logic.actions import PullImage
from nodeworker.agent.logic.observed import PodSeen, View
from nodeworker.agent.logic.plan import plan
from nodeworker.agent.logic.status import compute_status, differs
from nodeworker.agent.memory import MemoryStore
from nodeworker.agent.probing import Probing
from nodeworker.agent.pulling import Pulling
from nodeworker.runtime.runtime import Runtime

log = logging.getLogger(__name__)
Object = dict[str, Any]
MOST_ROUNDS = 12
RETRY_STATUS = 2.0


class PodSync:
    """Brings one pod at a time to what its object wants."""

    applier: Applier  # set by agent.py: each needs the other

    def __init__(
        self,
        *,
        runtime: Runtime,
        api: ApiClient,
        pulling: Pulling,
        probing: Probing,
        hooks: Hooks,
        memory: MemoryStore,
        pod_of: Callable[[str], Object | None],
        put_pod: Callable[[Object], None],
        wake_at: Callable[[str, float], None],
        host_address: str,
    ) -> None:
        self.runtime, self.api, self.pulling, self.probing, self.memory = runtime, api, pulling, probing, memory
        self.pod_of, self.put_pod, self.wake_at, self.host_address = pod_of, put_pod, wake_at, host_address
        self.hooks = hooks
        self.volumes_changed: set[str] = set()

    def sync(self, uid: str) -> None:
        """Look at the pod and do what is due. One thread a pod at a time."""
        pod = self.pod_of(uid)
        if pod is not None:
            self._first_seen(uid, pod)
            self._take_news(uid, pod)
        wake_at: float | None = None
        for _round in range(MOST_ROUNDS):
            view = self.observe(uid)
            now = time.time()
            planned = plan(view, now)
            wake_at = planned.wake_at
            if not planned.actions:
                break
            log.debug("pod %s: %s", uid, planned.actions)
            self._apply(uid, planned.actions, view)
            if pod is not None and any(isinstance(action, PullImage) for action in planned.actions):
                self.applier.settle_pulls(uid, pod)
        else:
            wake_at = time.time() + 1.0
        if not self._finish(uid):
            wake_at = min(wake_at or time.time() + RETRY_STATUS, time.time() + RETRY_STATUS)
        if wake_at is not None:
            self.wake_at(uid, wake_at)

    def observe(self, uid: str) -> View:
        """What there is now."""
        state = self.runtime.pod(uid)
        observed = None
        if state is not None:
            observed = PodSeen(
                uid,
                alive=state.phase == "ready",
                containers=tuple(seen_container(entry) for entry in state.containers),
                address=state.network.address.partition("/")[0] if state.network else "",
            )
        pod = self.pod_of(uid)
        return View(
            pod=pod,
            observed=observed,
            memory=self.memory.get(uid),
            images=self.pulling.seen(uid),
            probes=self.probing.results(pod, observed) if pod is not None and observed is not None else {},
            hooks=self.hooks.seen(uid, self.memory.get(uid).hooks),
            host_address=self.host_address,
        )

    def write_status(self, uid: str) -> bool:
        """Tell the API the pod's status if it does not know it. False: it could not be told, try again."""
        view = self.observe(uid)
        if view.pod is None:
            return True
        status = compute_status(view.pod, view, time.time())
        if not differs(view.pod, status):
            return True
        namespace, name = podspec.name_of(view.pod)
        body = {"metadata": {"uid": uid}, "status": status}
        try:
            answer = self.api.call("PATCH", pod_path(namespace, name, "status"), body, content_type=STRATEGIC)
        except ApiError as problem:
            if problem.code in (404, 409):
                return True  # gone, or another pod of this name: the watch will say so
            log.warning("status of pod %s/%s: %s", namespace, name, problem)
            return False
        except OSError as problem:
            log.debug("status of pod %s/%s: %s", namespace, name, problem)
            return False
        self.put_pod(answer)
        return True

    def _first_seen(self, uid: str, pod: Object) -> None:
        if not self.memory.get(uid).started_at:
            known = podspec.parse_seconds((pod.get("status") or {}).get("startTime"))
            self.memory.change(uid, started_at=known or time.time(), address=_known_address(pod))

    def _take_news(self, uid: str, pod: Object) -> None:
        """Results that came while nobody looked: ended pulls, changed ConfigMaps."""
        for container in podspec.all_containers(pod):
            self.applier.pull_ended(pod, str(container["name"]))
        if uid in self.volumes_changed:
            self.volumes_changed.discard(uid)
            # What was missing may be there now: do not wait for the back-off.
            self.memory.change(uid, failures={})
            if self.runtime.pod(uid) is not None:
                self.applier.refresh_volumes(uid, pod)

    def _apply(self, uid: str, actions: Any, view: View) -> None:
        for action in actions:
            try:
                self.applier.apply(uid, action, view)
            except ActionFailed as problem:
                if str(problem):
                    log.info("pod %s: %s: %s", uid, type(action).__name__, problem)
                return

    def _finish(self, uid: str) -> bool:
        """Status, probes, memory. False when the status could not be written."""
        view = self.observe(uid)
        if view.pod is None:
            self.probing.forget(uid)
            if view.observed is None:
                self.applier.forget(uid)
            else:
                self.memory.flush(uid)
            return True
        self.probing.update(view.pod, view.observed)
        written = self.write_status(uid)
        self.memory.flush(uid)
        return written


def _known_address(pod: Object) -> str:
    return str((pod.get("status") or {}).get("podIP") or "")
