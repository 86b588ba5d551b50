"""Which change wakes which keys: one table. Pure but for `World`, what a route may ask of the cluster.

Called by the tailer (`loop.py`) for every change. A route may wake too much (a look that finds nothing to do costs a
millisecond); what it forgets is found by the resync, up to half a minute late.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Protocol

from apps.workloads.keys import Key
from apps.workloads.logic.seen import TEMPLATE_HASH
from nodeworker.wire.messages import object_key

SCHEDULER = "system:scheduler"
DEPLOYMENTS = "system:controller:deployment"
REPLICA_SETS = "system:controller:replicaset"
NODE = "system:node:"


class ChangeSeen(Protocol):
    """What a route reads of a change; `apps.store.rows.Change` has it."""

    @property
    def verb(self) -> str: ...
    @property
    def namespace(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def uid(self) -> str: ...
    @property
    def actor(self) -> str: ...
    @property
    def labels(self) -> Mapping[str, str]: ...
    @property
    def previous_labels(self) -> Mapping[str, str]: ...
    @property
    def fields(self) -> Mapping[str, str]: ...
    @property
    def previous_fields(self) -> Mapping[str, str]: ...
    @property
    def object(self) -> dict[str, Any]: ...


class World(Protocol):
    """What a route may ask; answered from memory where it can be."""

    def selecting(self, kind: str, namespace: str, labels: Mapping[str, str]) -> Iterable[str]:
        """Return the names of the Services, ReplicaSets or Deployments of a namespace that select these labels."""

    def waiting_pods(self) -> Iterable[str]:
        """Return the keys of the pods without a node."""

    def listens(self, node: str) -> bool:
        """Whether the node's worker reads its queue, as far as is known: nobody empties the queue of a dead node."""


Route = Callable[[ChangeSeen, World], Iterator[Key]]


def itself(kind: str, except_by: str = "") -> Route:
    """Wake the changed object, unless its own controller changed it (that answers only what it has seen)."""

    def route(change: ChangeSeen, world: World) -> Iterator[Key]:
        if not except_by or change.actor != except_by:
            yield Key(kind, object_key(change.namespace, change.name))

    return route


def its_controller(change: ChangeSeen, world: World) -> Iterator[Key]:
    """Wake the object that is named as the controller."""
    for owner in change.object["metadata"].get("ownerReferences") or ():
        if owner.get("controller") and owner["kind"] in ("ReplicaSet", "Deployment", "Service"):
            yield Key(owner["kind"], object_key(change.namespace, owner["name"]))


def adopters(kind: str) -> Route:
    """Wake those whose selector matches, or matched, an object without a controller."""

    def route(change: ChangeSeen, world: World) -> Iterator[Key]:
        owners = change.object["metadata"].get("ownerReferences") or ()
        if change.verb == "DELETED" or any(owner.get("controller") for owner in owners):
            return
        if change.verb == "MODIFIED" and change.labels == change.previous_labels and change.actor.startswith(NODE):
            return
        for name in world.selecting(kind, change.namespace, change.labels):
            yield Key(kind, object_key(change.namespace, name))

    return route


def services_of_pod(change: ChangeSeen, world: World) -> Iterator[Key]:
    """Wake the services whose selector matches the pod's labels, or matched them before."""
    names = {*world.selecting("Service", change.namespace, change.labels)}
    if change.previous_labels != change.labels:
        names.update(world.selecting("Service", change.namespace, change.previous_labels))
    for name in sorted(names):
        yield Key("Service", object_key(change.namespace, name))


def scheduler_of_pod(change: ChangeSeen, world: World) -> Iterator[Key]:
    """Wake the scheduler for a pod without a node; and for all that wait, when a pod gives its room back."""
    node, phase = change.fields.get("spec.nodeName", ""), change.fields.get("status.phase", "")
    if not node and change.verb != "DELETED":
        if change.verb == "ADDED" or change.actor != SCHEDULER:
            yield Key("Pod", object_key(change.namespace, change.name))
        return
    was = change.previous_fields.get("status.phase", "")
    ended = phase in ("Succeeded", "Failed") and was not in ("Succeeded", "Failed")
    if node and (change.verb == "DELETED" or ended):
        for key in world.waiting_pods():
            yield Key("Pod", key)


def agent_of_pod(change: ChangeSeen, world: World) -> Iterator[Key]:
    """Tell the pod's node, unless it is the one that made the change."""
    node = change.fields.get("spec.nodeName", "")
    if node and change.actor != f"{NODE}{node}" and world.listens(node):
        yield Key("Pod", object_key(change.namespace, change.name), node=node)


def recreate_waits(change: ChangeSeen, world: World) -> Iterator[Key]:
    """Wake the deployment of a pod that is gone: the strategy Recreate waits for it, and no replica set's status tells.

    The deployment's name is that of the replica set without the hash; the look finds out whether it is right.
    """
    if change.verb != "DELETED" or TEMPLATE_HASH not in change.labels:
        return
    for key in its_controller(change, world):
        suffix = f"-{change.labels[TEMPLATE_HASH]}"
        if key.kind == "ReplicaSet" and key.name.endswith(suffix):
            yield Key("Deployment", key.name.removesuffix(suffix))


def pods_that_wait(change: ChangeSeen, world: World) -> Iterator[Key]:
    """A node has come, or is other than it was: perhaps a waiting pod fits now."""
    if change.verb != "DELETED":
        for key in world.waiting_pods():
            yield Key("Pod", key)


def service_of_slice(change: ChangeSeen, world: World) -> Iterator[Key]:
    """A slice that somebody changed or deleted, or that was written from an older look than another's, is put right."""
    yield from its_controller(change, world)


def node_of_lease(change: ChangeSeen, world: World) -> Iterator[Key]:
    """A renewed lease matters when the node counted as silent; the first one starts the watch over it."""
    if change.namespace == "kube-node-lease" and (change.verb != "MODIFIED" or not world.listens(change.name)):
        yield Key("Node", change.name)


ROUTES: dict[str, tuple[Route, ...]] = {
    "Pod": (
        scheduler_of_pod,
        agent_of_pod,
        its_controller,
        services_of_pod,
        adopters("ReplicaSet"),
        recreate_waits,
    ),
    "ReplicaSet": (itself("ReplicaSet", except_by=REPLICA_SETS), its_controller, adopters("Deployment")),
    "Deployment": (itself("Deployment", except_by=DEPLOYMENTS),),
    "Service": (itself("Service"),),
    "EndpointSlice": (service_of_slice,),
    "Node": (itself("Node"), pods_that_wait),
    "Lease": (node_of_lease,),
}


def keys_of(kind: str, change: ChangeSeen, world: World) -> Iterator[Key]:
    """Return every key that a change of an object of this kind wakes."""
    for route in ROUTES.get(kind, ()):
        yield from route(change, world)
