"""What the controllers of this app may decide to do; `controllers.py` turns each into one call of the transaction."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

Object = dict[str, Any]


@dataclass(frozen=True)
class CreatePods:
    """Create `count` pods from the replica set's template."""

    count: int


@dataclass(frozen=True)
class DeletePod:
    name: str
    uid: str


@dataclass(frozen=True)
class AdoptPod:
    """Make the replica set the controller of a pod that matches its selector and has none."""

    name: str
    uid: str


@dataclass(frozen=True)
class ReleasePod:
    """Give up a pod whose labels no longer match the selector."""

    name: str
    uid: str


@dataclass(frozen=True)
class CreateReplicaSet:
    object: Mapping[str, Any]


@dataclass(frozen=True)
class ScaleReplicaSet:
    name: str
    before: int
    after: int
    annotations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class AnnotateReplicaSet:
    """Record revision, desired and maximal size on a replica set, and follow the deployment's minReadySeconds."""

    name: str
    annotations: Mapping[str, str]
    min_ready_seconds: int = 0


@dataclass(frozen=True)
class DeleteReplicaSet:
    name: str
    uid: str


@dataclass(frozen=True)
class AdoptReplicaSet:
    name: str
    uid: str


@dataclass(frozen=True)
class ReleaseReplicaSet:
    name: str
    uid: str


@dataclass(frozen=True)
class AnnotateDeployment:
    annotations: Mapping[str, str]


@dataclass(frozen=True)
class SetStatus:
    status: Mapping[str, Any]


Action = (
    CreatePods
    | DeletePod
    | AdoptPod
    | ReleasePod
    | CreateReplicaSet
    | ScaleReplicaSet
    | AnnotateReplicaSet
    | DeleteReplicaSet
    | AdoptReplicaSet
    | ReleaseReplicaSet
    | AnnotateDeployment
    | SetStatus
)


@dataclass(frozen=True)
class Plan:
    """What to do now, and when to look again if nothing else wakes the key before."""

    actions: tuple[Action, ...] = ()
    look_at: datetime | None = None
