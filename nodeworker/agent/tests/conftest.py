"""A whole agent over a fake API and the real runtime, for tests as root."""

import contextlib
import hashlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nodeworker.agent.agent import Agent
from nodeworker.agent.tests.fake_api import FakeApi
from nodeworker.config import NodeConfig
from nodeworker.images.types import ImageError, ReadyImage
from nodeworker.network import host
from nodeworker.runtime.runtime import Runtime

POD_CIDR, SERVICE_CIDR = "10.211.0.0/17", "10.211.128.0/17"


class FakeImages:
    """One image, busybox; every other is refused."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def ensure(self, reference: str, _policy: str, _progress: Any = None) -> ReadyImage:
        if reference != "busybox":
            raise ImageError("ErrImagePull", f"{reference}: no such image in the registry")
        return ReadyImage("docker.io/library/busybox:latest", "sha256:" + "0" * 64, {"config": {}}, [self.root])

    def images(self) -> list[dict[str, Any]]:
        return [{"names": ["busybox"], "sizeBytes": 1}]

    def collect_garbage(self, _in_use: Any) -> list[str]:
        return []


def requirements() -> str:
    """Why the tests cannot run here; empty when they can."""
    if os.geteuid() != 0:
        return "needs root"
    for tool in ("nft", "ip", "busybox"):
        if shutil.which(tool, path=host.TOOLS) is None:
            return f"needs {tool}"
    return ""


@pytest.fixture(scope="session")
def busybox_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("busybox")
    for name in ("bin", "tmp", "etc", "proc", "sys", "dev", "www"):
        (root / name).mkdir()
    source = shutil.which("busybox", path=host.TOOLS)
    assert source is not None
    shutil.copy(source, root / "bin" / "busybox")
    applets = subprocess.run([source, "--list"], capture_output=True, text=True, check=True).stdout.split()
    for applet in applets:
        with contextlib.suppress(FileExistsError):
            (root / "bin" / applet).symlink_to("busybox")
    return root


class Node:
    """An agent, the API it talks to, and how to kill and restart it."""

    def __init__(self, home: Path, root: Path) -> None:
        self.api = FakeApi()
        instance = hashlib.sha256(str(home).encode()).hexdigest()[:6]
        self.config = NodeConfig(
            name="n1",
            instance=instance,
            home=str(home),
            api=self.api.address,
            ca="",
            certificate="",
            key="",
            pod_cidr=POD_CIDR,
            service_cidr=SERVICE_CIDR,
        )
        (home / "run").mkdir(parents=True)
        self.root = root
        self.agent = self.start()

    def start(self) -> Agent:
        agent = Agent(self.config)
        agent.images = FakeImages(self.root)  # type: ignore[assignment]
        agent.pulling._store = agent.images
        agent.registration._images = agent.images.images
        agent.streaming = _NoStreaming()  # type: ignore[assignment]
        agent.start()
        self.agent = agent
        return agent

    def run_pod(self, name: str, *command: str, **spec: Any) -> dict[str, Any]:
        container = {"name": "main", "image": "busybox", "command": list(command), **spec.pop("container", {})}
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"namespace": "shop", "name": name, "uid": f"uid-{name}"},
            "spec": {"nodeName": "n1", "restartPolicy": "Always", "containers": [container], **spec},
            "status": {"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "True"}]},
        }
        created: dict[str, Any] = self.api.put("pods", pod)
        return created

    def status(self, name: str) -> dict[str, Any]:
        pod = self.api.get("pods", "shop", name)
        return {} if pod is None else dict(pod["status"])

    def container(self, name: str) -> dict[str, Any]:
        statuses: list[dict[str, Any]] = self.status(name).get("containerStatuses") or []
        return statuses[0] if statuses else {"state": {}, "lastState": {}, "restartCount": 0}

    def is_ready(self, name: str) -> bool:
        conditions = {entry["type"]: entry["status"] for entry in self.status(name).get("conditions", ())}
        return conditions.get("Ready") == "True"

    def pid(self, name: str) -> int:
        state = self.agent.runtime.pod(f"uid-{name}")
        assert state is not None
        return max((entry.pid or 0 for entry in state.containers if entry.phase == "running"), default=0)

    def close(self) -> None:
        with contextlib.suppress(Exception):
            self.agent.stop()
        runtime = Runtime(self.config.node_home, self.config.zygote_socket, f"gantry-{self.config.instance}")
        for state in runtime.pods():
            with contextlib.suppress(Exception):
                runtime.remove_pod(state.uid)
        with contextlib.suppress(Exception):
            runtime.stop_zygote()
        self.api.close()
        host.cleanup(self.config.instance, POD_CIDR, SERVICE_CIDR)


class _NoStreaming:
    def start(self) -> None: ...
    def stop(self) -> None: ...


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory, busybox_root: Path) -> Iterator[Node]:
    if problem := requirements():
        pytest.skip(problem)
    node = Node(tmp_path_factory.mktemp("node"), busybox_root)
    yield node
    node.close()


def end_process(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
