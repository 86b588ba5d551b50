"""The web process: its two listeners, its certificates, how it stops."""

import json
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import msgspec
import pytest

from dashboard.server import is_loopback, listeners, open_socket, split_address
from nodeworker.wire.instance import Instance
from tests.servers import ApiServer, running_server


@pytest.mark.parametrize(
    ("text", "expected"),
    [("127.0.0.1:8000", ("127.0.0.1", 8000)), ("[::1]:80", ("::1", 80)), (":6443", ("127.0.0.1", 6443))],
)
def test_addresses_are_split(text: str, expected: tuple[str, int]) -> None:
    assert split_address(text) == expected


@pytest.mark.parametrize("text", ["127.0.0.1", "", "localhost:http"])
def test_a_wrong_address_says_what_would_be_right(text: str) -> None:
    with pytest.raises(ValueError, match="it would be ADDRESS:PORT"):
        split_address(text)


def test_only_this_machine_is_loopback() -> None:
    assert [is_loopback(host) for host in ("127.0.0.1", "::1", "localhost", "0.0.0.0", "10.0.0.1", "example.com")] == [
        *(True, True, True),
        *(False, False, False),
    ]


def test_a_console_beyond_loopback_is_https(api_server: ApiServer) -> None:
    wide = msgspec.structs.replace(api_server.instance, listen="0.0.0.0:8000")
    console, api = listeners(api_server.home, wide)
    assert console.tls is not None
    assert console.tls.verify_mode == ssl.CERT_NONE
    assert api.tls is not None
    assert api.tls.verify_mode == ssl.CERT_OPTIONAL
    assert listeners(api_server.home, api_server.instance)[0].tls is None


def test_a_taken_port_is_one_sentence(api_server: ApiServer) -> None:
    taken = listeners(api_server.home, api_server.instance)[1]
    with pytest.raises(SystemExit, match=r"api: cannot listen on 127\.0\.0\.1:\d+: Address already in use"):
        open_socket(taken)


def test_tokens_count_on_both_listeners_and_pages_on_the_console_only(api_server: ApiServer) -> None:
    headers = {"authorization": f"Bearer {api_server.tokens['bob']}"}
    with httpx2.Client(base_url=api_server.console, headers=headers, trust_env=False) as console:
        assert console.get("/api/v1/namespaces").status_code == 200
        assert console.get("/accounts/login/").status_code == 200
    with api_server.client("bob") as api:
        assert api.get("/api/v1/namespaces").status_code == 200
        assert api.get("/accounts/login/").status_code == 404


def test_a_certificate_of_another_authority_is_no_certificate(api_server: ApiServer, tmp_path: Path) -> None:
    from apps.nodes.authority import ensure_authority, ensure_leaf

    ensure_authority(tmp_path, "stranger")
    ensure_leaf(tmp_path, "node", "system:node:n1", organizations=["system:nodes"], client=True)
    context = api_server.tls
    context.load_cert_chain(tmp_path / "node.crt", tmp_path / "node.key")
    with (
        httpx2.Client(base_url=api_server.url, verify=context, trust_env=False) as client,
        pytest.raises(httpx2.HTTPError),
    ):
        client.get("/api/v1/nodes")


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[ApiServer]:
    with running_server(tmp_path) as server:
        yield server


def test_it_stops_within_five_seconds_although_watches_are_open(own_server: ApiServer) -> None:
    ended = threading.Event()
    watching = threading.Event()

    def watch() -> None:
        with own_server.client() as client, client.stream("GET", "/api/v1/namespaces?watch=true") as answer:
            for line in answer.iter_lines():
                assert json.loads(line)["type"] == "ADDED"
                watching.set()
        ended.set()

    threading.Thread(target=watch, daemon=True).start()
    assert watching.wait(10)
    started = time.monotonic()
    own_server.process.terminate()
    assert own_server.process.wait(10) == 0
    assert time.monotonic() - started < 5
    assert ended.wait(5)
    assert "Traceback" not in (own_server.home / "log" / "web.log").read_text()


def test_the_instance_is_read_from_the_home(own_server: ApiServer) -> None:
    assert Instance.load(own_server.home) == own_server.instance
