"""Bad input: a clear sentence with the field or the cause, in kubectl and in the pod's events; nothing half-made."""

import hashlib
import io
import json
import os
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster_under_test import Cluster, eventually

pytestmark = [pytest.mark.root, pytest.mark.cluster, pytest.mark.timeout(240)]

NAMESPACE = "bad-input"


@pytest.fixture(scope="module")
def place(cluster: Cluster) -> Iterator[Cluster]:
    cluster.kubectl("create", "namespace", NAMESPACE)
    yield cluster
    cluster.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


def pod(name: str, **container: Any) -> str:
    content = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"terminationGracePeriodSeconds": 0, "containers": [{"name": "main", "image": "busybox", **container}]},
    }
    return json.dumps(content)


def refused(cluster: Cluster, manifest: str, *flags: str) -> str:
    return cluster.kubectl("apply", "-n", NAMESPACE, *flags, "-f", "-", stdin=manifest, check=False)


def waiting_reason(cluster: Cluster, name: str) -> str:
    statuses = cluster.get("pod", name, NAMESPACE).get("status", {}).get("containerStatuses", [])
    return str(statuses[0]["state"].get("waiting", {}).get("reason", "")) if statuses else ""


@pytest.mark.parametrize(
    ("manifest", "sentence"),
    [
        (pod("Bad_Name", command=["true"]), "metadata.name: Invalid value"),
        (pod("quantity", resources={"limits": {"cpu": "1 core"}}), "spec.containers[0].resources.limits"),
        (pod("duplicate", ports=[{"containerPort": 80, "name": "a"}, {"containerPort": 81, "name": "a"}]), "Duplicate"),
        (pod("port", ports=[{"containerPort": 70000}]), "must be between 1 and 65535"),
        (pod("pull", imagePullPolicy="Sometimes"), "supported values"),
    ],
    ids=["name", "quantity", "duplicate", "port", "enumeration"],
)
def test_a_wrong_field_is_named(place: Cluster, manifest: str, sentence: str) -> None:
    assert sentence.lower() in refused(place, manifest, "--validate=false").lower()
    assert place.get("pods", "", NAMESPACE) == [] or all(
        p["metadata"]["name"].startswith("wait-") for p in place.get("pods", "", NAMESPACE)
    )


def test_an_unknown_field_is_named(place: Cluster) -> None:
    assert "imagee" in refused(place, pod("unknown", imagee="busybox"))


def test_a_wrong_type_is_named(place: Cluster) -> None:
    answer = refused(place, pod("type", command="sleep 1"), "--validate=false")
    assert "spec.containers[0].command" in answer
    assert "must be" in answer or "expected" in answer


def test_text_that_is_no_yaml_is_refused(place: Cluster) -> None:
    assert "error" in refused(place, "kind: [").lower()


def test_an_image_that_does_not_exist_is_told_in_status_and_events(place: Cluster) -> None:
    place.apply(pod("wait-image", image="127.0.0.1:1/no/such:image"), NAMESPACE)
    reasons = ("ErrImagePull", "ImagePullBackOff")
    eventually(lambda: waiting_reason(place, "wait-image") in reasons, "the reason is told", 60)

    def told() -> bool:
        # Events are batched: they come a moment after the status.
        described = place.kubectl("describe", "pod", "wait-image", "-n", NAMESPACE)
        return "Failed to pull image" in described and "127.0.0.1:1" in described

    assert eventually(told, "the events tell it", 30)


def test_a_bad_image_name_is_told(place: Cluster) -> None:
    answer = refused(place, pod("wait-name", image="Busybox:UPPER CASE"))
    assert "created" in answer, "as Kubernetes does, the API takes any name and the node says what is wrong with it"
    assert eventually(lambda: waiting_reason(place, "wait-name") == "InvalidImageName", "the reason is told", 30)


