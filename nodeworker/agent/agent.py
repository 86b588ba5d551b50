"""The node agent put together: what starts in which order, and who wakes whom. Started by nodeworker/__main__.py.

watch of this node's pods ─┐
Celery: nodeworker.sync_pod ├─> SyncQueue ─> PodSync.sync(uid): observe, plan, apply, status
exits (Runtime.watch)       │
probes, pulls, timers      ─┘
"""

import asyncio
import logging
import time
from pathlib import Path
from typing import Any

from nodeworker.agent.api import ApiClient, ApiError, pod_path
from nodeworker.agent.applying import Applier
from nodeworker.agent.hooks import Hooks
from nodeworker.agent.logic import podspec
from nodeworker.agent.logic.environment import Surroundings, service_variables, wanted_references
from nodeworker.agent.loop import LoopThread
from nodeworker.agent.memory import MemoryStore
from nodeworker.agent.node import NodeRegistration
from nodeworker.agent.pod_addresses import PodAddresses
from nodeworker.agent.probing import Probing
from nodeworker.agent.pulling import Pulling
from nodeworker.agent.queueing import SyncQueue
from nodeworker.agent.recorder import Recorder
from nodeworker.agent.references import Reference, ReferencedObjects
from nodeworker.agent.service_rules import ServiceRules
from nodeworker.agent.syncing import PodSync
from nodeworker.agent.watching import Watch
from nodeworker.config import NodeConfig
from nodeworker.images.store import ImageStore
from nodeworker.network import host
from nodeworker.network.rules import NodeNetwork
from nodeworker.runtime.errors import ContainerRuntimeError
from nodeworker.runtime.runtime import Runtime
from nodeworker.streaming.server import StreamingServer
from nodeworker.volumes.payload import wanted_by_volume
from nodeworker.volumes.pod_volumes import PodVolumes

log = logging.getLogger(__name__)
Object = dict[str, Any]
LIVELY_RESYNC = 30.0  # pods that are not settled
FULL_RESYNC = 600.0  # all pods, images and firewalls
SYNCED_WITHIN = 30.0


