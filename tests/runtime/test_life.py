"""Create, start, signal, end, remove; errors; adoption by whoever comes back."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from nodeworker.kernel import pidfd
from nodeworker.kernel.netlink import Netlink
from nodeworker.runtime import launch
from nodeworker.runtime.errors import ContainerRuntimeError, InvalidTransition, NotFound, StartError
from nodeworker.runtime.logs import read_log
from nodeworker.runtime.runtime import Runtime
from nodeworker.runtime.seccomp_cache import ANNOTATION
from nodeworker.runtime.specs import CREATED, EXITED, LOST, READY, RUNNING, ProcessSpec
from tests.runtime.conftest import DEADLINE, Box, mount_lines, own_processes, read_session


def test_a_created_container_waits_until_it_is_started(box: Box) -> None:
    pod = box.pod()
    created = box.create(pod, "echo", "started")
    assert (created.phase, box.state(pod).phase) == (CREATED, CREATED)
    assert box.output(pod) == ""
    assert box.runtime.start_container(pod, "main", 0).phase in (RUNNING, EXITED)
    assert box.wait(pod).exit_code == 0
    assert box.output(pod) == "started\n"


def test_exit_codes_and_times_are_recorded(box: Box) -> None:
    ended, _said = box.run("sh", "-c", "exit 7")
    assert (ended.exit_code, ended.signal, ended.reason) == (7, None, "Error")
    assert ended.created_at and ended.started_at and ended.finished_at
    assert ended.created_at <= ended.started_at <= ended.finished_at
    assert [name for name, _milliseconds in ended.steps][:2] == ["configuration", "cgroup"]


def test_a_signal_is_passed_on_and_recorded(box: Box) -> None:
    pod = box.pod()
    box.start(pod, "sh", "-c", "trap 'exit 5' TERM; echo ready; while :; do sleep 0.05; done")
    box.wait_for_line(pod, "ready")
    box.runtime.signal_container(pod, "main", 0, signal.SIGTERM)
    assert box.wait(pod).exit_code == 5


def test_kill_ends_a_process_1_that_ignores_everything(box: Box) -> None:
    pod = box.pod()
    box.start(pod, "sh", "-c", "trap '' TERM; sleep 1000 & sleep 1000")
    box.runtime.signal_container(pod, "main", 0, signal.SIGKILL)
    ended = box.wait(pod)
    assert (ended.exit_code, ended.signal) == (137, signal.SIGKILL)


def test_running_out_of_memory_is_told(box: Box) -> None:
    hog = "x=a; while :; do x=$x$x; done"
    ended, _said = box.run("sh", "-c", hog, memory_limit=24 << 20)
    assert (ended.oom_killed, ended.reason, ended.exit_code) == (True, "OOMKilled", 137)


def test_a_missing_command_is_a_clear_sentence(box: Box) -> None:
    with pytest.raises(StartError, match='command not found: exec "foo": no such file in PATH') as caught:
        box.create(box.pod(), "foo")
    assert (caught.value.exit_code, caught.value.reason) == (127, "ContainerCannotRun")


def test_a_file_that_is_no_program_is_a_clear_sentence(box: Box) -> None:
    pod = box.pod()
    with pytest.raises(StartError, match="permission denied, or not a file") as caught:
        box.create(pod, "/etc/passwd")
    assert caught.value.exit_code == 126
    state = box.state(pod)
    assert (state.phase, state.exit_code, "permission denied" in state.error) == (EXITED, 126, True)


def test_a_broken_program_fails_at_start(box: Box) -> None:
    layer = box.scratch / "broken"
    (layer / "bin").mkdir(parents=True, exist_ok=True)
    (layer / "bin/broken").write_text("#!/no/such/interpreter\n")
    (layer / "bin/broken").chmod(0o755)
    pod = box.pod()
    box.create(pod, "broken", layers=[layer, box.layer])
    with pytest.raises(StartError, match="interpreter or dynamic loader"):
        box.runtime.start_container(pod, "main", 0)
    assert box.state(pod).exit_code == 127


def test_wrong_steps_are_refused(box: Box) -> None:
    pod = box.pod()
    box.start(pod, "sleep", "60")
    with pytest.raises(InvalidTransition):
        box.runtime.start_container(pod, "main", 0)
    with pytest.raises(ContainerRuntimeError, match="exists already"):
        box.create(pod, "true")
    with pytest.raises(NotFound):
        box.runtime.start_container(pod, "other", 0)
    with pytest.raises(NotFound):
        box.runtime.start_container("nobody", "main", 0)


@pytest.mark.parametrize("name", ["..", "a/b", "", "a\nb", "/x"])
def test_names_that_are_paths_are_refused(box: Box, name: str) -> None:
    with pytest.raises(ContainerRuntimeError, match="not valid"):
        box.create(box.pod(), "true", name=name)


def test_removing_a_running_container_ends_it_and_leaves_nothing(box: Box) -> None:
    pod = box.pod()
    state = box.start(pod, "sleep", "60")
    assert state.pid is not None
    box.runtime.remove_container(pod, "main", 0)
    assert pidfd.start_time(state.pid) is None
    assert not list((box.runtime.home / "pods" / pod / "containers").iterdir())
    assert not list(Path("/sys/fs/cgroup").glob(f"*/{box.runtime.cgroup_parent}/pod{pod}/main-0"))
    box.runtime.remove_container(pod, "main", 0)


def test_removing_a_pod_leaves_nothing(box: Box) -> None:
    pod = box.pod(network=box.network(9))
    box.start(pod, "sleep", "60")
    box.start(pod, "sleep", "60", name="second")
    interface = box.network(9).host_interface
    with LinkEvents() as events, Netlink() as netlink:
        box.runtime.remove_pod(pod)
        while netlink.link_index(interface) is not None:
            events.wait()
    assert not mount_lines(pod)
    assert not own_processes(pod)
    assert not list(Path("/sys/fs/cgroup").glob(f"*/{box.runtime.cgroup_parent}/pod{pod}"))
    assert not (box.runtime.home / "logs" / pod).exists()
    box.runtime.remove_pod(pod)


class LinkEvents:
    """Wakes at every change of an interface: the kernel drops a pod's namespace, and its veth pair, in its own time."""

    def __enter__(self) -> LinkEvents:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
        self._socket.bind((0, 1))  # RTMGRP_LINK
        self._socket.settimeout(DEADLINE)
        return self

    def __exit__(self, *exception: object) -> None:
        self._socket.close()

    def wait(self) -> None:
        self._socket.recv(65536)


