"""What the scheduler needs of a pod and of a node; made from API objects, kept small because it is kept in memory."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nodeworker.wire.quantity import cpu_millis, memory_bytes, parse_quantity

NOT_READY = "node.kubernetes.io/not-ready"
UNSCHEDULABLE = "node.kubernetes.io/unschedulable"


@dataclass(frozen=True)
class Resources:
    """Amounts of what a node has and a pod asks for."""

    cpu: int = 0
    memory: int = 0
    pods: int = 0

    def __add__(self, other: "Resources") -> "Resources":
        return Resources(self.cpu + other.cpu, self.memory + other.memory, self.pods + other.pods)

    def __sub__(self, other: "Resources") -> "Resources":
        return Resources(self.cpu - other.cpu, self.memory - other.memory, self.pods - other.pods)


@dataclass(frozen=True)
class Taint:
    key: str
    value: str
    effect: str


@dataclass(frozen=True)
class Toleration:
    key: str = ""
    operator: str = "Equal"
    value: str = ""
    effect: str = ""

    def tolerates(self, taint: Taint) -> bool:
        if self.effect and self.effect != taint.effect:
            return False
        if self.key and self.key != taint.key:
            return False
        return self.operator == "Exists" or self.value == taint.value


@dataclass(frozen=True)
class PodAsking:
    """A pod that waits for a node."""

    namespace: str
    name: str
    uid: str
    requests: Resources
    owner: str = ""
    node_selector: Mapping[str, str] = field(default_factory=dict)
    affinity: tuple[Mapping[str, Any], ...] | None = None
    tolerations: tuple[Toleration, ...] = ()
    images: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True)
class PodPlaced:
    """A pod that takes room on a node; `done` ones take none."""

    uid: str
    owner: str
    requests: Resources
    done: bool


@dataclass(frozen=True)
class NodeSeen:
    name: str
    allocatable: Resources
    used: Resources = Resources()
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[Taint, ...] = ()
    unschedulable: bool = False
    images: Mapping[str, int] = field(default_factory=dict)
    owners: Mapping[str, int] = field(default_factory=dict)

    @property
    def free(self) -> Resources:
        return self.allocatable - self.used

    def holding(self, requests: Resources, owner: str) -> "NodeSeen":
        """Return the node as it is once a pod more is bound to it."""
        owners = {**self.owners, owner: self.owners.get(owner, 0) + 1} if owner else self.owners
        used = self.used + requests
        return NodeSeen(
            self.name, self.allocatable, used, self.labels, self.taints, self.unschedulable, self.images, owners
        )


def pod_requests(spec: Mapping[str, Any]) -> Resources:
    """Return what a pod asks for: the sum of its containers or the largest of its init containers, and its overhead."""
    cpu = memory = 0
    for container in spec.get("containers") or ():
        asked = _requests(container)
        cpu, memory = cpu + asked.cpu, memory + asked.memory
    # A sidecar (an init container that is restarted) goes on beside those that follow it.
    sidecars = Resources()
    for container in spec.get("initContainers") or ():
        asked = _requests(container)
        if container.get("restartPolicy") == "Always":
            sidecars = sidecars + asked
            cpu, memory = cpu + asked.cpu, memory + asked.memory
            asked = sidecars
        else:
            asked = asked + sidecars
        cpu, memory = max(cpu, asked.cpu), max(memory, asked.memory)
    overhead = _amounts(spec.get("overhead") or {})
    return Resources(cpu + overhead.cpu, memory + overhead.memory, 1)


def pod_asking(object: Mapping[str, Any]) -> PodAsking:
    """Return what the scheduler needs of a Pod object without a node."""
    metadata, spec = object["metadata"], object["spec"]
    return PodAsking(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        requests=pod_requests(spec),
        owner=owner_of(metadata),
        node_selector=spec.get("nodeSelector") or {},
        affinity=_required_affinity(spec),
        tolerations=tuple(toleration(t) for t in spec.get("tolerations") or ()),
        images=tuple(container.get("image") or "" for container in spec.get("containers") or ()),
    )


def pod_placed(object: Mapping[str, Any]) -> PodPlaced:
    """Return what a bound pod takes of its node."""
    done = (object.get("status") or {}).get("phase") in ("Succeeded", "Failed")
    metadata = object["metadata"]
    return PodPlaced(metadata["uid"], owner_of(metadata), pod_requests(object["spec"]), done)


def node_seen(object: Mapping[str, Any]) -> NodeSeen:
    """Return what the scheduler needs of a Node object, before its pods are counted."""
    metadata, spec, status = object["metadata"], object.get("spec") or {}, object.get("status") or {}
    taints = tuple(Taint(t["key"], t.get("value") or "", t["effect"]) for t in spec.get("taints") or ())
    ready = any(c.get("type") == "Ready" and c.get("status") == "True" for c in status.get("conditions") or ())
    if not ready and not any(t.key == NOT_READY or t.key.endswith("/unreachable") for t in taints):
        # The node's controller has not set the taint yet: a node that never said that it is ready takes no pod.
        taints = (*taints, Taint(NOT_READY, "", "NoSchedule"))
    amounts = status.get("allocatable") or status.get("capacity") or {}
    return NodeSeen(
        name=metadata["name"],
        allocatable=Resources(*_pair(amounts), pods=int(parse_quantity(str(amounts.get("pods", "110"))))),
        labels=metadata.get("labels") or {},
        taints=taints,
        unschedulable=bool(spec.get("unschedulable")),
        images={n: i.get("sizeBytes") or 0 for i in status.get("images") or () for n in i.get("names") or ()},
    )


def with_pods(node: NodeSeen, pods: Iterable[PodPlaced]) -> NodeSeen:
    """Return the node with the room that `pods` take."""
    cpu = memory = count = 0
    owners: dict[str, int] = {}
    for pod in pods:
        if pod.done:
            continue
        cpu, memory, count = cpu + pod.requests.cpu, memory + pod.requests.memory, count + 1
        if pod.owner:
            owners[pod.owner] = owners.get(pod.owner, 0) + 1
    used = Resources(cpu, memory, count)
    return NodeSeen(
        node.name, node.allocatable, used, node.labels, node.taints, node.unschedulable, node.images, owners
    )


def toleration(object: Mapping[str, Any]) -> Toleration:
    """Return a toleration of a pod's spec."""
    return Toleration(
        object.get("key") or "",
        object.get("operator") or "Equal",
        object.get("value") or "",
        object.get("effect") or "",
    )


def owner_of(metadata: Mapping[str, Any]) -> str:
    """Return the uid of an object's controller, or ""."""
    owners: Sequence[Mapping[str, Any]] = metadata.get("ownerReferences") or ()
    return next((str(owner["uid"]) for owner in owners if owner.get("controller")), "")


def _requests(container: Mapping[str, Any]) -> Resources:
    return _amounts((container.get("resources") or {}).get("requests") or {})


def _amounts(amounts: Mapping[str, Any]) -> Resources:
    return Resources(*_pair(amounts))


def _pair(amounts: Mapping[str, Any]) -> tuple[int, int]:
    cpu, memory = amounts.get("cpu"), amounts.get("memory")
    return (cpu_millis(str(cpu)) if cpu else 0), (memory_bytes(str(memory)) if memory else 0)


def _required_affinity(spec: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...] | None:
    required = ((spec.get("affinity") or {}).get("nodeAffinity") or {}).get(
        "requiredDuringSchedulingIgnoredDuringExecution"
    )
    return tuple(required.get("nodeSelectorTerms") or ()) if required else None
