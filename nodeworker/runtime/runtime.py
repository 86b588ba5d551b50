"""The door of the runtime: what the node agent calls.

Every call is a message to the zygote (a new pod) or to the pod's shim (everything else), or a look at the files that
the shim keeps; nothing is remembered here, so a restarted agent just asks `pods()`.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from nodeworker.kernel import mounts, pidfd, sockets
from nodeworker.kernel.cgroups.hierarchy import Cgroups, Usage
from nodeworker.runtime import launch, state
from nodeworker.runtime.errors import ContainerRuntimeError, NotFound, RuntimeUnavailable, from_message, is_error
from nodeworker.runtime.exec import ExecSession
from nodeworker.runtime.seccomp_cache import shorten
from nodeworker.runtime.specs import (
    EXITED,
    LOST,
    READY,
    ContainerSpec,
    ContainerState,
    PodSpec,
    PodState,
    ProcessSpec,
    container_state_from_dict,
    pod_spec_from_dict,
    pod_spec_to_dict,
)
from nodeworker.runtime.watch import Watch

__all__ = ["ExecSession", "Runtime"]

_TIMEOUT = 30.0
_POD_FILES = (("/etc/hosts", "hosts"), ("/etc/resolv.conf", "resolv.conf"), ("/etc/hostname", "hostname"))


class Runtime:
    """Pods and containers of one node. Safe to call from several threads."""

    def __init__(self, home: Path, zygote_socket: Path, cgroup_parent: str) -> None:
        self.home, self.zygote_socket, self.cgroup_parent = home, zygote_socket, cgroup_parent
        self._cgroups = Cgroups()
        for name in ("pods", "logs", "changes", "trash"):
            (home / name).mkdir(parents=True, exist_ok=True, mode=0o700)
        self._sweeper = _Sweeper(home / "trash")

    # Zygote

    def ensure_zygote(self) -> None:
        """Start the zygote, or replace it when it runs other code than ours; running pods do not notice."""
        launch.ensure(self.zygote_socket, self.home, self.cgroup_parent)

    def stop_zygote(self) -> None:
        """End the zygote, for `down --pods` and `purge`; pods that run go on."""
        launch.quit_zygote(self.zygote_socket)

    # Pods

    def _pod_directory(self, pod_uid: str) -> Path:
        return self.home / "pods" / state.check_name(pod_uid, "pod uid")

    def create_pod(self, pod: PodSpec) -> PodState:
        """Start the pod's shim with its namespaces and network."""
        directory = self._pod_directory(pod.uid)
        if (directory / "pod.json").exists():
            raise ContainerRuntimeError(f'the pod "{pod.namespace}/{pod.name}" exists already')
        (directory / "containers").mkdir(parents=True, exist_ok=True, mode=0o700)
        state.write_json(directory / "spec.json", pod_spec_to_dict(pod))
        try:
            answer = self._ask_zygote({"op": "pod", "pod_directory": str(directory)})
        except ContainerRuntimeError:
            self._throw_away(directory)
            raise
        steps = [(name, milliseconds) for name, milliseconds in answer["steps"]]
        return PodState(
            pod.uid, pod.namespace, pod.name, READY, answer["shim_pid"], pod.network, steps=steps, labels=pod.labels
        )

    def _ask_zygote(self, request: dict[str, Any]) -> dict[str, Any]:
        for attempt in (1, 2):
            try:
                answer = launch.ask(self.zygote_socket, request, _TIMEOUT)
                break
            except (ConnectionRefusedError, ConnectionResetError, FileNotFoundError, EOFError):
                if attempt == 2:
                    raise RuntimeUnavailable("the zygote does not run and could not be started") from None
                self.ensure_zygote()
            except OSError as error:
                raise RuntimeUnavailable(f"the zygote does not answer: {error}") from error
        if is_error(answer):
            raise from_message(answer)
        return answer

    def stop_pod(self, pod_uid: str) -> None:
        """Kill what runs in the pod and end its shim; its network goes with it. No error when it is gone."""
        try:
            self._ask(pod_uid, {"op": "stop"})
        except NotFound:
            return
        except RuntimeUnavailable:
            pod = self.pod(pod_uid)  # notices that the shim is dead and cleans up behind it
            if pod is not None and pod.phase == READY:
                raise

    def remove_pod(self, pod_uid: str) -> None:
        """Stop the pod and remove everything, its logs too."""
        directory = self._pod_directory(pod_uid)
        self.stop_pod(pod_uid)
        self._throw_away(directory, self.home / "logs" / pod_uid)
        (self.home / "changes" / pod_uid).unlink(missing_ok=True)

    def pods(self) -> list[PodState]:
        """All pods, from disk, checked against what is alive. Adoption after a restart is just this call."""
        names = sorted(entry.name for entry in os.scandir(self.home / "pods") if entry.is_dir())
        return [pod for name in names if (pod := self.pod(name)) is not None]

    def pod(self, pod_uid: str) -> PodState | None:
        """One pod as `pods` would show it."""
        directory = self._pod_directory(pod_uid)
        data = state.read_json(directory / "spec.json")
        if data is None:
            return None
        status = state.read_json(directory / "pod.json") or {"phase": LOST}
        if status["phase"] == READY and not _is_alive(status.get("shim_pid"), status):
            self._bury(pod_uid, directory, status)
            status = state.read_json(directory / "pod.json") or {"phase": LOST}
        spec = pod_spec_from_dict(data)
        return PodState(
            spec.uid,
            spec.namespace,
            spec.name,
            status["phase"],
            status.get("shim_pid") if status["phase"] == READY else None,
            spec.network,
            self._containers(directory),
            status.get("error", ""),
            [(name, milliseconds) for name, milliseconds in status.get("steps", [])],
            spec.labels,
        )

    @staticmethod
    def _containers(directory: Path) -> list[ContainerState]:
        found = []
        for path in (directory / "containers").glob("*/state.json"):
            data = state.read_json(path)
            if data is not None:
                found.append(container_state_from_dict(data))
        return sorted(found, key=lambda container: (container.name, container.attempt))

    def _bury(self, pod_uid: str, directory: Path, status: dict[str, Any]) -> None:
        """The shim died: its containers died with it (or do so now); say why, and leave nothing of them behind."""
        same_boot = status.get("boot_id") == pidfd.boot_id()
        reason = "the pod's shim was killed" if same_boot else "the machine was restarted"
        group = state.pod_group(self.cgroup_parent, pod_uid)
        for container in self._containers(directory):
            if same_boot:
                self._cgroups.kill(
                    state.container_group(self.cgroup_parent, pod_uid, container.name, container.attempt)
                )
            if container.phase == EXITED:
                continue
            container.phase, container.pid, container.finished_at = EXITED, None, time.time()
            container.exit_code, container.reason, container.error = 137, "ContainerStatusUnknown", reason
            path = state.container_directory(directory, container.name, container.attempt)
            state.write_json(path / "state.json", asdict(container))
        with contextlib.suppress(OSError):
            mounts.umount2(str(directory / "shm"), mounts.MNT_DETACH)
        with contextlib.suppress(OSError):
            self._cgroups.remove(group)
        state.write_json(directory / "pod.json", {**status, "phase": LOST, "error": reason})

    # Containers

    def create_container(self, pod_uid: str, container: ContainerSpec) -> ContainerState:
        """OCI create: everything is built, the container's process waits. Raises StartError."""
        pod_directory = self._pod_directory(pod_uid)
        directory = state.container_directory(pod_directory, container.name, container.attempt)
        try:
            directory.mkdir(mode=0o700)
        except FileNotFoundError:
            raise NotFound(f"no pod {pod_uid} on this node") from None
        except FileExistsError:
            message = f'the container "{container.name}" (attempt {container.attempt}) exists already'
            raise ContainerRuntimeError(message) from None
        spec = {
            "lower_directories": [str(path) for path in container.lower_directories],
            "log": asdict(container.log),
            "terminal": container.terminal,
            "stdin": container.stdin,
        }
        state.write_json(directory / "spec.json", spec)
        state.write_json(directory / "config.json", _complete(container, pod_directory))
        request = {"op": "create", "name": container.name, "attempt": container.attempt}
        return container_state_from_dict(self._ask(pod_uid, request))

    def start_container(self, pod_uid: str, name: str, attempt: int) -> ContainerState:
        """OCI start: the waiting process becomes the container's command. Raises StartError."""
        return container_state_from_dict(self._ask(pod_uid, {"op": "start", "name": name, "attempt": attempt}))

    def signal_container(self, pod_uid: str, name: str, attempt: int, signal: int) -> None:
        """Send a signal to the container's first process; SIGKILL goes to all of them. No error when it has ended."""
        with contextlib.suppress(NotFound):
            self._ask(pod_uid, {"op": "signal", "name": name, "attempt": attempt, "signal": int(signal)})

    def resize_container(self, pod_uid: str, name: str, attempt: int, width: int, height: int) -> None:
        """Tell the terminal of a container that has one its size."""
        self._ask(pod_uid, {"op": "resize", "name": name, "attempt": attempt, "width": width, "height": height})

    def attach_input(self, pod_uid: str, name: str, attempt: int) -> int | None:
        """A descriptor to write to the container's standard input (or terminal); None if it has none. Output: logs."""
        with self._connect(pod_uid) as connection:
            sockets.send(connection, {"op": "attach", "name": name, "attempt": attempt})
            message, descriptors = sockets.receive(connection)
        if is_error(message):
            raise from_message(message)
        return descriptors[0] if descriptors else None

    def exec(self, pod_uid: str, name: str, attempt: int, process: ProcessSpec) -> ExecSession:
        """Run a process inside a running container. Raises StartError."""
        connection = self._connect(pod_uid)
        try:
            request = {"op": "exec", "name": name, "attempt": attempt, "process": asdict(process)}
            sockets.send(connection, request)
            message, descriptors = sockets.receive(connection)
        except (OSError, EOFError) as error:
            connection.close()
            raise RuntimeUnavailable(f"the pod's shim does not answer: {error}") from error
        if is_error(message):
            connection.close()
            raise from_message(message)
        return ExecSession.from_descriptors(connection, message["pid"], descriptors, process)

    def remove_container(self, pod_uid: str, name: str, attempt: int) -> None:
        """Kill it if need be and remove everything but its logs. No error when it is gone."""
        directory = state.container_directory(self._pod_directory(pod_uid), name, attempt)
        with contextlib.suppress(NotFound, RuntimeUnavailable):
            self._ask(pod_uid, {"op": "remove", "name": name, "attempt": attempt})
        self._throw_away(directory)

    def usage(self, pod_uid: str, name: str, attempt: int) -> Usage | None:
        """CPU, memory and processes of a container, or None when it does not run."""
        return self._cgroups.usage(state.container_group(self.cgroup_parent, pod_uid, name, attempt))

    # Watching

    def watch(self, on_change: Callable[[str], None]) -> Callable[[], None]:
        """Call `on_change(pod_uid)` from a thread of our own at each change of state; returns a function to end it.

        The death of a shim counts as a change.
        """
        watch = Watch(self.home, on_change)
        watch.start()
        return watch.stop

    def log_directory(self, pod_uid: str, name: str) -> Path:
        """Where `logs.read_log` finds the container's lines (all attempts)."""
        return self.home / "logs" / state.check_name(pod_uid, "pod uid") / state.check_name(name, "container name")

    # Messages and rubbish

    def _connect(self, pod_uid: str) -> Any:
        directory = self._pod_directory(pod_uid)
        try:
            return sockets.connect(directory / "shim.sock", _TIMEOUT)
        except FileNotFoundError:
            if directory.exists() and (state.read_json(directory / "pod.json") or {}).get("phase") == READY:
                raise RuntimeUnavailable("the pod's shim is gone") from None
            raise NotFound(f"no pod {pod_uid} runs on this node") from None
        except OSError as error:
            raise RuntimeUnavailable(f"the pod's shim does not answer: {error}") from error

    def _ask(self, pod_uid: str, request: dict[str, Any]) -> dict[str, Any]:
        with self._connect(pod_uid) as connection:
            try:
                sockets.send(connection, request)
                answer, _descriptors = sockets.receive(connection)
            except (OSError, EOFError) as error:
                raise RuntimeUnavailable(f"the pod's shim does not answer: {error}") from error
        if is_error(answer):
            raise from_message(answer)
        return answer

    def _throw_away(self, *directories: Path) -> None:
        """Rename at once, delete later: removing a writable layer in line costs up to 10 ms."""
        for directory in directories:
            with contextlib.suppress(FileNotFoundError):
                directory.rename(self.home / "trash" / uuid.uuid4().hex)
        self._sweeper.wake()

    def sweep(self) -> None:
        """Wait until everything thrown away has been deleted."""
        self._sweeper.drain()


