"""Keeps the packet rules in step with Services and EndpointSlices: changes are gathered for a moment, then applied."""

import logging
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from nodeworker.network.host import NetworkError, apply_rules, open_foreign_firewalls
from nodeworker.network.rules import NodeNetwork
from nodeworker.network.services import ServicePort, service_ports

log = logging.getLogger(__name__)
Object = dict[str, Any]
GATHER = 0.01  # a rollout changes many endpoints within milliseconds
RETRY_AFTER = 2.0
RESYNC = 600.0


class ServiceRules:
    """One thread that replaces the rules."""

    def __init__(
        self, network: NodeNetwork, services: Callable[[], Iterable[Object]], slices: Callable[[], Iterable[Object]]
    ) -> None:
        self._network, self._services, self._slices = network, services, slices
        self._changed = threading.Event()
        self._stop = threading.Event()
        self._applied: list[ServicePort] | None = None
        self._thread = threading.Thread(target=self._run, name="service-rules", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._changed.set()
        self._thread.join(5)

    def changed(self, *_event: Any) -> None:
        """Something about services is different. From any thread, at once."""
        self._changed.set()

    def _run(self) -> None:
        wait = RESYNC
        while True:
            woken = self._changed.wait(wait)
            if self._stop.is_set():
                return
            if woken:
                time.sleep(GATHER)
            self._changed.clear()
            try:
                self.apply(force=not woken)
                wait = RESYNC
            except (NetworkError, OSError) as problem:
                log.warning("service rules: %s", problem)
                wait = RETRY_AFTER

    def apply(self, *, force: bool = False) -> None:
        """Bring the rules to what the services want now."""
        ports = service_ports(list(self._services()), list(self._slices()))
        if force:
            open_foreign_firewalls(self._network.bridge)
        elif ports == self._applied:
            return
        apply_rules(self._network, ports)
        self._applied = ports