def test_a_command_that_does_not_exist_is_told(place: Cluster) -> None:
    place.apply(pod("wait-command", command=["/no/such/program"]), NAMESPACE)

    def told() -> bool:
        return "/no/such/program" in place.kubectl("describe", "pod", "wait-command", "-n", NAMESPACE)

    def state() -> bool:
        statuses = place.get("pod", "wait-command", NAMESPACE).get("status", {}).get("containerStatuses", [])
        text = str(statuses)
        return "no/such/program" in text and (
            "StartError" in text or "ContainerCannotRun" in text or "RunContainer" in text
        )

    eventually(state, "the status tells the command", 30)
    assert eventually(told, "describe tells the command", 30)


def test_a_pod_that_fits_nowhere_says_why(place: Cluster) -> None:
    place.apply(pod("wait-cpu", resources={"requests": {"cpu": "1000"}}), NAMESPACE)

    def message() -> str:
        conditions = place.get("pod", "wait-cpu", NAMESPACE).get("status", {}).get("conditions", [])
        return next((c.get("message", "") for c in conditions if c["type"] == "PodScheduled"), "")

    assert "0/1 nodes are available" in eventually(message, "the condition says why", 30)
    assert "Insufficient cpu" in message()


def test_a_missing_config_map_is_told_and_the_pod_starts_when_it_comes(place: Cluster) -> None:
    env = [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "late", "key": "a"}}}]
    place.apply(pod("wait-config", command=["sleep", "1000"], env=env), NAMESPACE)
    eventually(lambda: waiting_reason(place, "wait-config") == "CreateContainerConfigError", "the reason is told", 30)
    assert "late" in place.kubectl("describe", "pod", "wait-config", "-n", NAMESPACE)
    place.kubectl("create", "-n", NAMESPACE, "-f", "-", stdin=_config_map("late"))
    running = lambda: place.get("pod", "wait-config", NAMESPACE)["status"].get("phase") == "Running"
    assert eventually(running, "the pod runs", 60)


def _config_map(name: str) -> str:
    return f'{{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {{"name": "{name}"}}, "data": {{"a": "1"}}}}'


def test_a_corrupt_archive_is_refused_and_leaves_nothing(place: Cluster, tmp_path: Path) -> None:
    archive = tmp_path / "broken.tar"
    archive.write_bytes(b"this is no archive" * 1000)
    before = place.gantry("image", "ls")
    blobs = set((place.home / "blobs" / "sha256").iterdir())
    answer = place.gantry("image", "import", str(archive), check=False)
    assert "archive" in answer
    assert place.gantry("image", "ls") == before
    assert set((place.home / "blobs" / "sha256").iterdir()) == blobs


def test_a_file_that_is_not_there_is_named(place: Cluster) -> None:
    assert "cannot read /no/such/file" in place.gantry("image", "import", "/no/such/file", check=False)


def test_a_full_disk_during_an_import_is_told_and_leaves_nothing(place: Cluster, tmp_path: Path) -> None:
    """The blob folder is put on a file system of 1 MB for the time of the import."""
    blobs = place.home / "blobs"
    archive = _big_archive(tmp_path)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(blobs)], check=True)
    try:
        (blobs / "sha256").mkdir()
        answer = place.gantry("image", "import", str(archive), check=False)
        left = [path for path in blobs.rglob("*") if path.is_file() and path.name != ".lock"]
    finally:
        subprocess.run(["umount", str(blobs)], check=True)
    assert "space" in answer or "full" in answer
    assert left == []
    assert "too-big" not in place.gantry("image", "ls")


def _big_archive(folder: Path) -> Path:
    """A docker-archive of one layer with 4 MB that do not compress."""

    def member(tar: tarfile.TarFile, name: str, data: bytes) -> None:
        info = tarfile.TarInfo(name)
        info.size = len(data)
        tar.addfile(info, io.BytesIO(data))

    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        member(tar, "data", os.urandom(4_000_000))
    diff = "sha256:" + hashlib.sha256(layer.getvalue()).hexdigest()
    config = {"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": [diff]}}
    archive = folder / "big.tar"
    with tarfile.open(archive, "w") as tar:
        member(tar, "config.json", json.dumps(config).encode())
        member(tar, "layer.tar", layer.getvalue())
        entry = {"Config": "config.json", "RepoTags": ["too-big:latest"], "Layers": ["layer.tar"]}
        member(tar, "manifest.json", json.dumps([entry]).encode())
    return archive
