"""A real web process for tests: its own home, database, authority and TLS; no node, no controllers, no broker.

Import the fixture where it is needed: `from tests.servers import api_server` in a conftest.py. One server serves a
whole session; tests use namespaces of their own.
"""

import base64
import contextlib
import json
import os
import secrets
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from nodeworker.wire import instance as wire
from tests.clients import Kubectl, debian_kubectl

CHECKOUT = Path(__file__).resolve().parents[1]
START_SECONDS = 60.0
NODE = "n1"

# Runs in a process of its own: the tests' own Django has another home and another database.
_PREPARE = """
import sys
from pathlib import Path
from launcher.prepare import prepare
from nodeworker.wire.instance import Instance
home = Path(sys.argv[1])
prepare(home, Instance.load(home))
from tests.servers import make_people
make_people(home)
"""


@dataclass(frozen=True)
class ApiServer:
    """A running server and what a client needs to speak to it."""

    home: Path
    instance: wire.Instance
    process: "subprocess.Popen[bytes]"
    tokens: dict[str, str]

    @property
    def url(self) -> str:
        return f"https://{self.instance.api_listen}"

    @property
    def console(self) -> str:
        return f"http://{self.instance.listen}"

    @property
    def tls(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.home / "pki" / "ca.crt"))

    def node_tls(self, name: str = NODE) -> ssl.SSLContext:
        """A client that shows the certificate of a node."""
        context = self.tls
        context.load_cert_chain(self.home / "pki" / f"node-{name}.crt", self.home / "pki" / f"node-{name}.key")
        return context

    def client(self, user: str = "admin") -> httpx2.Client:
        """Return an HTTP client with the token of `user` (admin, alice who may edit, bob who may view, charlie)."""
        headers = {"authorization": f"Bearer {self.tokens[user]}"} if user else {}
        return httpx2.Client(base_url=self.url, verify=self.tls, headers=headers, timeout=20, trust_env=False)

    def kubeconfig(self, user: str = "admin") -> Path:
        path = self.home / f"{user}.kubeconfig"
        authority = base64.b64encode((self.home / "pki" / "ca.crt").read_bytes()).decode()
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "c", "cluster": {"server": self.url, "certificate-authority-data": authority}}],
            "users": [{"name": user, "user": {"token": self.tokens[user]}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": user}}],
            "current-context": "c",
        }
        path.write_text(json.dumps(content))
        return path

    def kubectl(self, user: str = "admin", binary: Path | None = None) -> Kubectl:
        """Return Debian's kubectl, or another one, as `user`."""
        chosen = binary or debian_kubectl()
        return Kubectl(chosen, self.kubeconfig(user), self.home / f"kubectl-cache-{chosen.parent.name}-{user}")

    def namespace(self) -> str:
        """Create a namespace of the test's own."""
        name = f"test-{secrets.token_hex(4)}"
        with self.client() as client:
            body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
            client.post("/api/v1/namespaces", json=body).raise_for_status()
        return name


@contextlib.contextmanager
def running_server(home: Path) -> Iterator[ApiServer]:
    """Prepare `home`, start the server there, stop it at the end."""
    instance = _instance(home)
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("GANTRY_", "DJANGO_"))},
        "GANTRY_HOME": str(home),
        "DJANGO_SETTINGS_MODULE": "dashboard.settings.production",
        "GANTRY_LOG_LEVEL": "WARNING",
        "PYTHONPATH": str(CHECKOUT),
    }
    _run([sys.executable, "-c", _PREPARE, str(home)], environment)
    with _ready_socket(home / "run" / "notify.sock") as ready, (home / "log" / "web.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "dashboard.server", "--home", str(home)],
            env=environment | {"NOTIFY_SOCKET": str(home / "run" / "notify.sock")},
            cwd=CHECKOUT,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            _await_ready(ready, process, home)
            yield ApiServer(home, instance, process, json.loads((home / "tokens.json").read_text()))
        finally:
            process.terminate()
            process.wait(timeout=15)


@pytest.fixture(scope="session")
def api_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """The server that the whole session shares."""
    with running_server(tmp_path_factory.mktemp("api")) as server:
        yield server


def make_people(home: Path) -> None:
    """Give the tests' people their roles and tokens; runs in the prepared instance's own Django."""

    from apps.access.models import RoleGrant, User
    from apps.access.tokens import make_token
    from launcher.configuration import kubeconfig_token

    tokens = {"admin": kubeconfig_token(home)}
    for name, role in (("alice", "edit"), ("bob", "view"), ("charlie", "")):
        user = User.objects.create_user(name, password=f"{name}-password")
        if role:
            RoleGrant.objects.create(user=user, role=role, namespace="")
        tokens[name] = make_token(user, "tests")[1]
    (home / "tokens.json").write_text(json.dumps(tokens))


def _instance(home: Path) -> wire.Instance:
    for folder in ("secrets", "pki", "run/hints", "blobs/sha256", "node", "log"):
        (home / folder).mkdir(parents=True, exist_ok=True)
    (home / "secrets" / "django.key").write_text(secrets.token_urlsafe(50))
    (home / "secrets" / "encryption.key").write_bytes(secrets.token_bytes(32))
    instance = wire.Instance(
        id=wire.instance_id(home),
        node_name=NODE,
        listen=f"127.0.0.1:{free_port()}",
        api_listen=f"127.0.0.1:{free_port()}",
        stream_listen=f"127.0.0.1:{free_port()}",
    )
    wire.save(home, instance)
    return instance


def free_port() -> int:
    """Return a port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _run(command: list[str], environment: dict[str, str]) -> None:
    done = subprocess.run(command, env=environment, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.fail(f"the test server cannot be prepared:\n{done.stdout}{done.stderr}")


@contextlib.contextmanager
def _ready_socket(path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(path))
        listener.settimeout(0.5)
        yield listener


def _await_ready(ready: socket.socket, process: Any, home: Path) -> None:
    for _ in range(int(START_SECONDS / 0.5)):
        with contextlib.suppress(TimeoutError):
            if b"READY=1" in ready.recv(1024):
                return
        if process.poll() is not None:
            break
    pytest.fail(f"the test server did not start:\n{(home / 'log' / 'web.log').read_text()[-4000:]}")
