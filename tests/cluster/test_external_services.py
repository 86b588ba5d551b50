"""The same processes on an existing PostgreSQL and Redis, named by GANTRY_DATABASE_URL and GANTRY_REDIS_URL."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster_under_test import Cluster, eventually, is_ready

pytestmark = [pytest.mark.root, pytest.mark.cluster, pytest.mark.timeout(240)]

DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      containers: [{name: main, image: busybox, command: [sleep, "100000"]}]
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A PostgreSQL server of our own on loopback; its URL."""
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not versions or os.geteuid() != 0:
        pytest.skip("needs root and Debian's postgresql")
    binaries, folder, port = versions[-1].parent, tmp_path_factory.mktemp("postgresql"), free_port()
    for parent in (folder, *folder.parents):
        if parent != Path("/") and parent.stat().st_uid == 0 and parent.is_relative_to("/tmp"):
            parent.chmod(parent.stat().st_mode | 0o011)
    user = pwd.getpwnam("postgres" if _exists("postgres") else "nobody")
    data = folder / "data"
    data.mkdir()
    os.chown(data, user.pw_uid, user.pw_gid)
    as_user: dict[str, Any] = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": [], "cwd": data}
    subprocess.run(
        [binaries / "initdb", "-D", data, "-A", "trust", "-U", "gantry"], check=True, capture_output=True, **as_user
    )
    command: list[str | Path] = [binaries / "postgres", "-D", data, "-p", str(port), "-h", "127.0.0.1", "-k", str(data)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **as_user) as server:
        eventually(lambda: _accepts(port), "PostgreSQL accepts", 30)
        create: list[str | Path] = [binaries / "createdb", "-h", "127.0.0.1", "-p", str(port), "-U", "gantry", "gantry"]
        eventually(lambda: subprocess.run(create, capture_output=True, check=False).returncode == 0, "a database", 30)
        yield f"postgresql://gantry@127.0.0.1:{port}/gantry"
        server.send_signal(signal.SIGINT)


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Redis server of our own on loopback; its URL."""
    binary = shutil.which("redis-server")
    if binary is None:
        pytest.skip("needs Debian's redis-server")
    port = free_port()
    command = [binary, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    with subprocess.Popen(command, cwd=tmp_path_factory.mktemp("redis"), stdout=subprocess.DEVNULL) as server:
        eventually(lambda: _accepts(port), "Redis accepts", 30)
        yield f"redis://127.0.0.1:{port}/0"
        server.terminate()


@pytest.fixture(scope="module")
def external(tmp_path_factory: pytest.TempPathFactory, postgresql: str, redis: str) -> Iterator[Cluster]:
    environment = {"GANTRY_DATABASE_URL": postgresql, "GANTRY_REDIS_URL": redis}
    running = Cluster(tmp_path_factory.mktemp("external"), environment)
    try:
        running.up()
        yield running
    finally:
        running.gantry("purge", "--yes", check=False)


def ready(cluster: Cluster, count: int) -> bool:
    pods = cluster.pods("app=web")
    return len(pods) == count and all(map(is_ready, pods))


def test_no_broker_of_our_own_and_no_database_file(external: Cluster) -> None:
    assert "broker" not in external.gantry("status")
    assert not (external.home / "database.sqlite3").exists()


def test_deployed_scaled_and_deleted(external: Cluster) -> None:
    external.apply(DEPLOYMENT)
    assert eventually(lambda: ready(external, 2), "two pods are ready", 60)
    external.kubectl("scale", "deployment", "web", "--replicas=4")
    assert eventually(lambda: ready(external, 4), "four pods are ready", 60)
    external.kubectl("delete", "deployment", "web")
    assert eventually(lambda: not external.pods("app=web"), "no pod is left", 60)


def test_down_and_up_keeps_everything(external: Cluster) -> None:
    external.kubectl("create", "namespace", "kept")
    external.gantry("down")
    external.up()
    assert "kept" in external.kubectl("get", "namespaces")


def _exists(user: str) -> bool:
    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True


def _accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
