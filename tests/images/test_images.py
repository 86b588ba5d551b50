"""The images of the tests are real: imported, unpacked and stacked, their programs run."""

import contextlib
import os
import subprocess
from collections.abc import Iterator, Mapping
from io import BytesIO
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest

from apps.images.archives import Imported, import_archive
from apps.images.blobs import BlobStore
from apps.images.busybox import BINARY, make_busybox, make_first_image
from apps.images.catalog import parse_name
from apps.images.errors import ImageError
from apps.images.progress import Progress
from apps.images.resolve import resolve
from nodeworker.images import ImageStore, ReadyImage
from nodeworker.images.types import Response
from tests.images.make_images import make_images

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it mounts and changes its root directory"),
]


class Answer(BytesIO):
    status = 200

    def getheader(self, name: str, default: str, /) -> str:
        return default


class Api:
    """The API without the web between: what the view answers."""

    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs

    @contextlib.contextmanager
    def request(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        timeout: float = 30.0,
    ) -> Iterator[Response]:
        query = parse_qs(urlsplit(path).query)
        try:
            answer = Answer(msgspec.json.encode(resolve(self._blobs, query["reference"][0], query["policy"][0])))
        except ImageError as error:
            answer = Answer(b"{}")
            answer.status = error.status
        yield answer


def load(blobs: BlobStore, path: Path) -> Imported:
    def ignore(_progress: Progress) -> None:
        pass

    with path.open("rb") as stream:
        return import_archive(blobs, stream, ignore)[0]


@contextlib.contextmanager
def stacked(image: ReadyImage, folder: Path) -> Iterator[Path]:
    """Stack the layers as the runtime does."""
    for name in ("upper", "work", "root"):
        (folder / name).mkdir(parents=True)
    lower = ":".join(str(path) for path in image.lower_directories)
    options = f"lowerdir={lower},upperdir={folder / 'upper'},workdir={folder / 'work'}"
    mounted = subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, folder / "root"], check=False)
    if mounted.returncode != 0:
        pytest.skip("cannot mount an overlay here")
    try:
        yield folder / "root"
    finally:
        subprocess.run(["umount", folder / "root"], check=True)


def run(root: Path, *command: str) -> str:
    answer = subprocess.run(["chroot", root, *command], capture_output=True, text=True, check=False, timeout=30)
    assert answer.returncode == 0, answer.stderr
    return answer.stdout + answer.stderr


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A folder that can hold the upper directory of an overlay, which one on another overlay cannot."""
    if subprocess.run(["mount", "-t", "tmpfs", "tmpfs", tmp_path], check=False).returncode != 0:
        pytest.skip("cannot mount a tmpfs here")
    try:
        yield tmp_path
    finally:
        subprocess.run(["umount", "-l", tmp_path], check=True)


def test_nginx_and_debian_run_from_the_images_made_of_packages(home: Path) -> None:
    blobs = BlobStore(home / "blobs")
    imported = [load(blobs, path) for path in make_images()]
    store = ImageStore(home / "node", Api(blobs), home / "blobs")
    old, new, debian = [store.ensure(name, "IfNotPresent") for name in ("nginx:1.7.9", "nginx", "debian")]
    assert old.digest == imported[0].image.digest and old.digest != new.digest
    assert old.lower_directories[1:] == new.lower_directories[1:]
    assert old.lower_directories[2:] == debian.lower_directories
    with stacked(new, home / "new") as root:
        (root / "dev/null").touch()
        assert "nginx/1." in run(root, "nginx", "-v")
        assert run(root, "/bin/sh", "-c", "id -un && ls /bin/ps") == "root\n/bin/ps\n"
        assert "This is nginx:latest" in (root / "usr/share/nginx/html/index.html").read_text()
    with stacked(debian, home / "debian") as root:
        assert run(root, "bash", "-c", "cat /etc/debian_version").startswith("12")


@pytest.mark.skipif(not BINARY.exists(), reason="busybox-static is not installed")
def test_busybox_is_made_of_the_machines_own_and_runs(home: Path) -> None:
    blobs = BlobStore(home / "blobs")
    imported = make_first_image(blobs)
    assert imported is not None and imported.names == [str(parse_name("busybox"))]
    assert make_first_image(blobs) is None
    assert make_busybox(blobs).image == imported.image
    store = ImageStore(home / "node", Api(blobs), home / "blobs")
    with stacked(store.ensure("busybox", "Always"), home / "pod") as root:
        assert run(root, "sh", "-c", "echo $((6 * 7)); ls /usr/sbin/httpd; id -un") == "42\n/usr/sbin/httpd\nroot\n"