CALLER = """
import os, sys
from pathlib import Path
from nodeworker.runtime.logs import read_log
from nodeworker.runtime.runtime import Runtime
from nodeworker.runtime.specs import PodSpec, ContainerSpec
from nodeworker.runtime.oci import ContainerOptions, default_config
home, socket, parent, layer, uid = sys.argv[1:]
runtime = Runtime(Path(home), Path(socket), parent)
runtime.create_pod(PodSpec(uid, "tests", "adopted"))
config = default_config({}, ContainerOptions(command=["sh", "-c", "while :; do echo tick; sleep 0.01; done"]))
runtime.create_container(uid, ContainerSpec("main", 0, config, [Path(layer)]))
runtime.start_container(uid, "main", 0)
print("ready", flush=True)
sys.stdin.read()
"""


def test_containers_outlive_their_caller_and_are_adopted_with_the_same_pids(box: Box) -> None:
    uid = "adopted"
    command = [sys.executable, "-c", CALLER, str(box.runtime.home), str(box.runtime.zygote_socket)]
    command += [box.runtime.cgroup_parent, str(box.layer), uid]
    caller = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True, cwd=Path(__file__).parents[2]
    )
    assert caller.stdout is not None and caller.stdout.readline() == b"ready\n"
    pid = box.state(uid).pid
    assert pid is not None
    started = pidfd.start_time(pid)
    box.wait_for_line(uid, "tick")
    caller.kill()
    caller.wait()
    last = box.lines(uid)[-1].n
    again = Runtime(box.runtime.home, box.runtime.zygote_socket, box.runtime.cgroup_parent)
    state = next(c for pod in again.pods() if pod.uid == uid for c in pod.containers)
    assert (state.phase, state.pid, pidfd.start_time(pid)) == (RUNNING, pid, started)
    assert next(read_log(again.log_directory(uid, "main"), 0, follow=True, from_line=last + 1)).n == last + 1
    assert again.exec(uid, "main", 0, ProcessSpec(["true"])).wait(DEADLINE) == 0


def test_another_zygote_does_not_disturb_running_pods(box: Box) -> None:
    pod = box.pod()
    pid = box.start(pod, "sleep", "60").pid
    box.runtime.stop_zygote()
    box.runtime.ensure_zygote()
    assert box.state(pod).pid == pid
    assert box.exec(pod, "true") == (0, "")


