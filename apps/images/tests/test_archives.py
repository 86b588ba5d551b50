"""Imports: what honest tools write is read; a sentence names what is wrong with the rest, and nothing is left."""

import errno
import gzip
import io
import json
from pathlib import Path

import pytest
import zstandard

from apps.images import archives
from apps.images.archives import import_archive
from apps.images.blobs import BlobStore
from apps.images.catalog import collect
from apps.images.errors import ImageError, InvalidImage, InvalidName, NoSpace
from apps.images.models import Image, ImageName, Layer
from apps.images.progress import Progress
from apps.images.tests.archives import (
    config,
    docker_archive,
    docker_files,
    layer,
    oci_archive,
    oci_documents,
    oci_files,
    oci_index,
    sha,
    tar,
)

pytestmark = pytest.mark.django_db
ONE, TWO = layer(a="one"), layer(b="two")


@pytest.fixture
def store(tmp_path: Path) -> BlobStore:
    return BlobStore(tmp_path / "blobs")


def load(store: BlobStore, archive: bytes, name: str = "") -> list[archives.Imported]:
    return import_archive(store, io.BytesIO(archive), ignore, name)


def ignore(_progress: Progress) -> None:
    pass


def refusal(store: BlobStore, archive: bytes) -> str:
    """Import what must be refused; check that nothing of it is left, and return the sentence."""
    with pytest.raises(ImageError) as caught:
        load(store, archive)
    assert not Image.objects.exists()
    assert list((store.root / "incoming").iterdir()) == []
    return caught.value.message


def test_a_docker_archive_is_imported_under_its_name(store: BlobStore) -> None:
    [imported] = load(store, docker_archive(ONE, TWO))
    assert imported.names == ["docker.io/shop/web:1"]
    assert [row.layer.diff_id for row in imported.image.image_layers.all()] == [
        f"sha256:{sha(ONE)}",
        f"sha256:{sha(TWO)}",
    ]
    assert store.has(imported.image.digest) and store.has(imported.image.config_digest)


def test_an_oci_archive_keeps_its_manifest_digest(store: BlobStore) -> None:
    manifest, _ = oci_documents(ONE, TWO)
    [imported] = load(store, oci_archive(ONE, TWO))
    assert imported.image.digest == f"sha256:{sha(manifest)}"
    assert imported.image.created is not None and imported.image.created.year == 2026


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress], ids=["gzip", "zstd"])
def test_a_compressed_archive_is_imported(store: BlobStore, pack: object) -> None:
    assert callable(pack)
    assert load(store, pack(docker_archive(ONE)))[0].names == ["docker.io/shop/web:1"]


def test_layers_that_are_links_to_others_are_followed(store: BlobStore) -> None:
    """Podman writes <id>/layer.tar as links to <digest>.tar; docker save did so for repeated layers."""
    files = docker_files(ONE)
    files[f"{sha(ONE)}.tar"] = files.pop(f"{sha(ONE)}/layer.tar")
    files[f"{sha(ONE)}/layer.tar"] = f"../{sha(ONE)}.tar"
    assert load(store, tar(files))[0].image.image_layers.count() == 1


def test_importing_again_moves_the_name_and_leaves_the_old_image_untagged(store: BlobStore) -> None:
    old = load(store, docker_archive(ONE))[0].image
    new = load(store, docker_archive(TWO))[0].image
    assert ImageName.objects.get(reference="docker.io/shop/web:1").image == new
    assert not old.names.exists()


def test_a_layer_of_two_images_is_stored_once(store: BlobStore) -> None:
    load(store, docker_archive(ONE, tags=("a:1",)))
    load(store, docker_archive(ONE, TWO, tags=("b:1",)))
    assert Layer.objects.count() == 2


def test_a_given_name_takes_the_place_of_those_in_the_archive(store: BlobStore) -> None:
    assert load(store, docker_archive(ONE), "mine")[0].names == ["docker.io/library/mine:latest"]


def test_an_archive_without_a_name_is_imported_untagged(store: BlobStore) -> None:
    assert load(store, docker_archive(ONE, tags=()))[0].names == []


def test_several_images_of_one_archive_are_imported(store: BlobStore) -> None:
    files = docker_files(ONE, tags=("a:1",)) | docker_files(TWO, tags=("b:1",))
    first, second = docker_files(ONE, tags=("a:1",)), docker_files(TWO, tags=("b:1",))
    both = [
        json.loads(str(each["manifest.json"], "utf-8"))[0]
        for each in (first, second)
        if isinstance(each["manifest.json"], bytes)
    ]
    files["manifest.json"] = json.dumps(both).encode()
    assert len(load(store, tar(files))) == 2


def test_progress_is_reported(store: BlobStore) -> None:
    seen: list[Progress] = []
    import_archive(store, io.BytesIO(docker_archive(ONE)), seen.append)
    assert [step.status for step in seen] == ["Verifying", "Imported"]


def test_what_is_no_archive_is_named_so(store: BlobStore) -> None:
    assert "not a tar archive" in refusal(store, b"MZ" * 4000)
    assert "empty" in refusal(store, b"")
    assert "holds no image" in refusal(store, tar({"readme": b"hello"}))


def test_a_truncated_archive_is_refused(store: BlobStore) -> None:
    whole = docker_archive(layer(a="x" * 100_000))
    assert "truncated" in refusal(store, whole[:60_000])
    assert "truncated" in refusal(store, gzip.compress(whole)[:-200])


