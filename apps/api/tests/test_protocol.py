"""The application without a server: called as ASGI, on a store of the test's own."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from apps.access.models import User
from apps.access.tokens import make_token
from apps.api import watches
from apps.api.application import application
from apps.api.asgi import Message
from apps.store import compaction, read
from apps.store.errors import StoreUnavailable
from apps.store.testing import store

__all__ = ["store"]


class Answer:
    """What the application sent, as it comes."""

    def __init__(self) -> None:
        self.messages: asyncio.Queue[Message] = asyncio.Queue()
        self.gone = asyncio.Event()

    async def send(self, message: Message) -> None:
        await self.messages.put(message)

    async def next_line(self) -> Any:
        message = await asyncio.wait_for(self.messages.get(), 10)
        return json.loads(message["body"])

    async def whole(self) -> tuple[int, dict[bytes, bytes], bytes]:
        start = await asyncio.wait_for(self.messages.get(), 10)
        body = b""
        while True:
            message = await asyncio.wait_for(self.messages.get(), 10)
            body += message["body"]
            if not message.get("more_body"):
                return start["status"], dict(start["headers"]), body


@pytest.fixture
def token(store: None) -> str:
    user = User.objects.create_superuser("alice")
    return make_token(user, "tests")[1]


def start(token: str, method: str, path: str, body: bytes = b"") -> tuple[Answer, "asyncio.Task[None]"]:
    answer = Answer()
    path, _, query = path.partition("?")
    headers = [(b"authorization", f"Bearer {token}".encode()), (b"host", b"localhost")]
    scope = {"type": "http", "method": method, "path": path, "query_string": query.encode(), "headers": headers}
    pieces = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def receive() -> Message:
        for piece in pieces:
            return piece
        await answer.gone.wait()
        return {"type": "http.disconnect"}

    task = asyncio.create_task(application(scope | {"gantry.listener": "api"}, receive, answer.send))
    return answer, task


async def ask(token: str, method: str, path: str, body: Any = None) -> tuple[int, dict[bytes, bytes], bytes]:
    answer, task = start(token, method, path, json.dumps(body).encode() if body is not None else b"")
    result = await answer.whole()
    await task
    return result


async def events(token: str, path: str) -> AsyncIterator[Any]:
    answer, task = start(token, "GET", path)
    assert (await answer.messages.get())["status"] == 200
    try:
        while True:
            yield await answer.next_line()
    finally:
        answer.gone.set()
        await task


def config_map(name: str) -> dict[str, Any]:
    return {"metadata": {"name": name}}


MAPS = "/api/v1/namespaces/default/configmaps"


async def test_a_list_is_the_stored_bytes(token: str) -> None:
    for name in ("a", "b"):
        await ask(token, "POST", MAPS, config_map(name))
    status, headers, body = await ask(token, "GET", MAPS)
    stored = [item.body for item in (await read.list_objects_async("ConfigMap", "default")).items]
    assert (status, headers[b"content-type"]) == (200, b"application/json")
    assert all(entry in body for entry in stored)
    assert json.loads(body)["kind"] == "ConfigMapList"


async def test_head_has_the_headers_of_get_and_no_body(token: str) -> None:
    _, headers, body = await ask(token, "HEAD", "/api/v1/namespaces/default")
    assert (int(headers[b"content-length"]) > 10, body) == (True, b"")


async def test_pretty_is_indented(token: str) -> None:
    assert b'\n  "kind": "Namespace"' in (await ask(token, "GET", "/api/v1/namespaces/default?pretty=true"))[2]


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/api/v1/namespaces/default"), ("PUT", MAPS), ("PATCH", MAPS), ("POST", "/api/v1/configmaps")],
)
async def test_a_method_that_is_not_there_is_405(token: str, method: str, path: str) -> None:
    assert (await ask(token, method, path, {}))[0] == 405


async def test_the_actor_and_the_request_enter_the_log(token: str) -> None:
    _, headers, _ = await ask(token, "POST", MAPS, config_map("a"))
    change = (await read.history_async("ConfigMap", "default", "a"))[0]
    assert (change.actor, change.request) == ("alice", headers[b"audit-id"].decode())


async def test_a_watch_from_a_compacted_revision_is_told_410(token: str) -> None:
    for number in range(5):
        await ask(token, "POST", MAPS, config_map(f"c{number}"))
    keep = compaction.Keep(age=timedelta(0), most=1, least=1)
    await asyncio.to_thread(compaction.compact, keep)
    async for event in events(token, f"{MAPS}?watch=true&resourceVersion=5"):
        assert (event["type"], event["object"]["code"], event["object"]["reason"]) == ("ERROR", 410, "Expired")
        break


async def test_a_quiet_watch_is_told_how_far_it_is(token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watches, "BOOKMARK_SECONDS", 0.05)
    revision = await read.current_revision_async()
    path = f"{MAPS}?watch=true&resourceVersion={revision}&allowWatchBookmarks=true"
    async for event in events(token, path):
        assert (event["type"], event["object"]["metadata"]["resourceVersion"]) == ("BOOKMARK", str(revision))
        break
    await ask(token, "POST", "/api/v1/namespaces", config_map("other"))
    async for event in events(token, path):
        if event["object"]["metadata"]["resourceVersion"] != str(revision):
            break  # a namespace is no config map, but the bookmark has moved on past it
    assert event["type"] == "BOOKMARK"


async def test_a_watch_ends_when_its_client_goes(token: str) -> None:
    answer, task = start(token, "GET", f"{MAPS}?watch=true")
    await answer.messages.get()
    answer.gone.set()
    await asyncio.wait_for(task, 5)


async def test_secrets_are_readable_by_who_may_read_them(token: str) -> None:
    secret = {"metadata": {"name": "s"}, "data": {"password": "aHVudGVyMg=="}}
    await ask(token, "POST", "/api/v1/namespaces/default/secrets", secret)
    _, _, body = await ask(token, "GET", "/api/v1/namespaces/default/secrets")
    assert json.loads(body)["items"][0]["data"] == {"password": "aHVudGVyMg=="}
    async for event in events(token, "/api/v1/namespaces/default/secrets?watch=true"):
        assert event["object"]["data"] == {"password": "aHVudGVyMg=="}
        break


async def test_a_store_that_cannot_be_reached_is_503(token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: object) -> None:
        raise StoreUnavailable("the database cannot be written: disk full")

    monkeypatch.setattr(read, "get_async", fail)
    status, _, body = await ask(token, "GET", f"{MAPS}/a")
    assert (status, json.loads(body)["message"]) == (503, "the database cannot be written: disk full")


async def test_a_bug_is_a_500_that_tells_nothing(
    token: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(*_: object) -> None:
        raise RuntimeError("the secret is hunter2")

    monkeypatch.setattr(read, "get_async", fail)
    status, _, body = await ask(token, "GET", f"{MAPS}/a")
    assert (status, b"hunter2" in body, "hunter2" in caplog.text) == (500, False, True)
