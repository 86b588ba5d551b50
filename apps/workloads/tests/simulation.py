"""A world without a store: applies the deployment's plans to dictionaries, with pods that become ready when told to."""

from datetime import datetime, timedelta
from typing import Any

from apps.workloads.logic import deployments, replicasets
from apps.workloads.logic.actions import (
    AdoptPod,
    AnnotateDeployment,
    AnnotateReplicaSet,
    CreatePods,
    CreateReplicaSet,
    DeletePod,
    DeleteReplicaSet,
    Plan,
    ReleasePod,
    ScaleReplicaSet,
    SetStatus,
)
from apps.workloads.logic.seen import TEMPLATE_HASH, PodSeen, replica_set_seen
from apps.workloads.tests.builders import NOW, pod
from nodeworker.wire.time import format_time


class World:
    """One deployment, its replica sets and their pods."""

    def __init__(self, deployment: dict[str, Any]) -> None:
        self.deployment = deployment
        self.replica_sets: dict[str, dict[str, Any]] = {}
        self.pods: dict[str, PodSeen] = {}
        self.now = NOW
        self.made = 0

    def edit(self, **changes: Any) -> None:
        """Change the deployment's spec as a user would."""
        self.deployment = {
            **self.deployment,
            "spec": {**self.deployment["spec"], **changes},
            "metadata": {**self.deployment["metadata"], "generation": self.deployment["metadata"]["generation"] + 1},
        }

    def image(self, image: str) -> None:
        template = self.deployment["spec"]["template"]
        self.edit(template={**template, "spec": {"containers": [{"name": "c", "image": image}]}})

    @property
    def active(self) -> list[PodSeen]:
        return [pod for pod in self.pods.values() if pod.active]

    @property
    def available(self) -> int:
        return sum(pod.ready for pod in self.active)

    def plan(self) -> Plan:
        seen = [replica_set_seen(object) for object in self.replica_sets.values()]
        old = {s.uid for s in seen} - {n.uid for n in [deployments.find_new(self.deployment, seen)] if n}
        left = any(p.controller in old for p in self.pods.values())
        return deployments.decide(self.deployment, seen, self.now, old_pods_left=left)

    def step_deployment(self) -> bool:
        """Take one step; False if the deployment was settled."""
        plan = self.plan()
        for action in plan.actions:
            match action:
                case CreateReplicaSet(object):
                    name = object["metadata"]["name"]
                    assert name not in self.replica_sets
                    self.tick()
                    made = {
                        **object["metadata"],
                        "uid": name,
                        "creationTimestamp": format_time(self.now),
                        "generation": 1,
                    }
                    self.replica_sets[name] = {**object, "metadata": made}
                case ScaleReplicaSet(name, before, after, annotations):
                    assert self.replica_sets[name]["spec"]["replicas"] == before
                    self._change(name, annotations, replicas=after)
                case AnnotateReplicaSet(name, annotations, wait):
                    self._change(name, annotations, minReadySeconds=wait)
                case DeleteReplicaSet(name):
                    del self.replica_sets[name]
                case AnnotateDeployment(annotations):
                    metadata = self.deployment["metadata"]
                    changed = {**metadata, "annotations": {**metadata["annotations"], **annotations}}
                    self.deployment = {**self.deployment, "metadata": changed}
                case SetStatus(status):
                    self.deployment = {**self.deployment, "status": status}
                case _:
                    raise AssertionError(action)
        return bool(plan.actions)

    def step_replica_set(self, name: str) -> bool:
        """Let the ReplicaSet controller take one step; False if it was settled."""
        object = self.replica_sets[name]
        pods = [p for p in self.pods.values() if p.controller == object["metadata"]["uid"]]
        plan = replicasets.decide(object, pods, self.now)
        for action in plan.actions:
            match action:
                case CreatePods(count):
                    for _ in range(count):
                        self._create_pod(object)
                case DeletePod(victim):
                    del self.pods[victim]
                case SetStatus(status):
                    self.replica_sets[name] = {**object, "status": status}
                case AdoptPod() | ReleasePod():
                    raise AssertionError(action)
        return bool(plan.actions)

    def ready(self, name: str, is_ready: bool = True) -> None:
        """Let a pod become ready, or fail its probe."""
        old = self.pods[name]
        values = {f: getattr(old, f) for f in old.__dataclass_fields__}
        self.pods[name] = PodSeen(**{**values, "ready": is_ready, "ready_since": self.now if is_ready else None})

    def settle(self, limit: int = 1000) -> None:
        """Step everything, making all pods ready, until nothing changes."""
        for _ in range(limit):
            moved = self.step_deployment()
            for name in list(self.replica_sets):
                moved |= self.step_replica_set(name)
            for waiting in list(self.pods.values()):
                if not waiting.ready:
                    self.ready(waiting.name)
                    moved = True
            if not moved:
                return
        raise AssertionError("the deployment does not settle")

    def tick(self, seconds: int = 1) -> datetime:
        self.now += timedelta(seconds=seconds)
        return self.now

    def _create_pod(self, object: dict[str, Any]) -> None:
        self.made += 1
        name = f"{object['metadata']['name']}-{self.made}"
        labels = object["spec"]["template"]["metadata"]["labels"]
        assert labels[TEMPLATE_HASH] == object["metadata"]["labels"][TEMPLATE_HASH]
        self.pods[name] = pod(name, labels=labels, controller=object["metadata"]["uid"], ready=False, created=self.now)

    def _change(self, name: str, annotations: Any, **spec: Any) -> None:
        object = self.replica_sets[name]
        metadata = object["metadata"]
        grown = metadata["generation"] + any(object["spec"].get(k) != v for k, v in spec.items())
        self.replica_sets[name] = {
            **object,
            "metadata": {**metadata, "annotations": {**metadata["annotations"], **annotations}, "generation": grown},
            "spec": {**object["spec"], **spec},
        }