class Agent:
    """Everything that runs in the nodeworker process besides Celery."""

    def __init__(self, config: NodeConfig, runtime: Runtime | None = None) -> None:
        self.config = config
        home = config.node_home
        home.mkdir(parents=True, exist_ok=True)
        self.loop = LoopThread()
        self.api = ApiClient.from_files(config.api, config.ca, config.certificate, config.key)
        self.runtime = runtime or Runtime(home, config.zygote_socket, f"gantry-{config.instance}")
        self.images = ImageStore(home, self.api, Path(config.blobs) if config.blobs else None)
        self.memory = MemoryStore(home)
        self.volumes = PodVolumes(home)
        self.recorder = Recorder(self.api, config.name)
        self.queue = SyncQueue(self.loop, self._sync)
        self.references = ReferencedObjects(self.api, self.loop, self._reference_changed)
        self.pulling = Pulling(self.images, self.queue.add)
        self.probing = Probing(self.loop, self.runtime, self.queue.add, self._unhealthy)
        self.hooks = Hooks(self.loop, self.probing, self.queue.add, self._hook_failed)
        self.registration = NodeRegistration(self.api, config, self.images.images)
        self.streaming = StreamingServer(config, self.runtime, self.loop)
        self._keys: dict[str, tuple[str, str]] = {}
        self._stop_runtime_watch: Any = None
        self.started = self.failed = False  # set by __main__.py

    def start(self) -> None:
        """Bring everything up; returns when pods are being looked after."""
        network = self._node_network("0.0.0.0/32")
        host.block_ranges(network)  # before anything else: no packet for a pod range may leave this machine
        self.loop.start()
        self.recorder.start()
        self._ensure_zygote()
        self.registration.register()
        cidr = self.registration.wait_for_pod_cidr()
        mtu = host.outgoing_mtu()
        self.network = host.prepare(self._node_network(cidr), mtu)
        self.addresses = PodAddresses(self.config.node_home, self.network, mtu)
        self._make_watches()
        self._make_sync()
        self._adopt()
        self._start_watches()
        self.service_rules.start()
        self.service_rules.changed()
        self.registration.start()
        self.streaming.start()
        self.loop.spawn(self._resync())
        log.info("node %s looks after its pods (range %s)", self.config.name, cidr)

    def stop(self) -> None:
        """End the agent; containers run on."""
        self.registration.stop()
        if self._stop_runtime_watch is not None:
            self._stop_runtime_watch()
        self.streaming.stop()
        self.queue.close()
        self.pulling.close()
        self.service_rules.stop()
        self.recorder.stop()
        self.loop.stop()
        self.api.close()

    def hint(self, key: str) -> None:
        """Celery says: look at the pod `namespace/name`. The step runs in the calling thread."""
        namespace, _, name = key.partition("/")
        pod = self.pods.objects.get((namespace, name))
        if pod is None or not self.pods.connected:
            pod = self._ask_for(namespace, name) or pod
        if pod is not None:
            self.queue.run_now(podspec.uid(pod))

    # What the parts ask each other

    def pod_of(self, uid: str) -> Object | None:
        """The pod's object as this node knows it; None when it is gone from the API or bound elsewhere."""
        key = self._keys.get(uid)
        pod = self.pods.objects.get(key) if key is not None else None
        return pod if pod is not None and podspec.uid(pod) == uid else None

    def put_pod(self, pod: Object) -> None:
        self.pods.put(pod)

    def surroundings(self, pod_address: str) -> Surroundings:
        return Surroundings(self.config.name, self.config.address, pod_address, self.registration.allocatable)

    def service_variables(self, pod: Object) -> dict[str, str]:
        namespace, _ = podspec.name_of(pod)
        links = pod["spec"].get("enableServiceLinks") is not False
        return service_variables(namespace, list(self.services.objects.values()), links=links)

    def forget(self, uid: str) -> None:
        """Nothing of the pod is left here."""
        self.volumes.remove(uid)
        self.addresses.release(uid)
        self.pulling.forget(uid)
        self.hooks.forget(uid)
        self.references.use(uid, ())
        self.memory.forget(uid)
        self._keys.pop(uid, None)

    # Putting it together

    def _node_network(self, node_cidr: str) -> NodeNetwork:
        config = self.config
        base = node_cidr.partition("/")[0].rsplit(".", 1)[0]
        return NodeNetwork(
            table=f"gantry_{config.instance}",
            bridge=f"gb{config.instance}",
            interface_prefix=f"gv{config.instance}",
            node_cidr=node_cidr,
            pod_cidr=config.pod_cidr,
            service_cidr=config.service_cidr,
            gateway=f"{base}.1",
        )

    def _ensure_zygote(self) -> None:
        try:
            self.runtime.ensure_zygote()
        except (ContainerRuntimeError, OSError) as problem:
            self.registration.problem = f"the zygote, from which containers are started, does not run: {problem}"
            log.error("%s", self.registration.problem)

    def _make_watches(self) -> None:
        self.pods = Watch(
            self.api, "/api/v1/pods", self._pod_changed, field_selector=f"spec.nodeName={self.config.name}"
        )
        self.services = Watch(self.api, "/api/v1/services", lambda *_: self.service_rules.changed())
        slices_path = "/apis/discovery.k8s.io/v1/endpointslices"
        self.slices = Watch(self.api, slices_path, lambda *_: self.service_rules.changed())
        self.service_rules = ServiceRules(
            self.network, lambda: self.services.objects.values(), lambda: self.slices.objects.values()
        )

    def _make_sync(self) -> None:
        self.sync = PodSync(
            runtime=self.runtime,
            api=self.api,
            pulling=self.pulling,
            probing=self.probing,
            hooks=self.hooks,
            memory=self.memory,
            pod_of=self.pod_of,
            put_pod=self.put_pod,
            wake_at=self.queue.add_at,
            host_address=self.config.address,
        )
        self.sync.applier = Applier(
            runtime=self.runtime,
            pulling=self.pulling,
            hooks=self.hooks,
            memory=self.memory,
            volumes=self.volumes,
            references=self.references,
            addresses=self.addresses,
            recorder=self.recorder,
            api=self.api,
            surroundings=self.surroundings,
            service_variables=self.service_variables,
            write_status=self.sync.write_status,
            forget=self.forget,
        )

    def _adopt(self) -> None:
        """What runs here already goes on; its exits are known from the runtime's files."""
        self._stop_runtime_watch = self.runtime.watch(self.queue.add)
        self.addresses.adopt(self.runtime.pods())

    def _start_watches(self) -> None:
        for watch in (self.services, self.slices, self.pods):
            self.loop.spawn(watch.run())
        self.loop.wait_for(self._synced(), SYNCED_WITHIN + 5)
        for uid in {state.uid for state in self.runtime.pods()} | set(self.memory.known()) | self.volumes.present():
            self.queue.add(uid)

    async def _synced(self) -> None:
        waiting = [watch.synced.wait() for watch in (self.services, self.slices, self.pods)]
        try:
            await asyncio.wait_for(asyncio.gather(*waiting), SYNCED_WITHIN)
        except TimeoutError:
            log.warning("the API does not list this node's pods yet")

    def _sync(self, uid: str) -> None:
        if not self.pods.synced.is_set() and uid not in self._keys:
            return  # not listed yet is not the same as gone
        self.sync.sync(uid)

    def _pod_changed(self, verb: str, pod: Object) -> None:
        uid = podspec.uid(pod)
        if verb != "DELETED":
            self._keys[uid] = podspec.name_of(pod)
            if verb == "ADDED":
                self.references.use(uid, _references_of(pod))
        self.queue.add(uid)

    def _reference_changed(self, uid: str) -> None:
        self.sync.volumes_changed.add(uid)
        self.queue.add(uid)

    def _unhealthy(self, pod: Any, container: str, message: str) -> None:
        self.recorder.event(pod, "Unhealthy", message, warning=True, container=container)

    def _hook_failed(self, pod: Any, container: str, kind: str, message: str) -> None:
        name = kind[0].upper() + kind[1:]
        self.recorder.event(
            pod, f"Failed{name}Hook", f"{name}Hook failed: {message}", warning=True, container=container
        )

    def _ask_for(self, namespace: str, name: str) -> Object | None:
        try:
            pod: Object = self.api.get(pod_path(namespace, name))
        except (OSError, ApiError):
            return None
        if pod["spec"].get("nodeName") != self.config.name:
            return None
        if not self.pods.connected:  # otherwise the watch tells of it, and of its end
            self._keys[podspec.uid(pod)] = (namespace, name)
            self.pods.put(pod, insert=True)
        return pod

    async def _resync(self) -> None:
        """What no event has told of: unsettled pods every 30 s, everything every 10 minutes."""
        full_at = time.monotonic() + FULL_RESYNC
        while True:
            await asyncio.sleep(LIVELY_RESYNC)
            full = time.monotonic() >= full_at
            full_at = time.monotonic() + FULL_RESYNC if full else full_at
            for pod in list(self.pods.objects.values()):
                if full or not _is_settled(pod):
                    self.queue.add(podspec.uid(pod))
            if full:
                self.registration.images_changed()
                await asyncio.to_thread(self._collect_images)

    def _collect_images(self) -> None:
        in_use = set()
        for uid in self.memory.known():
            in_use |= {image_id.rpartition("@")[2] for image_id in self.memory.get(uid).image_ids.values()}
        try:
            for digest in self.images.collect_garbage(in_use):
                log.info("removed the unused image %s", digest)
        except OSError as problem:
            log.warning("removing unused images: %s", problem)


def _references_of(pod: Object) -> set[Reference]:
    namespace, _ = podspec.name_of(pod)
    config_maps, secrets = wanted_references(podspec.all_containers(pod))
    found = {("ConfigMap", namespace, name) for name in config_maps} | {("Secret", namespace, name) for name in secrets}
    for volume in pod["spec"].get("volumes") or ():
        found |= {(kind, namespace, name) for kind, name, _optional in wanted_by_volume(volume)}
    return found


def _is_settled(pod: Object) -> bool:
    if podspec.is_deleting(pod):
        return False
    ready = podspec.condition(pod, "Ready") or {}
    return podspec.phase(pod) in podspec.FINISHED or ready.get("status") == "True"
