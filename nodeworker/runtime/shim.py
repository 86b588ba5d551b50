"""The shim: one small process a pod, forked from the zygote, that outlives everything above it.

It holds the pod's namespaces, is the parent of the pod's containers, owns the pipes of their output, writes logs and
exits to disk, and answers at <pod>/shim.sock: create, start, signal, exec, resize, attach, remove, stop. It is one
thread around one epoll; nothing that it does waits for whoever asked.
"""

from __future__ import annotations

import contextlib
import gc
import os
import select
import signal
import socket
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nodeworker.kernel import mounts, pidfd, prctl, sockets
from nodeworker.kernel.cgroups.hierarchy import Cgroups
from nodeworker.runtime import pod, state
from nodeworker.runtime.container import Container, Execution, PidNamespaces
from nodeworker.runtime.errors import ContainerRuntimeError, NotFound, to_message
from nodeworker.runtime.init import Steps
from nodeworker.runtime.specs import READY, STOPPED, PodSpec, pod_spec_from_dict

_OUT_OF_MEMORY_SCORE = "-998"


def main(pod_directory: Path, home: Path, cgroup_parent: str, cgroups: Cgroups, caller: socket.socket) -> None:
    """The life of a shim, from the fork of the zygote. `caller` waits for the pod's state or an error."""
    try:
        shim = Shim(pod_directory, home, cgroup_parent, cgroups)
        answer = shim.build()
    except Exception as error:  # the edge: the caller gets the sentence, and this process ends
        with contextlib.suppress(OSError):
            sockets.send(caller, to_message(error))
        return
    with contextlib.suppress(OSError):
        sockets.send(caller, answer)
    caller.close()
    shim.serve()