def waiting_shim(box: Box, zygote: int) -> int:
    """A pidfd of the newest child of the zygote that has no pod."""
    taken = {pod.shim_pid for pod in box.runtime.pods()}
    deadline = time.monotonic() + DEADLINE
    while time.monotonic() < deadline:
        found: list[int] = []
        for path in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                pid, parent = int(path.parent.name), path.read_text().rpartition(")")[2].split()[1]
                if parent == str(zygote) and pid not in taken:
                    found.append(pid)
        with contextlib.suppress(OSError, ValueError):
            return os.pidfd_open(max(found, key=lambda pid: pidfd.start_time(pid) or 0))
    raise AssertionError("the zygote keeps no shim ready")


def test_a_killed_zygote_takes_the_waiting_shim_along_and_no_pod(box: Box) -> None:
    pod = box.pod()
    box.start(pod, "sleep", "60")
    zygote = launch.ask(box.runtime.zygote_socket, {"op": "version"}, DEADLINE)["pid"]
    waiting = waiting_shim(box, zygote)
    os.kill(zygote, signal.SIGKILL)
    assert select.select([waiting], [], [], DEADLINE)[0]
    os.close(waiting)
    assert box.exec(pod, "true") == (0, "")
    box.runtime.ensure_zygote()
    assert box.shell("echo built") == "built\n"


def test_a_seccomp_profile_that_is_not_known_by_its_name_starts_nothing(box: Box) -> None:
    def name_another(config: dict[str, Any]) -> None:
        del config["linux"]["seccomp"]
        config["annotations"][ANNOTATION] = "another"

    with pytest.raises(StartError, match='the seccomp profile "another" is not known'):
        box.create(box.pod(), "true", change=name_another)


def test_a_dead_shim_takes_its_containers_along_and_the_reason_is_told(box: Box) -> None:
    pod = box.pod()
    container = box.start(pod, "sleep", "60").pid
    found = box.runtime.pod(pod)
    assert found is not None and found.shim_pid is not None and container is not None
    changed: list[str] = []
    stop = box.runtime.watch(changed.append)
    os.kill(found.shim_pid, signal.SIGKILL)
    ended = os.pidfd_open(found.shim_pid) if pidfd.start_time(found.shim_pid) else None
    if ended is not None:
        os.close(ended)
    for _attempt in range(100_000):
        if pod in changed and pidfd.start_time(found.shim_pid) is None:
            break
        os.sched_yield()
    stop()
    assert pod in changed
    lost = box.runtime.pod(pod)
    assert lost is not None and lost.phase == LOST
    assert (lost.containers[0].phase, lost.containers[0].reason) == (EXITED, "ContainerStatusUnknown")
    assert "shim was killed" in lost.containers[0].error
    assert pidfd.start_time(container) is None
    assert not mount_lines(pod)


def test_a_reused_pid_is_not_adopted(box: Box) -> None:
    pod = box.pod()
    path = box.runtime.home / "pods" / pod / "pod.json"
    found = box.runtime.pod(pod)
    assert found is not None and found.phase == READY
    original = path.read_text()
    path.write_text(original.replace(pidfd.boot_id(), "another-boot"))
    again = box.runtime.pod(pod)
    assert again is not None and again.phase == LOST and "restarted" in again.error
    path.write_text(original)
    assert box.runtime.pod(pod).phase == READY  # type: ignore[union-attr]


def test_exec_gives_output_exit_code_and_environment(box: Box) -> None:
    pod = box.pod()
    box.start(pod, "sleep", "60", environment=[("A", "1")])
    code, said = box.exec(pod, "sh", "-c", "echo $A $B; pwd; id -u; exit 4", environment=["B=2"], user="alice")
    assert (code, said) == (4, "1 2\n/\n1000\n")


def test_exec_reads_its_input_to_the_end(box: Box) -> None:
    pod = box.pod()
    box.start(pod, "sleep", "60")
    session = box.runtime.exec(pod, "main", 0, ProcessSpec(["cat"], stdin=True))
    assert session.stdin is not None
    os.write(session.stdin, b"through")
    os.close(session.stdin)
    session.stdin = None
    assert read_session(session) == "through"
    assert session.wait(DEADLINE) == 0
    session.close()


def test_exec_with_a_terminal_of_the_container(box: Box) -> None:
    pod = box.pod()
    box.start(pod, "sleep", "60")
    command = ["sh", "-c", "tty; stty size; echo $TERM; read x; stty size"]
    session = box.runtime.exec(pod, "main", 0, ProcessSpec(command, terminal=True, width=91, height=17))
    assert session.tty is not None
    said = b""
    while b"xterm" not in said:
        said += os.read(session.tty, 4096)
    session.resize(120, 40)
    os.write(session.tty, b"\n")
    said += read_session(session).encode()
    assert b"/dev/pts/0" in said and b"17 91" in said and b"40 120" in said
    assert session.wait(DEADLINE) == 0
    session.close()


