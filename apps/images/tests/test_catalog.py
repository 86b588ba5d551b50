"""What nodes report, and the digest rule of names."""

import io
from pathlib import Path

import pytest

from apps.images.archives import import_archive
from apps.images.blobs import BlobStore
from apps.images.catalog import find, parse_name, set_node_images
from apps.images.models import Image, NodeImage
from apps.images.tests.archives import docker_archive, layer

pytestmark = pytest.mark.django_db


@pytest.fixture
def blobs(tmp_path: Path) -> BlobStore:
    return BlobStore(tmp_path / "blobs")


def load(blobs: BlobStore, text: str, *names: str) -> Image:
    return import_archive(blobs, io.BytesIO(docker_archive(layer(a=text), tags=names)), lambda _: None)[0].image


def reported(*images: Image) -> list[dict[str, object]]:
    return [
        {"names": [f"docker.io/shop/web@{image.digest}", "docker.io/shop/web:1"], "sizeBytes": 1} for image in images
    ]


def test_what_a_node_reports_is_recorded_and_forgotten(blobs: BlobStore) -> None:
    one, two = load(blobs, "1", "a:1"), load(blobs, "2", "b:1")
    set_node_images("n1", reported(one, two))
    set_node_images("n2", reported(two))
    set_node_images("n1", reported(two))
    assert set(NodeImage.objects.values_list("node", "image__digest")) == {("n1", two.digest), ("n2", two.digest)}
    set_node_images("n2", [])
    assert NodeImage.objects.get().node == "n1"


def test_an_image_that_only_a_node_knows_is_left_out(blobs: BlobStore) -> None:
    set_node_images("n1", [{"names": ["docker.io/x/y@sha256:" + "0" * 64]}, {"names": ["x:1"]}, {}])
    assert not NodeImage.objects.exists()


def test_an_image_is_found_by_its_digest_whatever_name_stands_before(blobs: BlobStore) -> None:
    image = load(blobs, "1", "a:1")
    assert find(parse_name(f"other/name@{image.digest}")) == image
    assert find(parse_name("a:1")) == image and find(parse_name("a:2")) is None


def test_the_stamp_that_a_node_looks_at_changes_when_a_name_moves(blobs: BlobStore) -> None:
    load(blobs, "1", "a:1")
    before = (blobs.root / "names.stamp").stat()
    load(blobs, "2", "a:1")
    after = (blobs.root / "names.stamp").stat()
    assert (before.st_ino, before.st_mtime_ns) != (after.st_ino, after.st_mtime_ns)
