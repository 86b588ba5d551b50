"""pods/log and pods/exec through the real server to a node's endpoint over mutual TLS."""

import asyncio
import json
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx2
import pytest
from kubernetes import client as kubernetes
from kubernetes.client.exceptions import ApiException
from kubernetes.stream import stream
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from apps.api.execs import V1, V4, V5, choose_protocol, translate_to_client
from apps.kinds.status import BadRequest
from tests.clients import newer_kubectl
from tests.fake_node import FakeNode, running_pod
from tests.servers import ApiServer


def core(server: ApiServer, user: str = "alice") -> kubernetes.CoreV1Api:
    configuration = kubernetes.Configuration()
    configuration.host = server.url
    configuration.ssl_ca_cert = str(server.home / "pki" / "ca.crt")
    configuration.api_key = {"authorization": f"Bearer {server.tokens[user]}"}
    return kubernetes.CoreV1Api(kubernetes.ApiClient(configuration))


def test_kubectl_prints_a_log(api_server: ApiServer, namespace: str, node: FakeNode) -> None:
    running_pod(api_server, namespace, "web")
    kubectl = api_server.kubectl("bob")
    assert kubectl.run("logs", "web", "-n", namespace).stdout == "first line\nsecond line\nthird line\n"
    assert kubectl.run("logs", "web", "-n", namespace, "--tail=1").stdout == "third line\n"


def test_options_reach_the_node_in_its_words(api_server: ApiServer, namespace: str, node: FakeNode) -> None:
    uid = running_pod(api_server, namespace, "web")
    params: dict[str, Any] = {"tailLines": 2, "timestamps": "true", "sinceSeconds": 60, "limitBytes": 1000}
    with api_server.client("bob") as client:
        client.get(f"/api/v1/namespaces/{namespace}/pods/web/log", params=params).raise_for_status()
    path, query = node.requests[-1]
    assert path == f"/v1/pods/{uid}/logs/main"
    assert query == {
        "format": ["text"],
        "tail": ["2"],
        "limit_bytes": ["1000"],
        "since_seconds": ["60"],
        "timestamps": ["true"],
    }


def test_a_followed_log_is_live_and_the_node_learns_when_the_client_goes(
    api_server: ApiServer, namespace: str, node: FakeNode
) -> None:
    running_pod(api_server, namespace, "web")
    node.left.clear()
    kubectl = api_server.kubectl("bob").start("logs", "-f", "web", "-n", namespace)
    assert kubectl.stdout is not None
    assert [kubectl.stdout.readline() for _ in range(3)][-1] == "third line\n"
    node.say("live")
    assert kubectl.stdout.readline() == "live\n"
    kubectl.kill()
    kubectl.wait()
    assert node.left.wait(10)


def test_a_container_must_be_named_when_there_are_two(api_server: ApiServer, namespace: str, node: FakeNode) -> None:
    running_pod(api_server, namespace, "two", containers=("a", "b"))
    log = f"/api/v1/namespaces/{namespace}/pods/two/log"
    with api_server.client() as client:
        answer = client.get(log)
        assert answer.json()["message"] == "a container name must be specified for pod two, choose one of: [a b]"
        assert client.get(log, params={"container": "b"}).status_code == 200
        assert client.get(log, params={"container": "c"}).status_code == 400
        assert "previous terminated" in client.get(log, params={"container": "a", "previous": "true"}).json()["message"]


def test_a_pod_without_a_node_has_no_log_yet(api_server: ApiServer, namespace: str) -> None:
    pod = {"metadata": {"name": "new"}, "spec": {"containers": [{"name": "a", "image": "b"}]}}
    with api_server.client() as client:
        client.post(f"/api/v1/namespaces/{namespace}/pods", json=pod)
        answer = client.get(f"/api/v1/namespaces/{namespace}/pods/new/log")
    assert (answer.status_code, answer.json()["message"]) == (400, "pod new does not have a host assigned")


@pytest.mark.parametrize(
    "wrong", ["tailLines=-1", "limitBytes=0", "sinceSeconds=0", "sinceTime=yesterday", "tailLines=x"]
)
def test_wrong_log_options_are_refused(api_server: ApiServer, namespace: str, node: FakeNode, wrong: str) -> None:
    running_pod(api_server, namespace, "web")
    with api_server.client() as client:
        answer = client.get(f"/api/v1/namespaces/{namespace}/pods/web/log?{wrong}")
    assert answer.status_code in (400, 422)


def test_a_node_that_is_not_the_one_expected_is_not_asked(
    api_server: ApiServer, namespace: str, node: FakeNode
) -> None:
    """n9 says that it lives at the address of n1: the certificate there names n1 and no other."""
    with api_server.client() as client:
        status = client.get("/api/v1/nodes/n1").json()["status"]
        client.post("/api/v1/nodes", json={"metadata": {"name": "n9"}})
        merge = {"content-type": "application/merge-patch+json"}
        client.patch("/api/v1/nodes/n9/status", json={"status": status}, headers=merge).raise_for_status()
        running_pod(api_server, namespace, "web", node="n9")
        asked = len(node.requests)
        answer = client.get(f"/api/v1/namespaces/{namespace}/pods/web/log")
    assert (answer.status_code, len(node.requests)) == (503, asked)
    assert 'node "n9" cannot be reached' in answer.json()["message"]


def test_the_python_client_runs_a_command(api_server: ApiServer, namespace: str, node: FakeNode) -> None:
    running_pod(api_server, namespace, "web")
    execute = core(api_server).connect_get_namespaced_pod_exec
    assert stream(execute, "web", namespace, command=["ls", "/"], stdout=True, stderr=True) == "ran ls /\n"