class Shim:
    """The pod's process: its containers and its event loop."""

    def __init__(self, pod_directory: Path, home: Path, cgroup_parent: str, cgroups: Cgroups) -> None:
        self._directory, self._home, self._parent = pod_directory, home, cgroup_parent
        data = state.read_json(pod_directory / "spec.json")
        if data is None:
            raise ContainerRuntimeError("the pod's spec.json is missing or damaged")
        self._spec: PodSpec = pod_spec_from_dict(data)
        self._cgroups = cgroups
        self._group = state.pod_group(cgroup_parent, self._spec.uid)
        self._containers: dict[tuple[str, int], Container] = {}
        self._processes: dict[int, Container | Execution] = {}
        self._epoll = select.epoll()
        self._callbacks: dict[int, Callable[[], object]] = {}
        self._stopping: list[Callable[[dict[str, Any], list[int]], None]] | None = None
        self._done = False
        self._infra: int | None = None
        self._status: dict[str, Any] = {}

    # Birth

    def build(self) -> dict[str, Any]:
        """Make the pod; what the caller gets to know."""
        steps = Steps()
        prctl.set_name("gantry-shim")
        prctl.set_child_subreaper()
        with contextlib.suppress(PermissionError):
            Path("/proc/self/oom_score_adj").write_text(_OUT_OF_MEMORY_SCORE)
        try:
            pod.build(self._spec, self._directory, self._group, self._cgroups, steps)
        except BaseException:
            self._clean()
            raise
        if self._spec.share_process_namespace and not self._spec.host_pid:
            own = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
            self._infra = pod.fork_infra(own)
            os.close(own)
        self._pids = PidNamespaces(host=self._spec.host_pid, infra=self._infra)
        self._listener = sockets.listen(self._directory / "shim.sock")
        self.watch(self._listener.fileno(), self._accept)
        self._watch_children()
        steps.done("shim")
        self._status = {
            "phase": READY,
            "shim_pid": os.getpid(),
            "start_time": pidfd.start_time(os.getpid()),
            "boot_id": pidfd.boot_id(),
            "steps": steps.taken,
        }
        self._save()
        return self._status

    def _save(self) -> None:
        state.write_json(self._directory / "pod.json", self._status)
        self._announce()

    def _announce(self) -> None:
        with contextlib.suppress(OSError):
            state.announce(self._home, self._spec.uid)

    # The loop

    def watch(self, descriptor: int, callback: Callable[[], object]) -> None:
        self._callbacks[descriptor] = callback
        self._epoll.register(descriptor, select.EPOLLIN)

    def forget(self, descriptor: int) -> None:
        if self._callbacks.pop(descriptor, None) is not None:
            with contextlib.suppress(OSError):
                self._epoll.unregister(descriptor)

    def serve(self) -> None:
        """Until the pod is stopped."""
        gc.freeze()
        while not self._done:
            for descriptor, _events in self._epoll.poll():
                callback = self._callbacks.get(descriptor)
                if callback is None:
                    continue
                try:
                    callback()
                except Exception:  # the edge of the loop: one fault must not end a pod
                    traceback.print_exc()

    def _watch_children(self) -> None:
        read, write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        self.watch(read, lambda: self._on_child(read))

    def _on_child(self, wakeup: int) -> None:
        with contextlib.suppress(BlockingIOError):
            while os.read(wakeup, 4096):
                pass
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                break
            # What is not known is an orphan of a container with the host's PID namespace: reaped, nothing more.
            process = self._processes.pop(pid, None)
            if process is not None:
                process.on_exit(status)
        self._stop_if_empty()

    # Requests

    def _accept(self) -> None:
        connection, _address = self._listener.accept()
        if sockets.peer(connection)[1] != os.getuid():
            connection.close()
            return
        self.watch(connection.fileno(), lambda: self._on_request(connection))

    def _on_request(self, connection: socket.socket, execution: Execution | None = None) -> None:
        def reply(message: dict[str, Any], descriptors: list[int]) -> None:
            with contextlib.suppress(OSError):
                sockets.send(connection, message, descriptors)

        try:
            request, _descriptors = sockets.receive(connection)
        except (EOFError, OSError, ValueError):
            self.forget(connection.fileno())
            connection.close()
            return
        if execution is not None:
            if request.get("op") == "kill":
                execution.kill()
            return
        try:
            self._answer(connection, request, reply)
        except Exception as error:  # the edge of the loop: one bad request must not end a pod
            reply(to_message(error), [])

    def _answer(
        self,
        connection: socket.socket,
        request: dict[str, Any],
        reply: Callable[[dict[str, Any], list[int]], None],
    ) -> None:
        operation = request.get("op")
        if operation == "create":
            self._create(request, reply)
        elif operation == "stop":
            self._stop(reply)
        else:
            container = self._find(request)
            if operation == "start":
                container.start(reply)
            elif operation == "remove":
                self._remove(container, reply)
            elif operation == "exec":
                self._exec(connection, container, request, reply)
            elif operation == "signal":
                container.signal(int(request["signal"]))
                reply({}, [])
            elif operation == "resize":
                container.resize(int(request["width"]), int(request["height"]))
                reply({}, [])
            elif operation == "attach":
                reply({}, [container.input] if container.input is not None else [])
            else:
                raise ContainerRuntimeError(f"the shim does not know the operation {operation!r}")

    def _find(self, request: dict[str, Any]) -> Container:
        container = self._containers.get((request["name"], request["attempt"]))
        if container is None:
            raise NotFound(f'the pod has no container "{request["name"]}" (attempt {request["attempt"]})')
        return container

    def _create(self, request: dict[str, Any], reply: Callable[[dict[str, Any], list[int]], None]) -> None:
        name, attempt = str(request["name"]), int(request["attempt"])
        if self._stopping is not None:
            raise ContainerRuntimeError("the pod is being stopped")
        if (name, attempt) in self._containers:
            raise ContainerRuntimeError(f'the container "{name}" (attempt {attempt}) exists already')
        container = Container(
            name,
            attempt,
            state.container_directory(self._directory, name, attempt),
            self._home / "logs" / self._spec.uid / name,
            state.container_group(self._parent, self._spec.uid, name, attempt),
            self._cgroups,
            self,
        )
        container.on_change = self._announce
        self._containers[name, attempt] = container
        try:
            container.create(self._pids, reply)
        except BaseException:
            del self._containers[name, attempt]
            raise
        self._processes[container.state.pid or 0] = container

    def _exec(
        self,
        connection: socket.socket,
        container: Container,
        request: dict[str, Any],
        reply: Callable[[dict[str, Any], list[int]], None],
    ) -> None:
        execution = Execution(self, reply)
        execution.run(container, self._pids, self._cgroups, request["process"])
        self._processes[execution.pid] = execution
        self.forget(connection.fileno())
        self.watch(connection.fileno(), lambda: self._on_request(connection, execution))

    def _remove(self, container: Container, reply: Callable[[dict[str, Any], list[int]], None]) -> None:
        def gone() -> None:
            self._containers.pop((container.state.name, container.state.attempt), None)
            reply({}, [])

        if container.ended:
            gone()
        else:
            container.at_end.append(gone)
            container.signal(signal.SIGKILL)

    # End

    def _stop(self, reply: Callable[[dict[str, Any], list[int]], None]) -> None:
        self._stopping = self._stopping or []
        self._stopping.append(reply)
        for container in self._containers.values():
            container.signal(signal.SIGKILL)
        self._stop_if_empty()

    def _stop_if_empty(self) -> None:
        if self._stopping is None or self._done or not all(c.ended for c in self._containers.values()):
            return
        if self._infra is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._infra, signal.SIGKILL)
        self._clean()
        self._status = {**self._status, "phase": STOPPED}
        with contextlib.suppress(OSError):
            self._save()
        for reply in self._stopping:
            reply({}, [])
        self._done = True

    def _clean(self) -> None:
        with contextlib.suppress(OSError):
            mounts.umount2(str(self._directory / "shm"), mounts.MNT_DETACH)
        with contextlib.suppress(OSError):
            (self._directory / "shim.sock").unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self._cgroups.remove(self._group)
