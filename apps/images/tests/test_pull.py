"""Pulls from a registry that is honest, slow, broken or hostile; each failure is one sentence and leaves nothing."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from apps.images import registry as registry_module
from apps.images.blobs import BlobStore
from apps.images.errors import ImageError, NoSpace, PullFailed
from apps.images.models import Image, ImageName, Source
from apps.images.progress import Progress
from apps.images.pull import pull
from apps.images.registry import is_insecure
from apps.images.tests.archives import config, descriptor, layer, oci_documents, sha
from apps.images.tests.registries import Registry, Reply, running, with_tokens
from nodeworker.wire.reference import parse_reference

pytestmark = pytest.mark.django_db(transaction=True)
ONE, TWO = layer(a="one" * 5000), layer(b="two" * 5000)
INDEX = "application/vnd.oci.image.index.v1+json"


@pytest.fixture
def store(tmp_path: Path) -> BlobStore:
    return BlobStore(tmp_path / "blobs")


@pytest.fixture
def registry() -> Iterator[Registry]:
    with running() as registry:
        yield registry


def get(store: BlobStore, registry: Registry, name: str = "shop/web:1") -> Image:
    return pull(store, f"{registry.host}/{name}", ignore)


def ignore(_progress: Progress) -> None:
    pass


def refusal(store: BlobStore, registry: Registry, name: str = "shop/web:1") -> str:
    with pytest.raises(ImageError) as caught:
        get(store, registry, name)
    assert caught.value.reason == "ErrImagePull"
    assert not Image.objects.exists() and list((store.root / "incoming").iterdir()) == []
    return caught.value.message


def changed(manifest: bytes, **more: Any) -> bytes:
    return json.dumps(json.loads(manifest) | more).encode()


def test_an_image_is_pulled_and_its_name_points_to_it(store: BlobStore, registry: Registry) -> None:
    manifest, blobs = registry.add("shop/web", "1", ONE, TWO)
    image = get(store, registry)
    assert image.digest == f"sha256:{sha(manifest)}" and all(store.has(digest) for digest in blobs)
    assert ImageName.objects.get().source == Source.PULLED


def test_a_second_pull_fetches_no_layer_again(store: BlobStore, registry: Registry) -> None:
    registry.add("shop/web", "1", ONE)
    get(store, registry)
    registry.asked.clear()
    get(store, registry)
    assert [path for path, _ in registry.asked] == ["/v2/shop/web/manifests/1"]


def test_a_moved_tag_brings_the_new_image(store: BlobStore, registry: Registry) -> None:
    registry.add("shop/web", "1", ONE)
    old = get(store, registry)
    registry.add("shop/web", "1", TWO)
    assert get(store, registry).digest != old.digest and not old.names.exists()


def test_a_digest_may_be_pulled(store: BlobStore, registry: Registry) -> None:
    manifest, _ = registry.add("shop/web", "1", ONE)
    name = f"shop/web@sha256:{sha(manifest)}"
    assert get(store, registry, name).names.get().reference == f"{registry.host}/{name}"


def test_the_image_for_this_machine_is_chosen(store: BlobStore, registry: Registry) -> None:
    manifest, _ = registry.add("shop/web", "x", ONE)
    machine = json.loads(config(ONE))["architecture"]
    other = descriptor(
        b"{}", "application/vnd.oci.image.manifest.v1+json", platform={"os": "linux", "architecture": "s390x"}
    )
    mine = descriptor(
        manifest, "application/vnd.oci.image.manifest.v1+json", platform={"os": "linux", "architecture": machine}
    )
    index = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [other, mine]}).encode()
    registry.add_manifest("shop/web", "1", index, INDEX)
    assert get(store, registry).digest == f"sha256:{sha(manifest)}"


def test_a_token_is_fetched_and_used(store: BlobStore, registry: Registry) -> None:
    registry.add("shop/web", "1", ONE)
    with_tokens(registry)
    get(store, registry)
    assert ("/v2/shop/web/manifests/1", "Bearer let-me-in/repository:shop/web:pull") in registry.asked


def test_a_token_is_not_sent_to_where_a_blob_is_redirected(store: BlobStore, registry: Registry) -> None:
    """CVE-2020-15157."""
    _, blobs = registry.add("shop/web", "1", ONE)
    with running() as elsewhere:
        for digest, data in blobs.items():
            elsewhere.replies[f"/cdn/{digest}"] = Reply(body=data)
            location = {"Location": f"http://{elsewhere.host}/cdn/{digest}"}
            registry.replies[f"/v2/shop/web/blobs/{digest}"] = Reply(307, headers=location)
        with_tokens(registry)
        get(store, registry)
        assert elsewhere.asked and all(not authorization for _, authorization in elsewhere.asked)


def test_a_layer_that_breaks_off_is_continued(store: BlobStore, registry: Registry) -> None:
    manifest, blobs = registry.add("shop/web", "1", ONE)
    digest = json.loads(manifest)["layers"][0]["digest"]
    path = f"/v2/shop/web/blobs/{digest}"
    cut = iter([Reply(body=blobs[digest], sends=len(blobs[digest]) // 2)])
    registry.hook = lambda asked, _: next(cut, None) if asked == path else None
    get(store, registry)
    assert [asked for asked, _ in registry.asked].count(path) == 2


def test_a_layer_that_breaks_off_again_and_again_is_given_up(store: BlobStore, registry: Registry) -> None:
    manifest, blobs = registry.add("shop/web", "1", ONE)
    digest = json.loads(manifest)["layers"][0]["digest"]
    registry.replies[f"/v2/shop/web/blobs/{digest}"] = Reply(body=blobs[digest], sends=0)
    assert "failed" in refusal(store, registry)


def test_a_layer_with_another_content_is_refused(store: BlobStore, registry: Registry) -> None:
    manifest, blobs = registry.add("shop/web", "1", ONE)
    digest = json.loads(manifest)["layers"][0]["digest"]
    registry.replies[f"/v2/shop/web/blobs/{digest}"] = Reply(body=blobs[digest][:-1] + b"x")
    assert "was announced" in refusal(store, registry)
    assert not store.has(digest)


def test_a_layer_longer_than_announced_is_refused(store: BlobStore, registry: Registry) -> None:
    manifest, blobs = registry.add("shop/web", "1", ONE)
    digest = json.loads(manifest)["layers"][0]["digest"]
    registry.replies[f"/v2/shop/web/blobs/{digest}"] = Reply(body=blobs[digest] + b"more")
    assert "is longer than" in refusal(store, registry)


def test_a_manifest_with_another_digest_is_refused(store: BlobStore, registry: Registry) -> None:
    manifest, _ = registry.add("shop/web", "1", ONE)
    name = f"shop/web@sha256:{sha(manifest)}"
    registry.replies[f"/v2/shop/web/manifests/sha256:{sha(manifest)}"].body = manifest + b" "
    assert "was asked for" in refusal(store, registry, name)


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"manifests": []}, "an index and an image at once"),
        ({"mediaType": INDEX}, "calls itself"),
        ({"schemaVersion": 1}, "old schema 1"),
        ({"config": []}, "is not one"),
        ({"layers": [descriptor(b"x", "application/vnd.cncf.helm.chart.content.v1.tar+gzip")]}, "no container layer"),
        ({"layers": [descriptor(b"x", "")] * 200}, "is not one"),
        ({"layers": [{"mediaType": "", "digest": "sha256:../../x", "size": 1}]}, "is not one"),
        ({"layers": [{"mediaType": "", "digest": "sha512:" + "0" * 128, "size": 1}]}, "is not one"),
        ({"layers": [descriptor(b"x", "", urls=["http://169.254.169.254/"])]}, "kept outside of the registry"),
        ({"layers": [descriptor(b"x", "") | {"size": -1}]}, "is not one"),
        ({"config": descriptor(b"x", "application/vnd.cncf.helm.config.v1+json")}, "no container image"),
        ({"layers": []}, "lists 1 layers, the manifest 0"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_manifest_that_is_wrong_is_refused(
    store: BlobStore, registry: Registry, more: dict[str, Any], sentence: str
) -> None:
    manifest, _ = registry.add("shop/web", "1", ONE)
    registry.add_manifest("shop/web", "1", changed(manifest, **more))
    assert sentence in refusal(store, registry)


def test_a_manifest_of_a_hundred_megabytes_is_refused(store: BlobStore, registry: Registry) -> None:
    registry.add_manifest("shop/web", "1", b" " * (100 << 20))
    assert "larger than" in refusal(store, registry)


def test_a_manifest_nested_without_end_is_refused(store: BlobStore, registry: Registry) -> None:
    registry.add_manifest("shop/web", "1", b"[" * 100_000)
    assert "is not one" in refusal(store, registry) or "too deep" in refusal(store, registry)


def test_indexes_in_indexes_come_to_an_end(store: BlobStore, registry: Registry) -> None:
    document, _ = oci_documents(ONE)
    for depth in range(50):
        entry = descriptor(document, INDEX if depth else "application/vnd.oci.image.manifest.v1+json")
        document = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]}).encode()
        registry.add_manifest("shop/web", "1", document, INDEX)
    assert "nested more than" in refusal(store, registry)


@pytest.mark.parametrize(
    ("reply", "sentence"),
    [
        (Reply(404), r"was not found at .*import it with"),
        (Reply(401), r"pull access denied"),
        (Reply(401, headers={"WWW-Authenticate": 'Basic realm="x"'}), r"pull access denied"),
        (Reply(403), r"pull access denied"),
        (Reply(429, headers={"Retry-After": "30"}), r"limits the rate of pulls \(429\): try again in 30 seconds"),
        (Reply(503), r"answered 503"),
        (Reply(302), r"redirects to nowhere"),
        (Reply(302, headers={"Location": "gopher://x/"}), r"no web address"),
    ],
    ids=["404", "401", "basic", "403", "429", "503", "nowhere", "gopher"],
)
def test_each_refusal_has_its_sentence(store: BlobStore, registry: Registry, reply: Reply, sentence: str) -> None:
    registry.replies["/v2/shop/web/manifests/1"] = reply
    with pytest.raises(PullFailed, match=sentence):
        get(store, registry)


def test_a_registry_that_redirects_in_a_circle_is_left(store: BlobStore, registry: Registry) -> None:
    path = "/v2/shop/web/manifests/1"
    registry.replies[path] = Reply(302, headers={"Location": path})
    assert "redirects more than" in refusal(store, registry)


def test_a_registry_that_is_not_there_refused_the_connection(store: BlobStore) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(PullFailed, match="refused the connection"):
        pull(store, f"{host}/shop/web", ignore)


def test_a_registry_that_says_nothing_is_left(store: BlobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry_module, "_TIMEOUT", httpx2.Timeout(0.2))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        host = f"127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(PullFailed, match="did not answer in time"):
            pull(store, f"{host}/shop/web", ignore)


def test_a_registry_that_speaks_no_tls_is_told_so(
    store: BlobStore, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry_module, "is_insecure", lambda _: False)
    with pytest.raises(PullFailed, match="no TLS connection"):
        get(store, registry)


def test_a_name_that_does_not_resolve_is_told_so(store: BlobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(PullFailed, match="cannot be resolved"):
        pull(store, "registry.invalid/shop/web", ignore)


@pytest.mark.parametrize("target", ["http://example.com/token", "http://169.254.169.254/latest"])
def test_a_public_registry_may_not_lead_to_plain_http(target: str) -> None:
    with (
        registry_module.Registry(parse_reference("example.com/shop/web")) as client,
        pytest.raises(PullFailed, match="without encryption"),
    ):
        client._check_target(target, "redirects")


@pytest.mark.parametrize("host", ["127.0.0.1", "169.254.169.254", "10.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0"])
def test_a_public_registry_may_not_lead_into_a_private_network(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    public = registry_module._is_private
    monkeypatch.setattr(registry_module, "_is_private", lambda name: name != "example.com" and public(name))
    with (
        registry_module.Registry(parse_reference("example.com/shop/web")) as client,
        pytest.raises(PullFailed, match="private address"),
    ):
        client._check_target(f"https://{host}/token", "sends for a token")


def test_a_layer_larger_than_the_disk_is_refused_before_it_is_fetched(store: BlobStore, registry: Registry) -> None:
    manifest, _ = registry.add("shop/web", "1", ONE)
    layers = [json.loads(manifest)["layers"][0] | {"size": 1 << 43}]
    registry.add_manifest("shop/web", "1", changed(manifest, layers=layers))
    with pytest.raises(NoSpace, match=r"needs 8796093022208 bytes"):
        get(store, registry)


@pytest.mark.parametrize(
    ("host", "insecure"),
    [
        ("localhost:5000", True),
        ("127.3.2.1", True),
        ("[::1]:5000", True),
        ("registry.lan:5000", True),
        ("ghcr.io", False),
    ],
)
def test_http_is_spoken_to_this_machine_and_where_it_was_allowed(
    host: str, insecure: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GANTRY_INSECURE_REGISTRIES", "registry.lan:5000, other.lan")
    assert is_insecure(host) is insecure
