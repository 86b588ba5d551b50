"""What an instance leaves on the machine, and how to take it away: pods, mounts, cgroups, interfaces, rules.

Called by `down --pods` and `purge` when no process of the instance runs.
"""

import contextlib
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

from launcher.errors import LauncherError
from nodeworker.network.host import cleanup as remove_network
from nodeworker.runtime.runtime import Runtime
from nodeworker.runtime.specs import ContainerState, PodState
from nodeworker.wire.instance import Instance

GRACE = 10.0


def stop_pods(home: Path, instance: Instance) -> int:
    """End all containers (SIGTERM, then SIGKILL after 10 s) and their pods; return how many pods there were."""
    runtime = _runtime(home, instance)
    pods = runtime.pods()
    running = [(pod, container) for pod in pods for container in pod.containers if container.phase == "running"]
    changed = threading.Event()
    end_watch = runtime.watch(lambda _uid: changed.set())
    try:
        for pod, container in running:
            with contextlib.suppress(OSError):
                runtime.signal_container(pod.uid, container.name, container.attempt, signal.SIGTERM)
        _wait_for_end(runtime, changed)
    finally:
        end_watch()
    for pod in pods:
        runtime.stop_pod(pod.uid)
    return len(pods)


def remove_all(home: Path, instance: Instance) -> None:
    """Remove everything of the instance that is not a file in its home."""
    runtime = _runtime(home, instance)
    for pod in runtime.pods():
        runtime.remove_pod(pod.uid)
    runtime.stop_zygote()
    remove_network(instance.id, instance.pod_cidr, instance.service_cidr)
    for path in _mounts_below(home):
        subprocess.run(["umount", "--lazy", "--", path], capture_output=True, check=False)
    for folder in cgroups(instance):
        _remove_cgroup(folder)


def cgroups(instance: Instance) -> list[Path]:
    """Return the instance's cgroup in every hierarchy of this machine."""
    root = Path("/sys/fs/cgroup")
    candidates = [root / instance.cgroup_parent, *(folder / instance.cgroup_parent for folder in root.iterdir())]
    return [path for path in candidates if path.is_dir()]


def remove_home(home: Path) -> None:
    """Delete the home, after making sure that nothing is mounted below it any more."""
    left = list(_mounts_below(home))
    if left:
        raise LauncherError(f"{left[0]} is still mounted; nothing below {home} was deleted")
    shutil.rmtree(home)


def _runtime(home: Path, instance: Instance) -> Runtime:
    return Runtime(home / "node", home / "run" / "zygote.sock", instance.cgroup_parent)


def _wait_for_end(runtime: Runtime, changed: threading.Event) -> None:
    over = threading.Event()

    def end() -> None:
        over.set()
        changed.set()

    timer = threading.Timer(GRACE, end)
    timer.start()
    while any(_running(runtime.pods())) and not over.is_set():
        changed.wait()
        changed.clear()
    timer.cancel()


def _running(pods: list[PodState]) -> Iterator[ContainerState]:
    return (container for pod in pods for container in pod.containers if container.phase == "running")


def _mounts_below(home: Path) -> Iterator[str]:
    """Yield mount points below `home`, the deepest first; /proc/self/mountinfo escapes blanks as octal (proc(5))."""
    points = [
        line.split()[4].encode().decode("unicode_escape")
        for line in Path("/proc/self/mountinfo").read_text().splitlines()
    ]
    return iter(sorted((point for point in points if point.startswith(f"{home}/")), key=len, reverse=True))


def _remove_cgroup(folder: Path) -> None:
    for child in sorted(folder.rglob("*"), key=lambda path: len(path.parts), reverse=True):
        if child.is_dir():
            child.rmdir()
    folder.rmdir()
