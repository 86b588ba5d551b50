"""How fast containers start here, beside crun and runc on the same machine. Prints a table; run as root:

    .venv/bin/python -m tests.bench.bench_runtime [rounds]

A round is a whole life of `busybox true` (create, start, wait, remove); the three runtimes take turns, so that a noisy
moment hits all of them. Ours has a pod already (as a restarted container has) and beside it a row with a new pod each.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from nodeworker.kernel.netlink import UNREACHABLE, Netlink
from nodeworker.runtime.oci import ContainerOptions, default_config
from nodeworker.runtime.runtime import Runtime
from nodeworker.runtime.specs import EXITED, ContainerSpec, PodNetwork, PodSpec, ProcessSpec
from tests.runtime.conftest import make_layer


class Bench:
    """One runtime of our own, a layer, a bridge."""

    def __init__(self, scratch: Path, identity: str) -> None:
        self.scratch, self.parent, self.bridge = scratch, f"gantry-b{identity}", f"gb{identity}"
        self.layer = make_layer(scratch / "layer")
        self.runtime = Runtime(scratch / "node", scratch / "run" / "zygote.sock", self.parent)
        self.runtime.ensure_zygote()
        with Netlink() as netlink:
            netlink.add_route("10.210.0.0/16", kind=UNREACHABLE, replace=True)
            netlink.add_address(netlink.create_bridge(self.bridge), "10.210.8.1/24")
        self.config = default_config({}, ContainerOptions(command=["true"]))
        self.count = 0
        self.changed = threading.Event()
        self.stop_watch = self.runtime.watch(lambda _uid: self.changed.set())
        self.steps: dict[str, list[float]] = {}

    def new_pod(self, *, network: bool = True) -> str:
        self.count += 1
        uid = f"pod{self.count}"
        address = PodNetwork(
            f"10.210.8.{2 + self.count % 250}/24", "10.210.8.1", self.bridge, f"{self.bridge}{self.count:x}"
        )
        state = self.runtime.create_pod(PodSpec(uid, "bench", uid, network=address if network else None))
        self.note(state.steps)
        return uid

    def note(self, steps: list[tuple[str, float]]) -> None:
        for name, milliseconds in steps:
            self.steps.setdefault(name, []).append(milliseconds)

    def create_and_start(self, pod: str) -> int:
        self.count += 1
        state = self.runtime.create_container(pod, ContainerSpec("c", self.count, self.config, [self.layer]))
        self.note(state.steps)
        self.runtime.start_container(pod, "c", self.count)
        return self.count

    def wait(self, pod: str, attempt: int) -> None:
        while True:
            self.changed.clear()
            found = self.runtime.pod(pod)
            assert found is not None
            if any(c.attempt == attempt and c.phase == EXITED for c in found.containers):
                return
            self.changed.wait(5)

    def life(self, pod: str) -> None:
        attempt = self.create_and_start(pod)
        self.wait(pod, attempt)
        self.runtime.remove_container(pod, "c", attempt)

    def pod_life(self) -> None:
        pod = self.new_pod()
        self.wait(pod, self.create_and_start(pod))
        self.runtime.remove_pod(pod)

    def close(self) -> None:
        self.stop_watch()
        for pod in self.runtime.pods():
            self.runtime.remove_pod(pod.uid)
        self.runtime.stop_zygote()
        with Netlink() as netlink:
            index = netlink.link_index(self.bridge)
            if index is not None:
                netlink.delete_link(index)
        for tree in self.runtime._cgroups.hierarchies:
            if (tree.root / self.parent).exists():
                self.runtime._cgroups.remove(self.parent)


def bundle(scratch: Path, layer: Path) -> Path:
    """The same command for an OCI runtime on the command line, as its own `spec` writes it."""
    directory = scratch / "bundle"
    directory.mkdir()
    shutil.copytree(layer, directory / "rootfs", symlinks=True)
    subprocess.run(["runc", "spec"], cwd=directory, check=True)
    config = json.loads((directory / "config.json").read_text())
    config["process"]["args"], config["process"]["terminal"] = ["true"], False
    config["process"].pop("rlimits", None)
    config["root"]["readonly"] = False
    (directory / "config.json").write_text(json.dumps(config))
    return directory


def peer(name: str, directory: Path) -> Callable[[], None]:
    """`name run` of the bundle; crun needs the unified tree of a hybrid machine out of sight."""
    identity = f"bench-{name}-{os.getpid()}"
    run = f"exec {name} run {identity}"
    hide = "umount /sys/fs/cgroup/unified 2>/dev/null; " if name == "crun" else ""
    command = ["unshare", "-m", "sh", "-c", hide + run] if hide else [name, "run", identity]

    def life() -> None:
        subprocess.run(command, cwd=directory, check=True, stdin=subprocess.DEVNULL, capture_output=True)

    return life


def timed(work: Callable[[], object]) -> float:
    before = time.perf_counter()
    work()
    return (time.perf_counter() - before) * 1000


def unique_memory(pid: int) -> float:
    """USS in MB."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return sum(int(value) for value in re.findall(r"Private_(?:Clean|Dirty):\s+(\d+)", text)) / 1024


def main(rounds: int) -> None:
    scratch = Path(tempfile.mkdtemp(prefix="runtime-bench-", dir="/tmp"))
    bench = Bench(scratch, f"{os.getpid() % 0xFFFF:x}")
    samples: dict[str, list[float]] = {}

    def sample(name: str, work: Callable[[], object]) -> None:
        samples.setdefault(name, []).append(timed(work))

    try:
        directory = bundle(scratch, bench.layer)
        peers = {name: peer(name, directory) for name in ("crun", "runc") if shutil.which(name)}
        standing = bench.new_pod()
        bench.life(standing)
        for _round in range(rounds):
            sample("life of a container in a pod", lambda: bench.life(standing))
            sample("life of a pod with a network and a container", bench.pod_life)
            for name, life in peers.items():
                sample(f"{name} run", life)
        for _round in range(rounds):
            sample("create pod, no network", partial(bench.new_pod, network=False))
            sample("create pod with a network", bench.new_pod)
            sample("create + start container", partial(bench.create_and_start, f"pod{bench.count}"))
            for number in (bench.count - 1, bench.count - 2):
                bench.runtime.remove_pod(f"pod{number}")
        long = default_config({}, ContainerOptions(command=["sleep", "1000"]))
        bench.runtime.create_container(standing, ContainerSpec("long", 0, long, [bench.layer]))
        bench.runtime.start_container(standing, "long", 0)

        def execute() -> None:
            session = bench.runtime.exec(standing, "long", 0, ProcessSpec(["true"]))
            session.wait(10)
            session.close()

        for _round in range(rounds):
            sample("exec of true in a container, to its exit", execute)
        found = bench.runtime.pod(standing)
        memory = unique_memory(found.shim_pid or 0) if found else 0.0
    finally:
        bench.close()
        shutil.rmtree(scratch, ignore_errors=True)
    print(f"{'milliseconds':48} {'median':>8} {'p95':>8}   (n = {rounds})")
    for name, values in samples.items():
        print(f"{name:48} {statistics.median(values):8.2f} {sorted(values)[int(len(values) * 0.95)]:8.2f}")
    print("\nsteps, median ms: " + ", ".join(f"{n} {statistics.median(v):.2f}" for n, v in bench.steps.items()))
    print(f"unique memory of a shim with a container: {memory:.2f} MB")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 30)
