"""ConfigMaps and Secrets that pods of this node use: fetched by the node's identity, then watched one by one.

Only what a pod here refers to is asked for (the node rule allows no more). A change wakes the pods that use it.
"""

import asyncio
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import quote

from nodeworker.agent.api import ApiClient, ApiError, named_path
from nodeworker.agent.loop import LoopThread
from nodeworker.agent.watching import Watch

Reference = tuple[str, str, str]  # ConfigMap or Secret, namespace, name
PLURALS = {"ConfigMap": "configmaps", "Secret": "secrets"}


class ReferencedObjects:
    """The objects in use, each with a watch of its own for as long as a pod needs it."""

    def __init__(self, api: ApiClient, loop: LoopThread, wake: Callable[[str], None]) -> None:
        self._api, self._loop, self._wake = api, loop, wake
        self._lock = threading.Lock()
        self._users: dict[Reference, set[str]] = defaultdict(set)
        self._watches: dict[Reference, tuple[Watch, asyncio.Task[None]]] = {}

    def get(self, kind: str, namespace: str, name: str) -> dict[str, Any] | None:
        """The object as it is now; None when it does not exist. OSError or ApiError when that cannot be known."""
        known = self._watches.get((kind, namespace, name))
        if known is not None and known[0].connected and known[0].synced.is_set():
            return known[0].objects.get((namespace, name))
        try:
            found: dict[str, Any] = self._api.get(named_path(PLURALS[kind], namespace, name))
            return found
        except ApiError as problem:
            if problem.code == 404:
                return None
            raise

    def use(self, uid: str, references: Iterable[Reference]) -> None:
        """The pod uses exactly these from now on."""
        wanted = set(references)
        with self._lock:
            begun = [reference for reference in wanted if not self._users.get(reference)]
            for reference in wanted:
                self._users[reference].add(uid)
            for reference in [entry for entry, users in self._users.items() if uid in users and entry not in wanted]:
                self._users[reference].discard(uid)
            ended = [reference for reference, users in self._users.items() if not users]
            for reference in ended:
                del self._users[reference]
        for reference in begun:
            self._loop.call(self._begin, reference)
        for reference in ended:
            self._loop.call(self._end, reference)

    def _begin(self, reference: Reference) -> None:
        kind, namespace, name = reference
        if reference in self._watches or reference not in self._users:
            return
        watch = Watch(
            self._api,
            f"/api/v1/namespaces/{quote(namespace)}/{PLURALS[kind]}",
            lambda _verb, _entry: self._changed(reference),
            field_selector=f"metadata.name={name}",
            quiet=True,
        )
        self._watches[reference] = (watch, self._loop.loop.create_task(watch.run()))

    def _end(self, reference: Reference) -> None:
        if reference in self._users:
            return
        known = self._watches.pop(reference, None)
        if known is not None:
            known[1].cancel()

    def _changed(self, reference: Reference) -> None:
        for uid in list(self._users.get(reference, ())):
            self._wake(uid)
