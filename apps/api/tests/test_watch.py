"""watch over the real server: nothing is missed, everything ends when it must."""

import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
import pytest

from tests.servers import ApiServer

Event = dict[str, Any]


@contextmanager
def watching(client: httpx2.Client, path: str, **params: str) -> Iterator[Iterator[Event]]:
    with client.stream("GET", path, params={"watch": "true", **params}) as answer:
        assert answer.status_code == 200
        yield (json.loads(line) for line in answer.iter_lines())


def told(event: Event) -> tuple[str, str]:
    return event["type"], event["object"]["metadata"].get("name", "")


def config_map(name: str, **labels: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": labels}}


def test_a_watch_without_revision_tells_the_present_first(api_server: ApiServer, namespace: str) -> None:
    url = f"/api/v1/namespaces/{namespace}/configmaps"
    with api_server.client() as client, api_server.client() as writer:
        writer.post(url, json=config_map("a")).raise_for_status()
        with watching(client, url, timeoutSeconds="20") as events:
            assert told(next(events)) == ("ADDED", "a")
            writer.post(url, json=config_map("b"))
            writer.delete(f"{url}/a")
            assert [told(next(events)), told(next(events))] == [("ADDED", "b"), ("DELETED", "a")]


def test_a_watch_from_a_revision_tells_exactly_what_came_after(api_server: ApiServer, namespace: str) -> None:
    url = f"/api/v1/namespaces/{namespace}/configmaps"
    with api_server.client() as client:
        first = client.post(url, json=config_map("a")).json()["metadata"]["resourceVersion"]
        client.post(url, json=config_map("b"))
        client.delete(f"{url}/a")
        with watching(client, url, resourceVersion=first, timeoutSeconds="1") as events:
            assert [told(event) for event in events] == [("ADDED", "b"), ("DELETED", "a")]


def test_leaving_a_selector_is_a_deletion(api_server: ApiServer, namespace: str) -> None:
    url = f"/api/v1/namespaces/{namespace}/configmaps"
    patch = {"content-type": "application/merge-patch+json"}
    with api_server.client() as client:
        first = client.post(url, json=config_map("a", app="web")).json()["metadata"]["resourceVersion"]
        client.patch(f"{url}/a", json={"metadata": {"labels": {"app": "other"}}}, headers=patch)
        client.patch(f"{url}/a", json={"metadata": {"labels": {"app": "web"}}}, headers=patch)
        options = {"resourceVersion": first, "labelSelector": "app=web", "timeoutSeconds": "1"}
        with watching(client, url, **options) as events:
            assert [told(event) for event in events] == [("DELETED", "a"), ("ADDED", "a")]


def test_an_informer_gets_its_initial_events_and_the_bookmark_that_ends_them(
    api_server: ApiServer, namespace: str
) -> None:
    url = f"/api/v1/namespaces/{namespace}/configmaps"
    options = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan", "allowWatchBookmarks": "true"}
    with api_server.client() as client:
        client.post(url, json=config_map("a"))
        with watching(client, url, timeoutSeconds="1", **options) as events:
            assert told(next(events)) == ("ADDED", "a")
            mark = next(events)
    assert mark["type"] == "BOOKMARK"
    assert mark["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
    assert int(mark["object"]["metadata"]["resourceVersion"]) > 0


def test_a_revision_of_the_future_is_refused(api_server: ApiServer) -> None:
    with api_server.client() as client:
        answer = client.get("/api/v1/pods?watch=true&resourceVersion=999999999")
    assert (answer.status_code, answer.json()["reason"]) == (504, "Timeout")


def test_a_table_watch_names_its_columns_once(api_server: ApiServer, namespace: str) -> None:
    url = f"/api/v1/namespaces/{namespace}/configmaps"
    with api_server.client() as client:
        client.headers["accept"] = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
        for name in ("a", "b"):
            client.post(url, json=config_map(name)).raise_for_status()
        with watching(client, url, timeoutSeconds="1") as events:
            tables = [event["object"] for event in events]
    assert [bool(table["columnDefinitions"]) for table in tables] == [True, False]
    assert [table["rows"][0]["cells"][0] for table in tables] == ["a", "b"]


def test_a_watch_ends_at_its_timeout(api_server: ApiServer) -> None:
    started = time.monotonic()
    with api_server.client() as client, watching(client, "/api/v1/nodes", timeoutSeconds="1") as events:
        list(events)
    assert 0.9 < time.monotonic() - started < 3


def test_a_watch_ends_within_five_seconds_of_its_token(api_server: ApiServer) -> None:
    with api_server.client() as admin, api_server.client("") as client:
        token = admin.post("/rest/v1/tokens", json={"name": "short"}).json()
        client.headers["authorization"] = f"Bearer {token['token']}"
        with watching(client, "/api/v1/nodes", timeoutSeconds="60") as events:
            assert admin.delete(f"/rest/v1/tokens/{token['id']}").status_code == 204
            started = time.monotonic()
            list(events)
    assert time.monotonic() - started < 5.5


def test_many_watches_see_every_change_in_order(api_server: ApiServer, namespace: str) -> None:
    url = f"/api/v1/namespaces/{namespace}/configmaps"
    seen: list[list[str]] = [[] for _ in range(5)]
    ready = threading.Barrier(6, timeout=20)

    def follow(mine: list[str]) -> None:
        with api_server.client() as client, watching(client, url, timeoutSeconds="20") as events:
            assert told(next(events)) == ("ADDED", "start")
            ready.wait()
            while len(mine) < 50:
                mine.append(told(next(events))[1])

    with api_server.client() as client:
        client.post(url, json=config_map("start"))
        threads = [threading.Thread(target=follow, args=(mine,)) for mine in seen]
        for thread in threads:
            thread.start()
        ready.wait()
        for number in range(50):
            client.post(url, json=config_map(f"c{number}")).raise_for_status()
        for thread in threads:
            thread.join(20)
    assert seen == [[f"c{number}" for number in range(50)]] * 5


@pytest.mark.timeout(60)
def test_a_client_that_does_not_read_holds_up_nobody(api_server: ApiServer, namespace: str) -> None:
    url = f"/api/v1/namespaces/{namespace}/configmaps"
    host, _, port = api_server.instance.api_listen.rpartition(":")
    with ssl.create_default_context(cafile=str(api_server.home / "pki" / "ca.crt")).wrap_socket(
        socket.create_connection((host, int(port))), server_hostname=host
    ) as silent:
        request = (
            f"GET {url}?watch=true HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {api_server.tokens['admin']}\r\n\r\n"
        )
        silent.sendall(request.encode())
        with api_server.client() as client:
            for number in range(30):
                body = config_map(f"c{number}") | {"data": {"a": "x" * 300_000}}
                client.post(url, json=body).raise_for_status()
            started = time.monotonic()
            client.get(f"{url}/c0").raise_for_status()
            assert time.monotonic() - started < 1
