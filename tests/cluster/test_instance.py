"""What the launcher promises: nothing touches another instance, pods outlive processes, purge leaves nothing."""

import json
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from launcher import control
from launcher.machine import cgroups
from tests.cluster_under_test import Cluster, eventually, is_ready

pytestmark = [pytest.mark.root, pytest.mark.cluster, pytest.mark.timeout(300)]

SLEEPER = """
apiVersion: v1
kind: Pod
metadata: {name: sleeper}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - {name: main, image: busybox, command: [sleep, "100000"]}
"""


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """An instance that these tests stop, kill and purge; it runs beside the shared one when there is one."""
    if os.geteuid() != 0:
        pytest.skip("needs root: it starts containers")
    instance = Cluster(tmp_path_factory.mktemp("own"))
    instance.up()
    yield instance
    if instance.home.exists():
        instance.gantry("purge", "--yes", check=False)


def machine_state() -> dict[str, set[str]]:
    """Everything on this machine that an instance could leave behind, as sets of lines."""
    return {
        "interfaces": {path.name for path in Path("/sys/class/net").iterdir()},
        "routes": {" ".join(line.split()[:3]) for line in Path("/proc/net/route").read_text().splitlines()},
        "tables": set(_output("nft", "list", "tables").splitlines()),
        "mounts": {line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()},
        "cgroups": {str(path) for path in Path("/sys/fs/cgroup").glob("*/gantry-*")},
        "units": {str(path) for path in Path("/etc/systemd/system").glob("gantry*")},
        "forwarding": set(_output("iptables", "-S", "FORWARD").splitlines()) if shutil.which("iptables") else set(),
    }


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def running(cluster: Cluster, name: str) -> bool:
    return is_ready(cluster.get("pod", name))


def container_pids(cluster: Cluster) -> set[int]:
    """The host's pids of all processes in the instance's cgroups, by pod."""
    pids = set[int]()
    for parent in cgroups(cluster.instance):
        for tasks in parent.rglob("cgroup.procs"):
            pids |= {int(line) for line in tasks.read_text().split()}
    return {pid for pid in pids if Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"sleep\x00100000")}


def child_pid(cluster: Cluster, name: str) -> int:
    return next(control.states(cluster.home, 5.0))[name].pid


def test_a_second_up_says_that_it_runs_already(own: Cluster) -> None:
    before = child_pid(own, "web")
    assert "runs already" in own.up()
    assert child_pid(own, "web") == before


def test_status_names_every_process(own: Cluster) -> None:
    output = own.gantry("status")
    assert all(name in output for name in ("broker", "web", "controller", "nodeworker"))


def test_the_sign_in_link_works_once_and_only_by_its_button(own: Cluster) -> None:
    link = own.gantry("signin").strip()
    with httpx2.Client(trust_env=False) as first, httpx2.Client(trust_env=False) as second:
        assert "<form" in first.get(link).text
        assert "<form" in second.get(link).text, "a GET (a mail scanner, a preview) must not consume the link"
        assert press_the_button(first, link).status_code == 302
        assert first.cookies.get("sessionid")
        press_the_button(second, link)
        assert not second.cookies.get("sessionid"), "the link let a second one in"


def press_the_button(client: httpx2.Client, link: str) -> httpx2.Response:
    return client.post(link, data={"csrfmiddlewaretoken": client.cookies["csrftoken"]}, headers={"Referer": link})


def test_a_taken_port_is_replaced_by_the_next_free_one(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind(("127.0.0.1", 6443))
            taken.listen()
        except OSError:
            pass  # something listens there already, which is as good
        other = Cluster(tmp_path / "home")
        try:
            output = other.up()
            port = int(other.instance.api_listen.rpartition(":")[2])
            assert port > 6443
            assert "is taken" in output
            content = json.loads((other.home / "admin.kubeconfig").read_text())
            assert content["clusters"][0]["cluster"]["server"].endswith(f":{port}")
            assert "Ready" in other.kubectl("get", "nodes")
        finally:
            other.gantry("purge", "--yes", check=False)


def test_a_killed_nodeworker_finds_its_containers_again(own: Cluster) -> None:
    own.apply(SLEEPER)
    eventually(lambda: running(own, "sleeper"), "the pod runs", 30)
    before = container_pids(own)
    old = child_pid(own, "nodeworker")
    os.kill(old, signal.SIGKILL)
    eventually(lambda: child_pid(own, "nodeworker") not in (0, old), "another nodeworker", 30)
    pod = own.get("pod", "sleeper")
    assert len(before) == 1
    assert container_pids(own) == before
    assert pod["status"]["containerStatuses"][0]["restartCount"] == 0


def test_pods_run_on_while_the_processes_are_down_and_are_taken_over(own: Cluster) -> None:
    before = container_pids(own)
    own.gantry("down")
    assert container_pids(own) == before
    own.up()
    eventually(lambda: running(own, "sleeper"), "the pod is ready again", 30)
    assert container_pids(own) == before
    assert own.get("pod", "sleeper")["status"]["containerStatuses"][0]["restartCount"] == 0


def test_an_upgrade_restarts_the_processes_and_leaves_the_pods_alone(own: Cluster) -> None:
    """What `up` does after `git pull`: the code that runs is not the checkout's any more."""
    before, web = container_pids(own), child_pid(own, "web")
    (own.home / "run" / "version").write_text("an older checkout")
    assert "is up" in own.up()
    assert child_pid(own, "web") != web
    assert container_pids(own) == before


def test_every_process_may_die_and_the_instance_goes_on(own: Cluster) -> None:
    for name in ("broker", "controller", "web"):
        old = child_pid(own, name)
        os.kill(old, signal.SIGKILL)
        ready = lambda name=name, old=old: _ready_anew(own, name, old)
        eventually(ready, f"{name} is ready again", 40)
    own.kubectl("create", "namespace", "after-the-deaths")
    own.apply(SLEEPER, "after-the-deaths")
    eventually(lambda: is_ready(own.get("pod", "sleeper", "after-the-deaths")), "a new pod runs", 40)


def _ready_anew(cluster: Cluster, name: str, old: int) -> bool:
    child = next(control.states(cluster.home, 5.0))[name]
    return child.state == "ready" and child.pid != old


def test_purge_leaves_nothing(tmp_path: Path) -> None:
    before = machine_state()
    short = Cluster(tmp_path / "home")
    short.up()
    short.apply(SLEEPER)
    eventually(lambda: running(short, "sleeper"), "the pod runs", 30)
    pids = container_pids(short)
    short.gantry("purge", "--yes")
    after = machine_state()
    assert {key: after[key] - before[key] for key in before} == {key: set() for key in before}
    assert not short.home.exists()
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


def test_a_purge_beside_it_has_not_touched_this_instance(own: Cluster) -> None:
    assert running(own, "sleeper")
    assert "Ready" in own.kubectl("get", "nodes")
