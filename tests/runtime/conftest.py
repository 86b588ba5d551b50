"""A runtime of the tests' own: state, zygote, control groups and bridge that belong to this run, and a check that
nothing of it is left at the end."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from nodeworker.kernel.netlink import UNREACHABLE, Netlink
from nodeworker.runtime.logs import LogLine, read_log
from nodeworker.runtime.oci import ContainerOptions, default_config
from nodeworker.runtime.runtime import ExecSession, Runtime
from nodeworker.runtime.specs import (
    EXITED,
    ContainerSpec,
    ContainerState,
    LogLimits,
    PodNetwork,
    PodSpec,
    ProcessSpec,
)

BUSYBOX = Path("/bin/busybox")
NETWORK = "10.210.0.0/16"
DEADLINE = 20.0

PASSWD = """root:x:0:0:root:/root:/bin/sh
alice:x:1000:1000::/home/alice:/bin/sh
toor:x:0:0::/root:/bin/sh
"""
GROUP = "root:x:0:\nalice:x:1000:\nstaff:x:50:alice\n"

APPLETS = """
sh cat echo sleep true false id ls mount ps env ip ping kill hostname pwd touch rm dd head grep stty tty test mknod
umount wc seq yes mkdir unshare readlink nc sysctl stat printenv df su
"""


def missing() -> str:
    """Why these tests cannot run here, or nothing."""
    if os.geteuid() != 0:
        return "needs root"
    if not BUSYBOX.exists():
        return "needs /bin/busybox (package busybox-static)"
    if "overlay" not in Path("/proc/filesystems").read_text():
        return "needs overlayfs"
    return ""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    reason = missing()
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.root)
            if reason:
                item.add_marker(pytest.mark.skip(reason=reason))


def make_layer(directory: Path) -> Path:
    """A root file system around one static program."""
    for name in ("bin", "etc", "tmp", "root", "home/alice", "proc", "sys", "dev"):
        (directory / name).mkdir(parents=True, exist_ok=True)
    shutil.copy(BUSYBOX, directory / "bin/busybox")
    for applet in APPLETS.split():
        (directory / "bin" / applet).symlink_to("busybox")
    (directory / "etc/passwd").write_text(PASSWD)
    (directory / "etc/group").write_text(GROUP)
    (directory / "tmp").chmod(0o1777)
    return directory


@dataclass
class Box:
    """What the tests do with the runtime, in few words."""

    runtime: Runtime
    layer: Path
    scratch: Path
    bridge: str
    _count: int = 0

    def pod(self, **changes: Any) -> str:
        uid = uuid.uuid4().hex
        self.runtime.create_pod(replace(PodSpec(uid, "tests", "pod"), **changes))
        return uid

    def network(self, number: int) -> PodNetwork:
        interface = f"{self.bridge}{number:x}"
        return PodNetwork(f"10.210.7.{number}/24", "10.210.7.1", self.bridge, interface)

    def create(
        self,
        pod: str,
        *command: str,
        name: str = "main",
        attempt: int = 0,
        image: dict[str, Any] | None = None,
        layers: list[Path] | None = None,
        log: LogLimits | None = None,
        change: Callable[[dict[str, Any]], None] | None = None,
        stdin: bool = False,
        **options: Any,
    ) -> ContainerState:
        config = default_config(
            {"config": {"Env": [], **(image or {})}}, ContainerOptions(command=command or None, **options)
        )
        if change:
            change(config)
        spec = ContainerSpec(
            name,
            attempt,
            config,
            layers or [self.layer],
            log or LogLimits(),
            terminal=bool(options.get("terminal")),
            stdin=stdin,
        )
        return self.runtime.create_container(pod, spec)

    def start(self, pod: str, *command: str, **options: Any) -> ContainerState:
        self.create(pod, *command, **options)
        return self.runtime.start_container(pod, options.get("name", "main"), options.get("attempt", 0))

    def state(self, pod: str, name: str = "main", attempt: int = 0) -> ContainerState:
        found = self.runtime.pod(pod)
        assert found is not None
        return next(c for c in found.containers if (c.name, c.attempt) == (name, attempt))

    def wait(self, pod: str, name: str = "main", attempt: int = 0) -> ContainerState:
        """Until the container has ended, woken by the runtime's own watch."""
        changed = threading.Event()
        stop = self.runtime.watch(lambda uid: changed.set() if uid == pod else None)
        try:
            deadline = time.monotonic() + DEADLINE
            while self.state(pod, name, attempt).phase != EXITED:
                assert changed.wait(deadline - time.monotonic()), "the container did not end"
                changed.clear()
        finally:
            stop()
        return self.state(pod, name, attempt)

    def lines(self, pod: str, name: str = "main", attempt: int = 0, **options: Any) -> list[LogLine]:
        return list(read_log(self.runtime.log_directory(pod, name), attempt, **options))

    def output(self, pod: str, name: str = "main", attempt: int = 0) -> str:
        lines = self.lines(pod, name, attempt)
        return "".join(line.text.decode() + ("" if line.partial else "\n") for line in lines)

    def run(self, *command: str, pod: str = "", **options: Any) -> tuple[ContainerState, str]:
        """Start a command, wait for its end; (state, what it said)."""
        pod = pod or self.pod()
        self.start(pod, *command, **options)
        name, attempt = options.get("name", "main"), options.get("attempt", 0)
        return self.wait(pod, name, attempt), self.output(pod, name, attempt)

    def shell(self, script: str, **options: Any) -> str:
        """What a script says inside a new container."""
        return self.run("sh", "-c", script, **options)[1]

    def wait_for_line(self, pod: str, text: str, name: str = "main", attempt: int = 0) -> LogLine:
        stop = threading.Event()
        timer = threading.Timer(DEADLINE, stop.set)
        timer.start()
        try:
            for line in read_log(self.runtime.log_directory(pod, name), attempt, follow=True, stop=stop):
                if text in line.text.decode(errors="replace"):
                    return line
        finally:
            timer.cancel()
        raise AssertionError(f"no line with {text!r} in the log")

    def exec(self, pod: str, *command: str, name: str = "main", **options: Any) -> tuple[int, str]:
        """Run a command in the container; (exit code, all that it said)."""
        session = self.runtime.exec(pod, name, 0, ProcessSpec(list(command), **options))
        said = read_session(session)
        code = session.wait(DEADLINE)
        session.close()
        return code, said


