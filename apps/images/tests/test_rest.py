"""The addresses under /rest/v1: who may what, what they answer, and uploads read while they arrive."""

import asyncio
import io
import json
from collections.abc import AsyncIterator, Iterator, MutableMapping
from pathlib import Path
from typing import Any

import pytest
from django.test import AsyncClient, Client, override_settings

from apps.access import authorize, identity
from apps.access.models import RoleGrant
from apps.access.tokens import make_token
from apps.images import upload
from apps.images.archives import import_archive
from apps.images.blobs import BlobStore
from apps.images.models import Image
from apps.images.tests.archives import docker_archive, layer, sha
from apps.images.tests.registries import Registry, running
from apps.store import transaction
from apps.store.rows import Origin

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("store")]
ONE = layer(a="one" * 1000)


@pytest.fixture(autouse=True)
def home(tmp_path: Path) -> Iterator[Path]:
    with override_settings(GANTRY_HOME=tmp_path):
        yield tmp_path


@pytest.fixture
def blobs(home: Path) -> BlobStore:
    return BlobStore(home / "blobs")


def token_of(name: str, role: str, django_user_model: Any) -> str:
    user = django_user_model.objects.create_user(name)
    RoleGrant.objects.create(user=user, role=role, namespace="")
    authorize.forget()
    identity.forget()
    return f"Bearer {make_token(user, 'test')[1]}"


@pytest.fixture
def alice(django_user_model: Any) -> str:
    return token_of("alice", "admin", django_user_model)


@pytest.fixture
def bob(django_user_model: Any) -> str:
    return token_of("bob", "edit", django_user_model)


@pytest.fixture
def charlie(django_user_model: Any) -> str:
    return token_of("charlie", "view", django_user_model)


def load(blobs: BlobStore, *names: str) -> Image:
    return import_archive(blobs, io.BytesIO(docker_archive(ONE, tags=names)), lambda _: None)[0].image


async def streamed(response: Any) -> bytes:
    pieces: AsyncIterator[bytes] = aiter(response.streaming_content)
    return b"".join([piece async for piece in pieces])


def said(body: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in body.splitlines()]


def test_a_name_is_resolved_with_all_that_a_node_needs(client: Client, blobs: BlobStore, charlie: str) -> None:
    image = load(blobs, "shop/web:1")
    answer = client.get("/rest/v1/images/resolve?reference=shop/web:1", headers={"Authorization": charlie}).json()
    assert answer["digest"] == image.digest and answer["reference"] == "docker.io/shop/web:1"
    assert answer["config"]["config"] == {"Cmd": ["sh"]}
    assert [each["diff_id"] for each in answer["layers"]] == [f"sha256:{sha(ONE)}"]


def test_what_was_imported_here_is_current_for_always(client: Client, blobs: BlobStore, charlie: str) -> None:
    load(blobs, "shop/web:1")
    address = "/rest/v1/images/resolve?reference=shop/web:1&policy=Always"
    assert client.get(address, headers={"Authorization": charlie}).status_code == 200


def test_what_was_pulled_is_asked_for_again_by_always(client: Client, blobs: BlobStore, charlie: str) -> None:
    load(blobs, "shop/web:1").names.update(source="pulled")
    address = "/rest/v1/images/resolve?reference=shop/web:1&policy="
    assert client.get(address + "Always", headers={"Authorization": charlie}).status_code == 404
    assert client.get(address + "IfNotPresent", headers={"Authorization": charlie}).status_code == 200
    assert client.get(address + "Never", headers={"Authorization": charlie}).status_code == 200


@pytest.mark.parametrize(
    ("query", "status", "sentence"),
    [
        ("reference=nothing", 404, "import it with ./gantry image import FILE"),
        ("reference=Shop", 400, "must be lowercase"),
        ("reference=a&policy=Sometimes", 400, "write IfNotPresent, Always or Never"),
        ("", 400, "the parameter reference is missing"),
    ],
)
def test_a_bad_question_is_answered_with_a_sentence(
    client: Client, charlie: str, query: str, status: int, sentence: str
) -> None:
    answer = client.get(f"/rest/v1/images/resolve?{query}", headers={"Authorization": charlie})
    assert answer.status_code == status and sentence in answer.json()["message"]