def test_an_archive_that_lacks_a_layer_names_it(store: BlobStore) -> None:
    files = docker_files(ONE, TWO)
    del files[f"{sha(TWO)}/layer.tar"]
    assert f"lacks '{sha(TWO)}/layer.tar'" in refusal(store, tar(files))


def test_a_layer_that_is_not_the_one_of_the_configuration_is_refused(store: BlobStore) -> None:
    files = docker_files(ONE)
    files[f"{sha(ONE)}/layer.tar"] = TWO
    assert "is damaged: it unpacks to" in refusal(store, tar(files))


def test_an_oci_blob_with_another_digest_is_refused(store: BlobStore) -> None:
    files = oci_files(ONE)
    packed = next(name for name, data in files.items() if isinstance(data, bytes) and data.startswith(b"\x1f\x8b"))
    files[packed] = gzip.compress(TWO)
    assert "is damaged: its content has the digest" in refusal(store, tar(files))


def test_a_file_that_occurs_twice_is_refused(store: BlobStore) -> None:
    assert "'a' twice" in refusal(store, tar({"a": b"1"})[:1024] + tar({"a": b"2"}))


def test_a_bad_name_in_an_archive_is_refused(store: BlobStore) -> None:
    with pytest.raises(InvalidName, match="must be lowercase"):
        load(store, docker_archive(ONE, tags=("Shop/Web:1",)))


def test_names_cannot_lead_out_of_the_archive(store: BlobStore) -> None:
    files = docker_files(ONE)
    files[f"{sha(ONE)}/layer.tar"] = "/etc/passwd"
    assert "lacks" in refusal(store, tar(files))


def test_an_image_for_another_machine_says_for_which(store: BlobStore) -> None:
    manifest, _ = oci_documents(ONE)
    files = oci_files(ONE)
    index = oci_index(manifest, platform={"os": "linux", "architecture": "s390x"})
    inner = json.dumps(json.loads(index) | {"mediaType": "application/vnd.oci.image.index.v1+json"}).encode()
    files[f"blobs/sha256/{sha(inner)}"] = inner
    entry = {
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "digest": f"sha256:{sha(inner)}",
        "size": len(inner),
    }
    files["index.json"] = json.dumps({"schemaVersion": 2, "manifests": [entry]}).encode()
    assert "it is there for: linux/s390x" in refusal(store, tar(files))


def test_a_layer_that_is_a_bomb_is_refused(store: BlobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "_MAX_UNPACKED", 1 << 20)
    monkeypatch.setattr(archives, "_MAX_RATIO", 10)
    assert "unpacks to more than" in refusal(store, oci_archive(layer(a="0" * (4 << 20))))


def test_a_configuration_that_is_a_list_is_refused(store: BlobStore) -> None:
    files = docker_files(ONE)
    name = next(name for name in files if name.endswith(".json") and name != "manifest.json")
    files[name] = b"[]"
    assert "configuration is not one" in refusal(store, tar(files))


def test_a_full_disk_is_a_sentence_and_leaves_nothing(store: BlobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("apps.images.blobs.os.fsync", full)
    with pytest.raises(NoSpace, match=r"is full .*: free some space"):
        load(store, docker_archive(ONE))
    assert list((store.root / "incoming").iterdir()) == []


def test_what_a_refused_import_published_is_collected(store: BlobStore) -> None:
    store.put(b"nobody needs this")
    kept = load(store, docker_archive(ONE))[0].image
    assert collect(store) == 1
    assert store.has(kept.digest) and store.has(kept.config_digest) and store.has(f"sha256:{sha(ONE)}")


def test_nothing_is_collected_while_an_image_arrives(store: BlobStore) -> None:
    store.put(b"nobody needs this yet")
    with store.adding():
        assert collect(store) == 0


def test_a_half_written_blob_of_a_killed_process_is_removed(store: BlobStore) -> None:
    (store.root / "incoming" / "abandoned").write_bytes(b"half")
    with store.writer() as writer:
        writer.write(b"still at work")
        store.remove_abandoned()
        assert writer.commit() and not (store.root / "incoming" / "abandoned").exists()


@pytest.mark.parametrize("digest", ["sha256:../../x", "sha512:" + "0" * 128, "md5:abc", "", "sha256:" + "A" * 64])
def test_a_digest_that_is_none_never_becomes_a_path(store: BlobStore, digest: str) -> None:
    with pytest.raises(InvalidImage, match="is not a digest"):
        store.path(digest)


def test_a_blob_that_is_not_what_was_announced_is_not_published(store: BlobStore) -> None:
    with store.writer() as writer:
        writer.write(b"something else")
        with pytest.raises(InvalidImage, match="was announced"):
            writer.commit(f"sha256:{sha(b'this')}")
        with pytest.raises(InvalidImage, match="14 bytes arrived"):
            writer.commit(size=3)
    assert store.digests() == []


def test_the_configuration_must_list_as_many_layers_as_the_manifest(store: BlobStore) -> None:
    files = docker_files(ONE, TWO)
    document = config(ONE)
    files[f"{sha(document)}.json"] = document
    manifest = [
        {
            "Config": f"{sha(document)}.json",
            "RepoTags": [],
            "Layers": [f"{sha(ONE)}/layer.tar", f"{sha(TWO)}/layer.tar"],
        }
    ]
    files["manifest.json"] = json.dumps(manifest).encode()
    assert "lists 1 layers, the manifest 2" in refusal(store, tar(files))
