"""Logs, exec and stats over mutual TLS, from a fake runtime whose processes are real."""

import http.client
import json
import os
import pty
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from websockets.sync.client import connect

from nodeworker.agent.loop import LoopThread
from nodeworker.config import NodeConfig
from nodeworker.kernel.cgroups.hierarchy import Usage
from nodeworker.runtime.log_writer import end_name
from nodeworker.runtime.runtime import Runtime
from nodeworker.runtime.specs import ContainerState, PodState
from nodeworker.streaming.server import StreamingServer
from nodeworker.streaming.tests.certificates import write_certificates


class Session:
    """What Runtime.exec returns, over a process of this machine."""

    def __init__(self, arguments, terminal, stdin):
        self.size = None
        if terminal:
            master, slave = pty.openpty()
            self.process = subprocess.Popen(
                arguments, stdin=slave, stdout=slave, stderr=slave, start_new_session=True, close_fds=True
            )
            os.close(slave)
            self.tty, self.stdin, self.stdout, self.stderr = master, None, None, None
            return
        out, err = os.pipe(), os.pipe()
        into = os.pipe() if stdin else (subprocess.DEVNULL, None)
        self.process = subprocess.Popen(arguments, stdin=into[0], stdout=out[1], stderr=err[1])
        os.close(out[1])
        os.close(err[1])
        if stdin:
            os.close(into[0])
        self.tty, self.stdin, self.stdout, self.stderr = None, into[1], out[0], err[0]

    def resize(self, width, height):
        self.size = (width, height)

    def wait(self, timeout=None):
        code = self.process.wait(timeout)
        return code if code >= 0 else 128 - code

    def kill(self):
        self.process.kill()

    def close(self):
        for descriptor in (self.tty, self.stdin, self.stdout, self.stderr):
            if descriptor is not None:
                os.close(descriptor)


class FakeRuntime:
    def __init__(self, home: Path) -> None:
        self.home = home
        self.sessions: list[Session] = []
        self.container = ContainerState("main", 0, "running", pid=os.getpid())

    def pod(self, uid):
        return PodState(uid, "shop", "web", "ready", containers=[self.container]) if uid == "u1" else None

    def pods(self):
        return [self.pod("u1")]

    def usage(self, *_attempt):
        return Usage(2_000_000_000, 5000, 4096, 3)

    def log_directory(self, uid, name):
        return self.home / uid / name

    def exec(self, _uid, _name, _attempt, process):
        self.sessions.append(Session(process.arguments, process.terminal, process.stdin))
        return self.sessions[-1]


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    home = tmp_path_factory.mktemp("streaming")
    found = write_certificates(home, "system:node:n1", "gantry:web", "mallory")
    ca, certificate, key = found["system:node:n1"]
    config = NodeConfig(
        name="n1",
        instance="abcdef",
        home=str(home),
        api="http://127.0.0.1:1",
        ca=ca,
        certificate=certificate,
        key=key,
        stream_listen="127.0.0.1:0",
    )
    loop, runtime = LoopThread(), FakeRuntime(home)
    loop.start()
    server = StreamingServer(config, cast(Runtime, runtime), loop)
    server.start()

    def context(name: str) -> ssl.SSLContext:
        made = ssl.create_default_context(cafile=ca)
        made.load_cert_chain(*found[name][1:])
        return made

    yield SimpleNamespace(port=server.port, context=context, runtime=runtime, home=home, ca=ca)
    server.stop()
    loop.stop()


def get(node, path, client="gantry:web"):
    connection = http.client.HTTPSConnection("127.0.0.1", node.port, context=node.context(client), timeout=10)
    connection.request("GET", path)
    response = connection.getresponse()
    body = response.read()
    connection.close()
    return response.status, body


def write_log(node, container, *lines, ended=True):
    directory = node.home / "u1" / container
    directory.mkdir(parents=True, exist_ok=True)
    records = [f"2026-01-01T00:00:0{n}.000000000Z stdout F {line}\n" for n, line in enumerate(lines)]
    (directory / "0.1.log").write_text("".join(records))
    if ended:
        (directory / end_name(0)).touch()
    return directory / "0.1.log"


@contextmanager
def execution(node, *command, **options):
    query = "&".join([*(f"command={word}" for word in command), *(f"{name}=true" for name in options)])
    address = f"wss://127.0.0.1:{node.port}/v1/pods/u1/exec/main?{query}"
    with connect(address, ssl=node.context("gantry:web"), subprotocols=["v5.channel.k8s.io"], max_size=None) as ws:
        yield ws


def collect(ws):
    """Everything by channel, until the end."""
    found = {1: b"", 2: b"", 3: b""}
    for message in ws:
        found[message[0]] += message[1:]
    return found[1], found[2], json.loads(found[3])