def test_exec_ends_with_its_container(box: Box) -> None:
    pod = box.pod()
    box.start(pod, "sleep", "60")
    session = box.runtime.exec(pod, "main", 0, ProcessSpec(["sleep", "60"]))
    box.runtime.signal_container(pod, "main", 0, signal.SIGKILL)
    assert session.wait(DEADLINE) == 137
    session.close()


def test_exec_can_be_killed(box: Box) -> None:
    pod = box.pod()
    box.start(pod, "sleep", "60")
    session = box.runtime.exec(pod, "main", 0, ProcessSpec(["sleep", "60"]))
    session.kill()
    assert session.wait(DEADLINE) == 137
    session.close()


def test_exec_of_a_missing_command_and_in_an_ended_container_are_clear(box: Box) -> None:
    pod = box.pod()
    box.start(pod, "sleep", "60")
    with pytest.raises(StartError, match='exec "nope"') as caught:
        box.exec(pod, "nope")
    assert caught.value.exit_code == 127
    box.runtime.signal_container(pod, "main", 0, signal.SIGKILL)
    box.wait(pod)
    with pytest.raises(ContainerRuntimeError, match="not running"):
        box.exec(pod, "true")


def test_a_terminal_container_has_a_console(box: Box) -> None:
    ended, said = box.run("sh", "-c", "tty; ls -l /dev/console; test -t 1 && echo terminal", terminal=True)
    assert ended.exit_code == 0
    assert "/dev/console" in said and "terminal" in said


def test_standard_input_can_be_attached(box: Box) -> None:
    pod = box.pod()
    box.start(pod, "sh", "-c", "read line; echo got $line", stdin=True)
    descriptor = box.runtime.attach_input(pod, "main", 0)
    assert descriptor is not None
    os.write(descriptor, b"hello\n")
    os.close(descriptor)
    box.wait(pod)
    assert box.output(pod) == "got hello\n"


def test_two_pods_reach_each_other_over_the_bridge(box: Box) -> None:
    first = box.pod(network=box.network(2), hostname="first")
    second = box.pod(network=box.network(3))
    box.start(first, "sleep", "60")
    ended, said = box.run("sh", "-c", "ip a show eth0; ip route; ping -c 1 -W 5 10.210.7.2", pod=second)
    assert "10.210.7.3/24" in said and "0a:58:0a:d2:07:03" in said
    assert "default via 10.210.7.1" in said
    assert "1 packets received" in said and ended.exit_code == 0


def test_a_missing_bridge_is_a_clear_sentence_and_leaves_nothing(box: Box) -> None:
    from dataclasses import replace

    with pytest.raises(ContainerRuntimeError, match='bridge "nobridge" does not exist'):
        box.pod(network=replace(box.network(4), bridge="nobridge"))


def test_containers_of_a_pod_share_network_and_memory_but_not_processes(box: Box) -> None:
    pod = box.pod()
    box.start(pod, "sh", "-c", "echo x > /dev/shm/shared; echo done; nc -l -p 8080 -e echo hi")
    box.wait_for_line(pod, "done")
    _ended, said = box.run("sh", "-c", "cat /dev/shm/shared; nc 127.0.0.1 8080; ps | wc -l", pod=pod, name="second")
    assert said.splitlines()[:2] == ["x", "hi"]
    assert int(said.splitlines()[2]) <= 5


def test_a_shared_process_namespace_shows_all_containers(box: Box) -> None:
    pod = box.pod(share_process_namespace=True)
    box.start(pod, "sleep", "77")
    _ended, said = box.run("ps", pod=pod, name="second")
    assert "sleep 77" in said
    box.runtime.signal_container(pod, "main", 0, signal.SIGKILL)
    assert box.wait(pod).exit_code == 137


def test_the_hosts_network_and_processes_can_be_shared(box: Box) -> None:
    pod = box.pod(host_network=True, host_pid=True)
    _ended, said = box.run("sh", "-c", "ls /sys/class/net; echo pid $$", pod=pod)
    assert box.bridge in said
    assert "pid 1\n" not in said


def test_pods_list_shows_what_was_asked(box: Box) -> None:
    pod = box.pod(labels={"app": "x"})
    found = next(p for p in box.runtime.pods() if p.uid == pod)
    assert (found.phase, found.name, found.labels, found.containers) == (READY, "pod", {"app": "x"}, [])
