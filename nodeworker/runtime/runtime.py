"""The door of the runtime: what the node agent calls.

Every call is a message to the zygote (a new pod) or to the pod's shim (everything else), or a look at the files that
the shim keeps; nothing is remembered here, so a restarted agent just asks `pods()`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from nodeworker.runtime.specs import ContainerSpec, ContainerState, PodSpec, PodState, ProcessSpec


class ExecSession:
    """A process started by `Runtime.exec`. The descriptors belong to the caller: close them.

    With a terminal `tty` is the master side and the others are None; without one `tty` is None and `stdin` is None
    unless it was asked for.
    """

    def __init__(self, pid: int, stdin: int | None, stdout: int | None, stderr: int | None, tty: int | None) -> None:
        self.pid, self.stdin, self.stdout, self.stderr, self.tty = pid, stdin, stdout, stderr, tty

    def resize(self, width: int, height: int) -> None:
        """Tell the terminal its size."""
        raise NotImplementedError

    def wait(self, timeout: float | None = None) -> int:
        """Block until the process ended; its exit code (128 + signal). TimeoutError when it takes longer."""
        raise NotImplementedError

    def kill(self) -> None:
        """SIGKILL the process."""
        raise NotImplementedError

    def close(self) -> None:
        """Close every descriptor that is still open."""
        raise NotImplementedError


class Runtime:
    """Pods and containers of one node. Safe to call from several threads."""

    def __init__(self, home: Path, zygote_socket: Path, cgroup_parent: str) -> None:
        self.home, self.zygote_socket, self.cgroup_parent = home, zygote_socket, cgroup_parent

    def ensure_zygote(self) -> None:
        """Start the zygote, or replace it when it runs other code than ours; running pods do not notice."""
        raise NotImplementedError

    def create_pod(self, pod: PodSpec) -> PodState:
        """Start the pod's shim with its namespaces and network."""
        raise NotImplementedError

    def create_container(self, pod_uid: str, container: ContainerSpec) -> ContainerState:
        """OCI create: everything is built, the container's process waits. Raises StartError."""
        raise NotImplementedError

    def start_container(self, pod_uid: str, name: str, attempt: int) -> ContainerState:
        """OCI start: the waiting process becomes the container's command. Raises StartError."""
        raise NotImplementedError

    def signal_container(self, pod_uid: str, name: str, attempt: int, signal: int) -> None:
        """Send a signal to the container's first process; SIGKILL goes to all of them. No error when it has ended."""
        raise NotImplementedError

    def exec(self, pod_uid: str, name: str, attempt: int, process: ProcessSpec) -> ExecSession:
        """Run a process inside a running container. Raises StartError."""
        raise NotImplementedError

    def remove_container(self, pod_uid: str, name: str, attempt: int) -> None:
        """Kill it if need be and remove everything but its logs. No error when it is gone."""
        raise NotImplementedError

    def stop_pod(self, pod_uid: str) -> None:
        """Kill what runs in the pod and end its shim; its network goes with it. No error when it is gone."""
        raise NotImplementedError

    def remove_pod(self, pod_uid: str) -> None:
        """Stop the pod and remove everything, its logs too."""
        raise NotImplementedError

    def pods(self) -> list[PodState]:
        """All pods, from disk, checked against what is alive. Adoption after a restart is just this call."""
        raise NotImplementedError

    def pod(self, pod_uid: str) -> PodState | None:
        """One pod as `pods` would show it."""
        raise NotImplementedError

    def watch(self, on_change: Callable[[str], None]) -> Callable[[], None]:
        """Call `on_change(pod_uid)` from a thread of our own at each change of state; returns a function to end it."""
        raise NotImplementedError

    def log_directory(self, pod_uid: str, name: str) -> Path:
        """Where `logs.read_log` finds the container's lines (all attempts)."""
        return self.home / "logs" / pod_uid / name