def test_only_the_web_process_gets_an_answer(node):
    assert get(node, "/v1/stats", client="mallory")[0] == 403
    with pytest.raises((ssl.SSLError, OSError)):
        anonymous = ssl.create_default_context(cafile=node.ca)
        connection = http.client.HTTPSConnection("127.0.0.1", node.port, context=anonymous, timeout=5)
        connection.request("GET", "/v1/stats")
        connection.getresponse()


def test_logs_come_as_text(node):
    write_log(node, "main", "one", "two")
    assert get(node, "/v1/pods/u1/logs/main?tail=1") == (200, b"two\n")
    status, body = get(node, "/v1/pods/u1/logs/main?timestamps=true&limit_bytes=34")
    assert (status, body) == (200, b"2026-01-01T00:00:00.000000000Z one")


def test_logs_come_as_ndjson_with_keys(node):
    write_log(node, "main", "one", "two")
    _, body = get(node, "/v1/pods/u1/logs/main?format=ndjson&from_line=2")
    record = {"n": 2, "t": "2026-01-01T00:00:01.000000000Z", "s": "stdout", "x": "two", "p": False, "a": 0}
    assert json.loads(body) == record


def test_followed_logs_arrive_as_they_are_written(node):
    path = write_log(node, "followed", "one", ended=False)
    connection = http.client.HTTPSConnection("127.0.0.1", node.port, context=node.context("gantry:web"), timeout=10)
    connection.request("GET", "/v1/pods/u1/logs/followed?follow=true&attempt=0")
    response = connection.getresponse()
    assert response.readline() == b"one\n"
    with path.open("a") as log:
        log.write("2026-01-01T00:00:09.000000000Z stdout F later\n")
    assert response.readline() == b"later\n"
    (path.parent / end_name(0)).touch()
    assert response.read() == b""


def test_many_lines_reach_a_slow_reader_whole(node):
    write_log(node, "large", *(["x" * 200] * 20000))
    connection = http.client.HTTPSConnection("127.0.0.1", node.port, context=node.context("gantry:web"), timeout=10)
    connection.request("GET", "/v1/pods/u1/logs/large?attempt=0")
    assert len(connection.getresponse().read()) == 201 * 20000


def test_what_is_not_there_is_told(node):
    assert get(node, "/v1/pods/u2/logs/main")[0] == 404
    status, body = get(node, "/v1/pods/u1/logs/other")
    assert status == 404 and b"waiting to start" in body
    status, body = get(node, "/v1/pods/u1/logs/main?tail=many")
    assert status == 400 and b"not a whole number" in body


def test_a_process_runs_and_its_exit_code_is_told(node):
    with execution(node, "sh", "-c", "echo%20out;echo%20err>%262;exit%203", stdout=True, stderr=True) as ws:
        out, err, status = collect(ws)
    assert (out, err) == (b"out\n", b"err\n")
    assert status["details"]["causes"] == [{"reason": "ExitCode", "message": "3"}]


def test_standard_input_reaches_the_process_and_can_be_closed(node):
    with execution(node, "cat", stdin=True, stdout=True) as ws:
        ws.send(b"\x00hello")
        assert ws.recv() == b"\x01hello"
        ws.send(b"\xff\x00")
        out, _, status = collect(ws)
    assert (out, status["status"]) == (b"", "Success")


def test_a_terminal_echoes_and_is_resized(node):
    with execution(node, "cat", stdin=True, stdout=True, tty=True) as ws:
        ws.send(b'\x04{"Width":100,"Height":30}')
        ws.send(b"\x00hi\n")
        seen = b""
        while seen.count(b"hi") < 2:  # the echo and what cat says
            seen += ws.recv(timeout=10)[1:]
        ws.send(b"\x00\x04")
        _, _, status = collect(ws)
    assert status["status"] == "Success"
    assert node.runtime.sessions[-1].size == (100, 30)


def test_much_output_arrives_whole(node):
    with execution(node, "head", "-c", "20000000", "/dev/zero", stdout=True) as ws:
        time.sleep(0.2)  # the process must wait for us meanwhile
        out, _, status = collect(ws)
    assert (len(out), status["status"]) == (20000000, "Success")


def test_a_process_whose_client_is_gone_is_killed(node):
    with execution(node, "sleep", "1000", stdout=True) as ws:
        ws.ping().wait(10)
    session = node.runtime.sessions[-1]
    ended = threading.Event()
    threading.Thread(target=lambda: (session.process.wait(), ended.set()), daemon=True).start()
    assert ended.wait(10)


def test_statistics_of_a_pod(node):
    status, body = get(node, "/v1/pods/u1/stats")
    assert status == 200
    [container] = json.loads(body)["containers"]
    assert (container["cpu_seconds"], container["memory_bytes"], container["processes"]) == (2.0, 4096, 3)