def _is_alive(pid: int | None, status: Mapping[str, Any]) -> bool:
    return pid is not None and pidfd.is_alive(pid, status.get("start_time", -1), status.get("boot_id", ""))


def _complete(container: ContainerSpec, pod_directory: Path) -> dict[str, Any]:
    """The config.json with what only the pod level knows: the pod's own files, its /dev/shm, the root's path."""
    config = {**shorten(container.bundle)}
    config["root"] = {**config.get("root", {}), "path": "root"}
    config["process"] = {**config["process"], "terminal": container.terminal}
    entries = list(config.get("mounts", []))
    taken = {entry["destination"] for entry in entries}
    for entry in entries:
        if entry["destination"] == "/dev/shm" and entry.get("type") == "tmpfs":
            entries[entries.index(entry)] = _shared_memory(pod_directory)
    for destination, name in _POD_FILES:
        if destination not in taken:
            source = str(pod_directory / "etc" / name)
            entries.append({"destination": destination, "type": "bind", "source": source, "options": ["bind", "rw"]})
    config["mounts"] = entries
    return config


def _shared_memory(pod_directory: Path) -> dict[str, Any]:
    spec = state.read_json(pod_directory / "spec.json") or {}
    source = "/dev/shm" if spec.get("host_ipc") else str(pod_directory / "shm")
    return {
        "destination": "/dev/shm",
        "type": "bind",
        "source": source,
        "options": ["bind", "nosuid", "nodev", "noexec"],
    }


class _Sweeper:
    """Deletes what lies in the trash, in a thread that sleeps until it is woken."""

    def __init__(self, trash: Path) -> None:
        self._trash = trash
        self._lock = threading.Lock()
        self._wanted = threading.Event()
        self._thread: threading.Thread | None = None

    def wake(self) -> None:
        self._wanted.set()
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="runtime-sweeper", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            self._wanted.wait()
            self._wanted.clear()
            self.drain()

    def drain(self) -> None:
        for entry in list(os.scandir(self._trash)):
            shutil.rmtree(entry.path, ignore_errors=True)
