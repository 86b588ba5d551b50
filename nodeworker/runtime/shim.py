"""The shim: one small process a pod, forked from the zygote, that outlives everything above it.

It holds the pod's namespaces, is the parent of the pod's containers, owns the pipes of their output, writes logs and
exits to disk, and answers at <pod>/shim.sock: create, start, signal, exec, resize, attach, remove, stop. It is one
thread around one epoll; nothing that it does waits for whoever asked.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nodeworker.kernel import namespaces, prctl, sockets
from nodeworker.kernel.cgroups.hierarchy import Cgroups
from nodeworker.runtime import init, pod, pod_builder, state
from nodeworker.runtime.container import Container, Execution, FirstProcess, PidNamespaces
from nodeworker.runtime.errors import ContainerRuntimeError, NotFound, to_message
from nodeworker.runtime.specs import STOPPED

Reply = Callable[[dict[str, Any], list[int]], None]


def main(requests: socket.socket, taken: int, home: str, cgroup_parent: str, cgroups: Cgroups, version: str) -> None:
    """The life of a shim, from the fork of the zygote: until its builder has a pod for it, it only waits."""
    zygote = os.getppid()
    os.setsid()
    prctl.set_name("gantry-shim")
    prctl.set_child_subreaper()
    prctl.set_parent_death_signal(signal.SIGKILL)  # a zygote that ends leaves no shim without a pod
    if os.getppid() != zygote:
        return
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
    builder = os.fork()
    if builder == 0:
        ours.close()
        pod_builder.run(
            pod_builder.Request(requests, taken, zygote, version), Path(home), cgroup_parent, cgroups, theirs
        )
    os.close(taken)
    theirs.close()
    requests.close()
    try:
        made, (listener,) = sockets.receive(ours)
    except EOFError:
        return  # another request than for a pod, or it could not be built, and the builder has said so
    try:
        prctl.set_parent_death_signal(0)
        shim = Shim(made["directory"], home, cgroup_parent, cgroups)
        shim.take_over(builder, made, listener)
    except Exception as error:  # the edge: the caller gets the sentence, and this process ends
        sockets.send(ours, to_message(error))
        return
    sockets.send(ours, {})
    ours.close()
    shim.serve()


class Shim:
    """The pod's process: its containers and its event loop."""

    def __init__(
        self, pod_directory: str, home: str, cgroup_parent: str, cgroups: Cgroups, *, first: FirstProcess = init.run
    ) -> None:
        self._first = first
        # Strings: pathlib alone would make 0.1 MB of a shim its own.
        self._directory, self._home, self._parent = pod_directory, home, cgroup_parent
        self._cgroups = cgroups
        self._containers: dict[tuple[str, int], Container] = {}
        self._processes: dict[int, Container | Execution] = {}
        self._epoll = select.epoll()
        self._callbacks: dict[int, Callable[[], object]] = {}
        self._stopping: list[Reply] | None = None
        self._done = False
        self._infra: int | None = None

    # Birth

    def take_over(self, builder: int, made: dict[str, Any], listener: int) -> None:
        """Enter the namespaces that the builder has made, and be ready for requests."""
        self._uid = str(made["uid"])
        self._group = state.pod_group(self._parent, self._uid)
        if made["namespaces"]:
            process = os.pidfd_open(builder)
            namespaces.setns(process, made["namespaces"])
            os.close(process)
        if made["share_pid"] and not made["host_pid"]:
            own = namespaces.open_namespace("pid")
            self._infra = pod.fork_infra(own)
            os.close(own)
        self._pids = PidNamespaces(host=made["host_pid"], infra=self._infra)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, 0, listener)
        self.watch(listener, self._accept)
        self._watch_children()

    def _announce(self) -> None:
        with contextlib.suppress(OSError):
            state.announce(self._home, self._uid)

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
        while not self._done:
            self.turn()

    def turn(self, timeout: float | None = None) -> None:
        """Wait for something to happen and deal with it."""
        for descriptor, _events in self._epoll.poll(timeout):
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
        reply: Reply,
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

    def _create(self, request: dict[str, Any], reply: Reply) -> None:
        name, attempt = str(request["name"]), int(request["attempt"])
        if self._stopping is not None:
            raise ContainerRuntimeError("the pod is being stopped")
        if (name, attempt) in self._containers:
            raise ContainerRuntimeError(f'the container "{name}" (attempt {attempt}) exists already')
        container = Container(
            name,
            attempt,
            f"{self._directory}/{state.container_place(name, attempt)}",
            f"{self._home}/logs/{self._uid}/{name}",
            state.container_group(self._parent, self._uid, name, attempt),
            self._cgroups,
            self,
            self._first,
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
        reply: Reply,
    ) -> None:
        execution = Execution(self, reply)
        execution.run(container, self._pids, self._cgroups, request["process"])
        self._processes[execution.pid] = execution
        self.forget(connection.fileno())
        self.watch(connection.fileno(), lambda: self._on_request(connection, execution))

    def _remove(self, container: Container, reply: Reply) -> None:
        def gone() -> None:
            self._containers.pop((container.state.name, container.state.attempt), None)
            reply({}, [])

        if container.ended:
            gone()
        else:
            container.at_end.append(gone)
            container.signal(signal.SIGKILL)

    # End

    def _stop(self, reply: Reply) -> None:
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
        pod_builder.clean(Path(self._directory), self._group, self._cgroups)
        status = state.read_json(f"{self._directory}/pod.json") or {}
        with contextlib.suppress(OSError):
            state.write_json(f"{self._directory}/pod.json", {**status, "phase": STOPPED})
        self._announce()
        for reply in self._stopping:
            reply({}, [])
        self._done = True
