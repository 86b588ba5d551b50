"""Archives and registries of others: what skopeo writes is imported, what Debian's docker-registry serves is pulled.

Each test skips with a reason when the tool is not installed.
"""

import hashlib
import io
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Barrier, Thread

import pytest

from apps.images.archives import import_archive
from apps.images.blobs import BlobStore
from apps.images.errors import PullFailed
from apps.images.models import Image
from apps.images.progress import Progress
from apps.images.pull import pull
from apps.images.tests.archives import docker_archive, layer

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(shutil.which("skopeo") is None, reason="skopeo is not installed"),
]
ONE, TWO = layer(a="one" * 1000), layer(b="two" * 1000)


@pytest.fixture
def store(tmp_path: Path) -> BlobStore:
    return BlobStore(tmp_path / "blobs")


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "saved.tar"
    path.write_bytes(docker_archive(ONE, TWO, tags=("shop/web:1",)))
    return path


def ignore(_progress: Progress) -> None:
    pass


def skopeo(*arguments: str) -> None:
    command = ["skopeo", "--insecure-policy", *arguments]
    subprocess.run(command, check=True, capture_output=True, timeout=60)


def diff_ids(image: Image) -> list[str]:
    return [row.layer.diff_id for row in image.image_layers.all()]


def expected() -> list[str]:
    return [f"sha256:{hashlib.sha256(each).hexdigest()}" for each in (ONE, TWO)]


@pytest.mark.parametrize("target", ["docker-archive:{}:shop/copy:2", "oci-archive:{}:shop/copy:2"])
def test_an_archive_written_by_skopeo_is_imported(store: BlobStore, saved: Path, tmp_path: Path, target: str) -> None:
    path = tmp_path / "copy.tar"
    skopeo("copy", f"docker-archive:{saved}", target.format(path))
    with path.open("rb") as stream:
        [imported] = import_archive(store, stream, ignore)
    assert imported.names == ["docker.io/shop/copy:2"] and diff_ids(imported.image) == expected()


@pytest.mark.skipif(shutil.which("podman") is None, reason="podman is not installed")
@pytest.mark.parametrize("form", ["docker-archive", "oci-archive"])
def test_an_archive_written_by_podman_is_imported(store: BlobStore, saved: Path, tmp_path: Path, form: str) -> None:
    podman = ["podman", "--root", str(tmp_path / "root"), "--runroot", str(tmp_path / "run"), "--storage-driver", "vfs"]
    subprocess.run([*podman, "load", "-i", saved], check=True, capture_output=True, timeout=60)
    path = tmp_path / "copy.tar"
    subprocess.run([*podman, "save", "--format", form, "-o", path, "shop/web:1"], check=True, timeout=60)
    with path.open("rb") as stream:
        [imported] = import_archive(store, stream, ignore)
    assert imported.names[0].endswith("shop/web:1") and diff_ids(imported.image) == expected()


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[str]:
    """Debian's docker-registry on loopback; yields its host and port."""
    program = shutil.which("docker-registry")
    if program is None:
        pytest.skip("docker-registry is not installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{free.getsockname()[1]}"
    settings = {
        "version": "0.1",
        "log": {"level": "error"},
        "storage": {"filesystem": {"rootdirectory": str(tmp_path / "registry")}},
        "http": {"addr": host},
    }
    configuration = tmp_path / "registry.yml"
    configuration.write_text(json.dumps(settings))
    log = (tmp_path / "registry.log").open("wb")
    process = subprocess.Popen([program, "serve", configuration], stdout=log, stderr=log)
    try:
        _wait_for(host, process)
        yield host
    finally:
        process.terminate()
        process.wait(10)
        log.close()


def _wait_for(host: str, process: "subprocess.Popen[bytes]") -> None:
    name, _, port = host.partition(":")
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection((name, int(port)), 1).close()
        except OSError:
            time.sleep(0.02)  # a server of others: nothing tells when it listens
        else:
            return
    pytest.fail("docker-registry does not start")


def push(saved: Path, host: str, name: str = "shop/web:1", form: str = "oci") -> None:
    skopeo("copy", "--dest-tls-verify=false", "-f", form, f"docker-archive:{saved}", f"docker://{host}/{name}")


@pytest.mark.parametrize("form", ["oci", "v2s2"])
def test_an_image_is_pulled_from_docker_registry(store: BlobStore, saved: Path, registry: str, form: str) -> None:
    push(saved, registry, form=form)
    image = pull(store, f"{registry}/shop/web:1", ignore)
    assert diff_ids(image) == expected() and image.names.get().reference == f"{registry}/shop/web:1"


def test_a_tag_that_the_registry_lacks_is_not_found(store: BlobStore, saved: Path, registry: str) -> None:
    push(saved, registry)
    with pytest.raises(PullFailed, match=r"was not found at 127\.0\.0\.1"):
        pull(store, f"{registry}/shop/web:2", ignore)


def test_a_schema_1_manifest_is_refused(store: BlobStore, saved: Path, registry: str) -> None:
    try:
        push(saved, registry, form="v2s1")
    except subprocess.CalledProcessError:
        pytest.skip("this registry or skopeo no longer takes schema 1")
    with pytest.raises(PullFailed, match="schema 1"):
        pull(store, f"{registry}/shop/web:1", ignore)


def test_two_pulls_at_once_fetch_each_layer_once(store: BlobStore, tmp_path: Path, registry: str) -> None:
    saved = tmp_path / "big.tar"
    saved.write_bytes(docker_archive(layer(a=os.urandom(3_000_000).hex())))
    push(saved, registry)
    begin, steps = Barrier(2), list[Progress]()

    def one() -> None:
        begin.wait(10)
        pull(store, f"{registry}/shop/web:1", steps.append)

    threads = [Thread(target=one) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    blobs = [step.layer for step in steps if step.status == "Pulled"]
    assert len(blobs) == len(set(blobs)) == 2


def test_a_full_disk_leaves_nothing_and_the_next_import_succeeds(tmp_path: Path) -> None:
    folder = tmp_path / "small"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder], check=False).returncode != 0:
        pytest.skip("cannot mount a tmpfs here")
    try:
        store = BlobStore(folder / "blobs")
        archive = docker_archive(layer(a="x" * (4 << 20)))
        with pytest.raises(Exception, match=r"is full .*: free some space"):
            import_archive(store, io.BytesIO(archive), ignore)
        assert store.digests() == [] and list((store.root / "incoming").iterdir()) == []
        subprocess.run(["mount", "-o", "remount,size=32m", folder], check=True)
        assert import_archive(store, io.BytesIO(archive), ignore)
    finally:
        subprocess.run(["umount", "-l", folder], check=True)
