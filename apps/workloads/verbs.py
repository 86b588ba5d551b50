"""What people do to workloads: scale, restart, roll back, pause, resume, change the image, delete, deploy.

One function a verb. Each checks its rules, ends in the store with the actor, and returns the object as it is then.
Called by the REST API, the admin's actions and scripts; kubectl does the same by its own patches.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from apps.kinds.problems import Problem
from apps.kinds.registry import by_kind
from apps.kinds.status import Invalid, NotFound
from apps.store import read, transaction
from apps.store.rows import Origin, Stored
from apps.store.transaction import Transaction
from apps.workloads.logic.seen import REVISION, TEMPLATE_HASH
from nodeworker.wire.time import format_time

Json = dict[str, Any]
RESTARTED_AT = "kubectl.kubernetes.io/restartedAt"
CHANGE_CAUSE = "kubernetes.io/change-cause"


def scale(kind: str, namespace: str, name: str, replicas: int, origin: Origin) -> Stored:
    """Set how many replicas a Deployment or ReplicaSet shall have."""
    if isinstance(replicas, bool) or not isinstance(replicas, int) or replicas < 0:
        raise _invalid(kind, name, "spec.replicas", replicas, "must be a whole number greater than or equal to 0")

    def change(obj: Json) -> Json:
        obj["spec"]["replicas"] = replicas
        return obj

    return transaction.modify(kind, namespace, name, change, origin)


def restart(namespace: str, name: str, origin: Origin) -> Stored:
    """Replace all pods of a Deployment, a few at a time, by marking its template with the time."""

    def change(deployment: Json) -> Json:
        if deployment["spec"].get("paused"):
            message = "can't restart a paused deployment: resume it first"
            raise _invalid("Deployment", name, "spec.paused", True, message)
        metadata = deployment["spec"]["template"].setdefault("metadata", {})
        annotations = metadata.setdefault("annotations", {})
        annotations[RESTARTED_AT] = format_time(datetime.now(UTC))
        return deployment

    return _change(namespace, name, change, origin)


def set_image(namespace: str, name: str, image: str, origin: Origin, *, container: str = "") -> Stored:
    """Change the image of one container; without a name, of the only one."""

    def change(deployment: Json) -> Json:
        containers = deployment["spec"]["template"]["spec"]["containers"]
        chosen = [entry for entry in containers if not container or entry["name"] == container]
        if len(chosen) != 1:
            names = ", ".join(entry["name"] for entry in containers)
            message = f"must name one of the deployment's containers: {names}"
            raise _invalid("Deployment", name, "container", container, message)
        chosen[0]["image"] = image
        return deployment

    return _change(namespace, name, change, origin)


def pause(namespace: str, name: str, origin: Origin) -> Stored:
    """Let changes of the template wait until `resume`."""
    return _change(namespace, name, lambda deployment: _with_paused(deployment, True), origin)


def resume(namespace: str, name: str, origin: Origin) -> Stored:
    """Roll out what has changed since `pause`."""
    return _change(namespace, name, lambda deployment: _with_paused(deployment, False), origin)


def roll_back(namespace: str, name: str, origin: Origin, *, revision: int = 0) -> Stored:
    """Give the Deployment the template of an earlier revision; 0 is the one before the present."""

    def work(store: Transaction) -> Stored:
        stored = store.require("Deployment", namespace, name)
        if stored.object["spec"].get("paused"):
            message = "cannot roll back a paused deployment: resume it first"
            raise _invalid("Deployment", name, "spec.paused", True, message)
        known = _revisions(stored.object, [child for child in store.children(stored.uid) if child.kind == "ReplicaSet"])
        template = _template_of(name, known, revision)
        return store.modify("Deployment", namespace, name, lambda deployment: _with_template(deployment, template))

    return transaction.commit(work, origin)


def delete(kind: str, namespace: str, name: str, origin: Origin, *, propagation: str = "Background") -> Stored | None:
    """Delete a workload; what it owns goes after it. None when it is gone at once."""
    return transaction.delete(kind, namespace, name, origin, propagation=propagation)


@dataclass(frozen=True)
class Revision:
    """One revision of a Deployment, as its ReplicaSet keeps it."""

    number: int
    name: str
    current: bool
    replicas: int
    images: tuple[str, ...]
    cause: str
    created: str
    template: Json


def revisions(namespace: str, name: str) -> list[Revision]:
    """Return the revisions of a Deployment that can be rolled back to, the newest first."""
    stored = read.get("Deployment", namespace, name)
    if stored is None:
        raise NotFound.of("deployments.apps", name)
    children, _ = read.children(stored.uid, "ReplicaSet")
    return _revisions(stored.object, children)


@dataclass(frozen=True)
class Port:
    """A port of a new workload: where the container listens, and whether it is opened on every node."""

    port: int
    publish: bool = False


@dataclass(frozen=True)
class Deploy:
    """What a new workload needs: the fields of the console's form and of POST /rest/v1/.../workloads."""

    name: str
    image: str
    replicas: int = 1
    ports: Sequence[Port] = ()
    command: Sequence[str] = ()
    env: Sequence[tuple[str, str]] = ()
    cpu: str = ""
    memory: str = ""