def read_session(session: ExecSession) -> str:
    """Everything that the process says, until its end."""
    said = b""
    for descriptor in (session.tty, session.stdout, session.stderr):
        while descriptor is not None:
            try:
                data = os.read(descriptor, 65536)
            except OSError:
                break
            if not data:
                break
            said += data
    return said.decode(errors="replace")


def mount_lines(needle: str) -> list[str]:
    return [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if needle in line]


def own_processes(needle: str) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cgroup"):
        with contextlib.suppress(OSError):
            if needle in path.read_text():
                found.append(int(path.parent.name))
    return found


@pytest.fixture(scope="session")
def runtime_session() -> Iterator[Box]:
    reason = missing()
    if reason:
        pytest.skip(reason)
    identity = uuid.uuid4().hex[:6]
    scratch = Path(tempfile.mkdtemp(prefix=f"runtime-{identity}-", dir="/tmp"))
    scratch.chmod(0o755)
    parent, bridge = f"gantry-t{identity}", f"gt{identity}"
    runtime = Runtime(scratch / "node", scratch / "run" / "zygote.sock", parent)
    with Netlink() as netlink:
        netlink.add_route(NETWORK, kind=UNREACHABLE, replace=True)
        index = netlink.create_bridge(bridge)
        netlink.add_address(index, "10.210.7.1/24")
    runtime.ensure_zygote()
    try:
        yield Box(runtime, make_layer(scratch / "layer"), scratch, bridge)
        for pod in runtime.pods():
            runtime.remove_pod(pod.uid)
        runtime.stop_zygote()
        leftovers(runtime, scratch, parent)
    finally:
        with Netlink() as netlink:
            index_now = netlink.link_index(bridge)
            if index_now is not None:
                netlink.delete_link(index_now)
        shutil.rmtree(scratch, ignore_errors=True)


def leftovers(runtime: Runtime, scratch: Path, parent: str) -> None:
    """Nothing that was made is still there."""
    runtime.sweep()
    assert not mount_lines(str(scratch))
    assert not list((scratch / "node" / "pods").iterdir())
    assert not list((scratch / "node" / "trash").iterdir())
    deadline = time.monotonic() + 5
    while own_processes(parent) and time.monotonic() < deadline:
        os.sched_yield()
    assert not own_processes(parent)
    runtime._cgroups.remove(parent)
    assert not [tree for tree in runtime._cgroups.hierarchies if (tree.root / parent).exists()]


@pytest.fixture
def box(runtime_session: Box) -> Iterator[Box]:
    before = {pod.uid for pod in runtime_session.runtime.pods()}
    yield runtime_session
    for pod in runtime_session.runtime.pods():
        if pod.uid not in before:
            runtime_session.runtime.remove_pod(pod.uid)
