"""The addresses of this node's pods, kept on disk: HOME/node/addresses.json. Called by agent/applying.py."""

import contextlib
import threading
from collections.abc import Iterable
from pathlib import Path

import msgspec

from nodeworker.network.addresses import Addresses, adopt, allocate, release
from nodeworker.network.rules import NodeNetwork
from nodeworker.runtime.specs import PodNetwork, PodState


class PodAddresses:
    """Hands out each pod's place on the bridge."""

    def __init__(self, home: Path, network: NodeNetwork, mtu: int) -> None:
        self._path, self._network, self._mtu = home / "addresses.json", network, mtu
        self._lock = threading.Lock()
        self._addresses = Addresses(network.node_cidr)
        with contextlib.suppress(OSError, msgspec.MsgspecError):
            known = msgspec.json.decode(self._path.read_bytes(), type=Addresses)
            if known.cidr == network.node_cidr:
                self._addresses = known

    def adopt(self, pods: Iterable[PodState]) -> None:
        """After a start: exactly the pods that are there have addresses."""
        with self._lock:
            living = {pod.uid: pod.network for pod in pods if pod.network is not None and pod.phase == "ready"}
            for uid in set(self._addresses.in_use) - set(living):
                self._addresses = release(self._addresses, uid)
            for uid, network in living.items():
                self._addresses = adopt(self._addresses, uid, network.address.partition("/")[0])
            self._save()

    def allocate(self, uid: str) -> PodNetwork:
        """The pod's network; raises OutOfAddresses."""
        with self._lock:
            changed = allocate(self._addresses, uid)
            if changed is not self._addresses:
                self._addresses = changed
                self._save()
            number = self._addresses.in_use[uid]
            address = self._addresses.address(number)
        prefix = self._network.node_cidr.partition("/")[2]
        return PodNetwork(
            address=f"{address}/{prefix}",
            gateway=self._network.gateway,
            bridge=self._network.bridge,
            host_interface=f"{self._network.interface_prefix}{number:x}",
            mtu=self._mtu,
            mac="0a:58:" + ":".join(f"{int(part):02x}" for part in address.split(".")),
        )

    def release(self, uid: str) -> None:
        with self._lock:
            changed = release(self._addresses, uid)
            if changed is not self._addresses:
                self._addresses = changed
                self._save()

    def _save(self) -> None:
        scratch = self._path.with_suffix(".new")
        scratch.write_bytes(msgspec.json.encode(self._addresses))
        scratch.replace(self._path)