def deploy(namespace: str, wanted: Deploy, origin: Origin) -> tuple[Stored, list[Stored]]:
    """Create the Deployment and the Services of its ports; all or nothing."""

    def work(store: Transaction) -> tuple[Stored, list[Stored]]:
        deployment = store.create("Deployment", deployment_of(namespace, wanted))
        return deployment, [store.create("Service", service) for service in services_of(namespace, wanted)]

    return transaction.commit(work, origin)


def deployment_of(namespace: str, wanted: Deploy) -> Json:
    """Return the Deployment that `wanted` describes. Pure: the form shows it as YAML."""
    labels = {"app": wanted.name}
    container: Json = {"name": wanted.name, "image": wanted.image}
    if wanted.command:
        container["command"] = list(wanted.command)
    if wanted.env:
        container["env"] = [{"name": key, "value": value} for key, value in wanted.env]
    if wanted.ports:
        container["ports"] = [{"containerPort": port.port} for port in wanted.ports]
    resources = {key: value for key, value in (("cpu", wanted.cpu), ("memory", wanted.memory)) if value}
    if resources:
        container["resources"] = {"requests": resources, "limits": resources}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": wanted.name, "namespace": namespace, "labels": labels},
        "spec": {
            "replicas": wanted.replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


def services_of(namespace: str, wanted: Deploy) -> list[Json]:
    """Return the Services for the ports of `wanted`: a published port is a NodePort, the others stay inside.

    A Service publishes all of its ports or none, so a workload that has both kinds gets two.
    """
    published = [port for port in wanted.ports if port.publish]
    if published and len(published) < len(wanted.ports):
        return [
            _service(namespace, wanted.name, wanted.name, "ClusterIP", wanted.ports),
            _service(namespace, wanted.name, f"{wanted.name}-published", "NodePort", published),
        ]
    if not wanted.ports:
        return []
    return [_service(namespace, wanted.name, wanted.name, "NodePort" if published else "ClusterIP", wanted.ports)]


def _service(namespace: str, app: str, name: str, kind: str, ports: Sequence[Port]) -> Json:
    entries = [{"name": f"port-{port.port}", "port": port.port, "targetPort": port.port} for port in ports]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace, "labels": {"app": app}},
        "spec": {"type": kind, "selector": {"app": app}, "ports": entries},
    }


def _change(namespace: str, name: str, change: Callable[[Json], Json], origin: Origin) -> Stored:
    return transaction.modify("Deployment", namespace, name, change, origin)


def _with_paused(deployment: Json, paused: bool) -> Json:
    if paused:
        deployment["spec"]["paused"] = True
    else:
        deployment["spec"].pop("paused", None)
    return deployment


def _with_template(deployment: Json, template: Json) -> Json:
    deployment["spec"]["template"] = template
    return deployment


def _template_of(name: str, known: Sequence[Revision], wanted: int) -> Json:
    """Return the template to go back to, without the label that the controller put on it."""
    if wanted:
        found = next((revision for revision in known if revision.number == wanted), None)
        if found is None:
            numbers = ", ".join(str(revision.number) for revision in known) or "none"
            raise _invalid("Deployment", name, "revision", wanted, f"no such revision; there are: {numbers}")
    else:
        earlier = [revision for revision in known if not revision.current]
        if not earlier:
            raise _invalid("Deployment", name, "revision", wanted, "there is no earlier revision to roll back to")
        found = earlier[0]
    template = dict(found.template)
    metadata = dict(template.get("metadata") or {})
    labels = {key: value for key, value in (metadata.get("labels") or {}).items() if key != TEMPLATE_HASH}
    return {**template, "metadata": {**metadata, "labels": labels}}


def _revisions(deployment: Json, replica_sets: Sequence[Stored]) -> list[Revision]:
    found = [_revision_of(stored.object) for stored in replica_sets]
    newest = max((revision.number for revision in found), default=0)
    current = int(_annotations(deployment).get(REVISION, newest) or newest)
    known = sorted((revision for revision in found if revision.number), key=lambda revision: -revision.number)
    return [_marked(revision, revision.number == current) for revision in known]


def _marked(revision: Revision, current: bool) -> Revision:
    return replace(revision, current=current)


def _revision_of(replica_set: Json) -> Revision:
    metadata, spec, annotations = replica_set["metadata"], replica_set["spec"], _annotations(replica_set)
    number = annotations.get(REVISION, "")
    containers = spec["template"]["spec"]["containers"]
    return Revision(
        number=int(number) if number.isdigit() else 0,
        name=metadata["name"],
        current=False,
        replicas=replica_set.get("status", {}).get("replicas", 0),
        images=tuple(container.get("image", "") for container in containers),
        cause=annotations.get(CHANGE_CAUSE, ""),
        created=metadata.get("creationTimestamp", ""),
        template=spec["template"],
    )


def _annotations(obj: Json) -> dict[str, str]:
    return obj["metadata"].get("annotations") or {}


def _invalid(kind: str, name: str, path: str, value: Any, message: str) -> Invalid:
    return Invalid(by_kind(kind).qualified, name, [Problem(path, "Invalid", message, value)])