def test_nobody_is_told_nothing(client: Client) -> None:
    assert client.get("/rest/v1/images").status_code == 401
    assert client.get(f"/rest/v1/blobs/sha256:{sha(ONE)}").status_code == 401


def test_who_may_only_look_cannot_pull_or_remove(client: Client, blobs: BlobStore, charlie: str, bob: str) -> None:
    load(blobs, "shop/web:1")
    as_charlie, as_bob = {"Authorization": charlie}, {"Authorization": bob}
    body = json.dumps({"reference": "x"})
    assert client.post("/rest/v1/images/pull", body, "application/json", headers=as_charlie).status_code == 403
    assert client.post("/rest/v1/images/import", b"", "application/x-tar", headers=as_charlie).status_code == 403
    assert client.delete("/rest/v1/images?reference=shop/web:1", headers=as_charlie).status_code == 403
    assert client.delete("/rest/v1/images?reference=shop/web:1", headers=as_bob).status_code == 403


def test_images_are_listed(client: Client, blobs: BlobStore, charlie: str) -> None:
    load(blobs, "shop/web:1", "nginx")
    [listed] = client.get("/rest/v1/images", headers={"Authorization": charlie}).json()["items"]
    assert listed["names"] == ["nginx:latest", "shop/web:1"] and listed["source"] == "imported"


def test_the_last_name_takes_image_and_blobs_along(client: Client, blobs: BlobStore, alice: str) -> None:
    load(blobs, "a:1", "b:1")
    as_alice = {"Authorization": alice}
    assert client.delete("/rest/v1/images?reference=a:1", headers=as_alice).json() == {"removed": ["a:1"]}
    assert Image.objects.count() == 1 and blobs.digests()
    client.delete("/rest/v1/images?reference=b:1", headers=as_alice)
    assert Image.objects.count() == 0 and blobs.digests() == []


def test_an_image_that_a_pod_uses_is_kept_unless_forced(client: Client, blobs: BlobStore, alice: str) -> None:
    load(blobs, "shop/web:1")
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"containers": [{"name": "web", "image": "shop/web:1"}]},
    }
    transaction.create("Pod", pod, Origin("test"))
    refused = client.delete("/rest/v1/images?reference=shop/web:1", headers={"Authorization": alice})
    assert refused.status_code == 409 and "is used by the pod default/web" in refused.json()["message"]
    forced = client.delete("/rest/v1/images?reference=shop/web:1&force=1", headers={"Authorization": alice})
    assert forced.status_code == 200 and not Image.objects.exists()


async def test_a_blob_is_read_whole_from_a_place_on_and_not_again(
    async_client: AsyncClient, blobs: BlobStore, charlie: str
) -> None:
    await asyncio.to_thread(load, blobs, "shop/web:1")
    address = f"/rest/v1/blobs/sha256:{sha(ONE)}"
    whole = await async_client.get(address, headers={"Authorization": charlie, "Accept-Encoding": "gzip"})
    assert await streamed(whole) == ONE and whole["Content-Length"] == str(len(ONE))
    rest = await async_client.get(address, headers={"Authorization": charlie, "Range": "bytes=1000-"})
    assert await streamed(rest) == ONE[1000:] and rest["Content-Range"] == f"bytes 1000-{len(ONE) - 1}/{len(ONE)}"
    piece = await async_client.get(address, headers={"Authorization": charlie, "Range": "bytes=0-9"})
    assert (piece.status_code, await streamed(piece)) == (206, ONE[:10])
    beyond = await async_client.get(address, headers={"Authorization": charlie, "Range": "bytes=99999999-"})
    known = await async_client.get(address, headers={"Authorization": charlie, "If-None-Match": whole["ETag"]})
    assert (beyond.status_code, known.status_code) == (416, 304)


@pytest.mark.parametrize(("digest", "status"), [("sha256:" + "0" * 64, 404), ("sha256:..%2f..%2fx", 404), ("x", 400)])
def test_a_blob_that_is_none_is_not_found(client: Client, charlie: str, digest: str, status: int) -> None:
    assert client.get(f"/rest/v1/blobs/{digest}", headers={"Authorization": charlie}).status_code == status


@pytest.fixture
def registry() -> Iterator[Registry]:
    with running() as registry:
        yield registry