def test_the_python_client_has_a_conversation(api_server: ApiServer, namespace: str, node: FakeNode) -> None:
    running_pod(api_server, namespace, "web")
    execute = core(api_server).connect_get_namespaced_pod_exec
    options = {"stdout": True, "stderr": True, "stdin": True, "_preload_content": False}
    shell = stream(execute, "web", namespace, command=["sh"], **options)
    shell.write_stdin("hello\n")
    said = ""
    while "hello" not in said:
        said += shell.read_stdout(timeout=10)
    shell.write_stdin("exit 4")
    shell.run_forever(timeout=10)
    assert (said, shell.returncode) == ("ran sh\nhello\n", 4)


def test_a_viewer_may_not_open_a_shell(api_server: ApiServer, namespace: str, node: FakeNode) -> None:
    running_pod(api_server, namespace, "web")
    with pytest.raises(ApiException, match="403") as refused:
        stream(core(api_server, "bob").connect_get_namespaced_pod_exec, "web", namespace, command=["sh"], stdout=True)
    assert 'cannot create resource \\"pods/exec\\"' in str(refused.value)


def test_the_newer_kubectl_runs_a_command_with_input_and_exit_code(
    api_server: ApiServer, namespace: str, node: FakeNode
) -> None:
    running_pod(api_server, namespace, "web")
    kubectl = api_server.kubectl("alice", newer_kubectl())
    assert kubectl.run("exec", "-n", namespace, "web", "--", "echo", "hi").stdout == "ran echo hi\n"
    echoed = kubectl.run("exec", "-i", "-n", namespace, "web", "--", "cat", stdin="text\n")
    assert echoed.stdout == "ran cat\ntext\n"
    ended = kubectl.run("exec", "-i", "-n", namespace, "web", "--", "sh", stdin="exit 3", check=False)
    assert ended.returncode == 3


def test_exec_over_spdy_is_refused_with_a_sentence(api_server: ApiServer, namespace: str, node: FakeNode) -> None:
    running_pod(api_server, namespace, "web")
    done = api_server.kubectl("alice").run("exec", "-n", namespace, "web", "--", "ls", check=False)
    assert "over SPDY are not supported: use a client that speaks WebSocket" in done.stderr


async def test_every_protocol_gets_what_it_knows(api_server: ApiServer, namespace: str, node: FakeNode) -> None:
    await asyncio.to_thread(running_pod, api_server, namespace, "web")
    expected = {V5: b"\x03{", V4: b"\x03{", V1: None}
    for protocol, last in expected.items():
        frames = await execute(api_server, namespace, protocol, command="ls", stdout="true")
        assert frames[0] == b"\x01ran ls\n"
        assert (frames[-1][:2] if len(frames) > 1 else None) == last


async def execute(server: ApiServer, namespace: str, protocol: str, **query: str) -> list[bytes]:
    uri = f"wss://{server.instance.api_listen}/api/v1/namespaces/{namespace}/pods/web/exec?{urlencode(query)}"
    headers = {"authorization": f"Bearer {server.tokens['alice']}"}
    options: dict[str, Any] = {
        "ssl": server.tls,
        "additional_headers": headers,
        "subprotocols": [protocol],
        "proxy": None,
    }
    async with connect(uri, **options) as socket:
        assert socket.subprotocol == protocol
        return [frame async for frame in socket if isinstance(frame, bytes)]


async def test_a_refusal_before_the_upgrade_is_a_status(api_server: ApiServer, namespace: str) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await execute(api_server, namespace, V5, command="ls", stdout="true")
    body = json.loads(refused.value.response.body or b"")
    assert (refused.value.response.status_code, body["message"]) == (404, 'pods "web" not found')


async def test_a_session_needs_the_origin_of_the_console(
    api_server: ApiServer, namespace: str, node: FakeNode, tmp_path: Path
) -> None:
    await asyncio.to_thread(running_pod, api_server, namespace, "web")
    cookie = await asyncio.to_thread(signed_in, api_server)
    base = f"ws://{api_server.instance.listen}/api/v1/namespaces/{namespace}/pods/web/exec?command=ls&stdout=true"
    for origin, allowed in ((api_server.console, True), ("http://evil.example", False), (None, False)):
        headers = {"cookie": cookie} | ({"origin": origin} if origin else {})
        try:
            async with connect(base, additional_headers=headers, subprotocols=[V5], proxy=None) as socket:  # type: ignore[list-item]
                assert await socket.recv() == b"\x01ran ls\n"
            assert allowed
        except InvalidStatus as refused:
            assert refused.response.status_code == 403
            assert not allowed


def signed_in(server: ApiServer) -> str:
    """Sign in as alice and return the cookies."""
    with httpx2.Client(base_url=server.console, trust_env=False) as client:
        client.get("/accounts/login/")
        token = client.cookies["csrftoken"]
        form = {"username": "alice", "password": "alice-password", "csrfmiddlewaretoken": token}
        client.post("/accounts/login/", data=form, headers={"referer": f"{server.console}/", "origin": server.console})
        return "; ".join(f"{name}={value}" for name, value in client.cookies.items())


def test_protocols_are_chosen_newest_first() -> None:
    assert choose_protocol([V4, V5]) == V5
    assert choose_protocol([]) == ""
    with pytest.raises(BadRequest, match=r"none of base64\.channel\.k8s\.io is spoken here"):
        choose_protocol(["base64.channel.k8s.io"])


def test_the_oldest_protocol_gets_a_sentence_for_a_failure() -> None:
    failure = b'\x03{"status": "Failure", "message": "exit status 3"}'
    assert translate_to_client(failure, V1) == b"\x03exit status 3"
    assert translate_to_client(failure, V4) == failure
    assert translate_to_client(b"\xff\x01", V4) == b""
