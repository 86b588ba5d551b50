"""Pod objects and views for the tests of the agent's decisions."""

from typing import Any

from nodeworker.agent.logic.observed import ContainerSeen, ImageSeen, Memory, PodSeen, View

READY = ImageSeen("ready")


def make_pod(
    *names: str, policy: str = "Always", init: tuple[str, ...] = (), deleting: float | None = None, **status: Any
) -> dict[str, Any]:
    pod: dict[str, Any] = {
        "metadata": {"namespace": "shop", "name": "web", "uid": "u1", "resourceVersion": "1"},
        "spec": {
            "restartPolicy": policy,
            "containers": [{"name": name, "image": "nginx"} for name in names or ("main",)],
            "initContainers": [{"name": name, "image": "nginx"} for name in init],
        },
        "status": {"phase": "Pending", **status},
    }
    if deleting is not None:
        pod["metadata"] |= {"deletionTimestamp": "2026-01-01T00:00:00Z", "deletionGracePeriodSeconds": deleting}
    return pod


def running(name: str = "main", attempt: int = 0) -> ContainerSeen:
    return ContainerSeen(name, attempt, "running", pid=100, created_at=10.0, started_at=10.0)


def exited(name: str = "main", attempt: int = 0, code: int = 0, at: float = 20.0, **more: Any) -> ContainerSeen:
    return ContainerSeen(
        name, attempt, "exited", created_at=10.0, started_at=10.0, finished_at=at, exit_code=code, **more
    )


def view_of(
    pod: dict[str, Any] | None,
    *containers: ContainerSeen,
    alive: bool = True,
    sandbox: bool = True,
    memory: Memory | None = None,
    images: dict[str, ImageSeen] | None = None,
    **more: Any,
) -> View:
    names = [] if pod is None else [c["name"] for c in (*pod["spec"]["initContainers"], *pod["spec"]["containers"])]
    return View(
        pod=pod,
        observed=PodSeen("u1", alive, tuple(containers), "10.211.0.2") if sandbox else None,
        memory=memory or Memory(started_at=5.0, address="10.211.0.2"),
        images=dict.fromkeys(names, READY) if images is None else images,
        host_address="192.0.2.1",
        **more,
    )