async def test_a_pull_says_what_it_does(async_client: AsyncClient, registry: Registry, bob: str) -> None:
    manifest, _ = registry.add("shop/web", "1", ONE)
    body = json.dumps({"reference": f"{registry.host}/shop/web:1"})
    headers = {"Authorization": bob}
    answer = await async_client.post("/rest/v1/images/pull", body, "application/json", headers=headers)
    lines = said(await streamed(answer))
    assert lines[0]["status"] == "Resolving" and lines[-1]["done"]["digest"] == f"sha256:{sha(manifest)}"


async def test_a_pull_that_fails_says_why(async_client: AsyncClient, registry: Registry, bob: str) -> None:
    body = json.dumps({"reference": f"{registry.host}/shop/web:1"})
    headers = {"Authorization": bob}
    answer = await async_client.post("/rest/v1/images/pull", body, "application/json", headers=headers)
    last = said(await streamed(answer))[-1]
    assert last["reason"] == "ErrImagePull" and "was not found at" in last["error"]


async def uploaded(
    archive: bytes, token: str, query: bytes = b"", *, ends: bool = True
) -> tuple[int, list[dict[str, Any]]]:
    """Send an archive to the streaming address in pieces; return status and lines."""
    pieces = [archive[at : at + 5000] for at in range(0, len(archive), 5000)]
    messages: list[dict[str, Any]] = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    messages.append({"type": "http.request", "body": b"", "more_body": False} if ends else {"type": "http.disconnect"})
    sent: list[dict[str, Any]] = []

    async def receive() -> MutableMapping[str, Any]:
        return messages.pop(0)

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(dict(message))

    headers = [(b"host", b"localhost"), (b"authorization", token.encode())]
    scope = {"type": "http", "method": "POST", "path": upload.PATH, "headers": headers, "query_string": query}
    await upload.application(scope | {"gantry.listener": "api"}, receive, send)
    return sent[0]["status"], said(sent[1]["body"])


async def test_an_upload_is_imported_while_it_arrives(bob: str) -> None:
    status, lines = await uploaded(docker_archive(ONE), bob, b"name=shop%2Fmine")
    assert status == 200 and lines[-1]["done"]["images"][0]["names"] == ["shop/mine:latest"]


async def test_a_corrupt_upload_is_refused_with_the_cause(bob: str, blobs: BlobStore) -> None:
    status, lines = await uploaded(docker_archive(ONE)[:4000] + b"x" * 20_000, bob)
    assert status == 400 and "cannot be read" in lines[-1]["error"]
    assert blobs.digests() == []


async def test_an_upload_that_breaks_off_leaves_nothing(bob: str, blobs: BlobStore) -> None:
    _, lines = await uploaded(docker_archive(ONE)[:3000], bob, ends=False)
    assert "truncated" in lines[-1]["error"] and blobs.digests() == []
    assert list((blobs.root / "incoming").iterdir()) == []


async def test_an_upload_by_who_may_not_is_refused(charlie: str) -> None:
    assert (await uploaded(docker_archive(ONE), charlie))[0] == 403
    assert (await uploaded(docker_archive(ONE), "Bearer nonsense"))[0] == 401


async def test_the_same_import_through_django_gives_the_same_lines(async_client: AsyncClient, bob: str) -> None:
    headers = {"Authorization": bob}
    answer = await async_client.post(
        "/rest/v1/images/import", docker_archive(ONE), "application/x-tar", headers=headers
    )
    assert said(await streamed(answer))[-1]["done"]["images"][0]["names"] == ["shop/web:1"]


def test_the_admin_shows_images_to_staff_and_to_nobody_else(
    client: Client, blobs: BlobStore, django_user_model: Any
) -> None:
    image = load(blobs, "shop/web:1")
    addresses = ("/admin/images/image/", f"/admin/images/image/{image.pk}/change/", "/admin/images/layer/")
    client.force_login(django_user_model.objects.create_user("charlie"), "django.contrib.auth.backends.ModelBackend")
    assert [client.get(address).status_code for address in addresses] == [302, 302, 302]
    staff = django_user_model.objects.create_superuser("alice")
    client.force_login(staff, "django.contrib.auth.backends.ModelBackend")
    pages = [client.get(address) for address in addresses]
    assert [page.status_code for page in pages] == [200, 200, 200]
    assert "docker.io/shop/web:1" in pages[0].content.decode()
    assert client.post(addresses[1], {}).status_code == 403
