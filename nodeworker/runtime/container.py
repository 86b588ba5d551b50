"""The story of one container, told from the shim: create, start, output, exit. What runs inside is `init.py`.

    shim                                     child (init.py)
    fork in the container's PID namespace -> builds cgroup, root, mounts, gives up its powers
    phase "created"   <- {"ready", steps} -- waits
    {"start"}         ->                     execve
    phase "running"   <- end of file ------- (the socket is close-on-exec)
    phase "exited"    <- SIGCHLD ----------- ends
At any point the child may send {"error"} instead, and end.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn, Protocol

from nodeworker.kernel import devices, namespaces, pidfd, sockets, terminal
from nodeworker.kernel.cgroups.hierarchy import Cgroups
from nodeworker.runtime import enter, init, state
from nodeworker.runtime.errors import ContainerRuntimeError, InvalidTransition, StartError, from_message, is_error
from nodeworker.runtime.log_writer import LogWriter
from nodeworker.runtime.specs import CREATED, EXITED, RUNNING, ContainerState, container_state_to_dict

_CHUNK = 64 * 1024
Reply = Callable[[dict[str, Any], list[int]], None]
# What runs in the child: `init.run`, with its parameters.
FirstProcess = Callable[[str, list[str], str, Cgroups, socket.socket, tuple[int, int, int]], NoReturn]


class Loop(Protocol):
    """What a container needs of the shim's event loop."""

    def watch(self, descriptor: int, callback: Callable[[], object]) -> None: ...
    def forget(self, descriptor: int) -> None: ...


class PidNamespaces:
    """Forks children into the right PID namespace: a new one, the pod's shared one, or the host's."""

    def __init__(self, *, host: bool, infra: int | None) -> None:
        self._own = namespaces.open_namespace("pid")
        self._host = host
        self._infra = None if infra is None else os.pidfd_open(infra)

    @property
    def own_for_each(self) -> bool:
        """True when a container's first process is process 1, whose end ends all others."""
        return not self._host and self._infra is None

    def fork_first(self) -> int:
        """fork(2) of a container's first process."""
        if self._host:
            return os.fork()
        if self._infra is not None:
            return self.fork_in(self._infra)
        namespaces.unshare(namespaces.CLONE_NEWPID)
        return self._fork_and_return()

    def fork_in(self, process: int) -> int:
        """fork(2) of a child in the PID namespace of a pidfd."""
        if self._host:
            return os.fork()
        namespaces.setns(process, namespaces.CLONE_NEWPID)
        return self._fork_and_return()

    def _fork_and_return(self) -> int:
        try:
            child = os.fork()
        except OSError:
            child = -1
        if child != 0:
            # Without this the next unshare fails with EINVAL, and every later child would land in this namespace.
            namespaces.setns(self._own, namespaces.CLONE_NEWPID)
        if child < 0:
            raise ContainerRuntimeError("the machine has no room for another process")
        return child


class Container:
    """One attempt of one container, while the shim lives."""

    def __init__(
        self,
        name: str,
        attempt: int,
        directory: str,
        log_directory: str,
        group: str,
        cgroups: Cgroups,
        loop: Loop,
        first: FirstProcess = init.run,
    ) -> None:
        self._first = first
        self.directory, self.group = directory, group
        self._log_directory, self._cgroups, self._loop = log_directory, cgroups, loop
        self.state = ContainerState(name, attempt, state.NOTHING)
        self._history: list[str] = []
        self._control: socket.socket | None = None
        self._reply: Reply | None = None
        self._outputs: dict[int, str] = {}
        self._writer: LogWriter | None = None
        self._kill_group_at_exit = False
        self.input: int | None = None  # the write end of stdin, or the master of the terminal
        self.on_change: Callable[[], None] = lambda: None
        self.at_end: list[Callable[[], None]] = []

    # Phases

    def _advance(self, event: str) -> None:
        self.state.phase = state.advance(self.state.phase, event, self._history)

    def _save(self) -> None:
        pid = self.state.pid
        started = pidfd.start_time(pid) if pid else None
        data = {**container_state_to_dict(self.state), "start_time": started, "boot_id": pidfd.boot_id()}
        with contextlib.suppress(FileNotFoundError):  # its directory has been thrown away
            state.write_json(f"{self.directory}/state.json", data)
        self.on_change()

    @property
    def ended(self) -> bool:
        return self.state.phase == EXITED

    # Create

    def create(self, pids: PidNamespaces, reply: Reply) -> None:
        """Fork the container's first process; `reply` is called when it waits to be started, or has failed."""
        self._advance(state.CREATE)
        spec = state.read_json(f"{self.directory}/spec.json")
        if spec is None:
            raise ContainerRuntimeError("the container's spec.json is missing or damaged")
        self._reply = reply
        self._kill_group_at_exit = not pids.own_for_each
        self._writer = LogWriter(
            self._log_directory, self.state.attempt, spec["log"]["max_bytes"], spec["log"]["max_files"]
        )
        streams, kept = self._make_streams(bool(spec["terminal"]), bool(spec["stdin"]))
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
        self.state.created_at = time.time()
        child = pids.fork_first()
        if child == 0:
            layers = spec["lower_directories"]
            self._first(self.directory, layers, self.group, self._cgroups, theirs, streams)
        theirs.close()
        for descriptor in set(streams):
            os.close(descriptor)
        for descriptor, stream in kept:
            self._watch_output(descriptor, stream)
        self.state.pid = child
        self._control = ours
        self._loop.watch(ours.fileno(), self._on_control)

    def _make_streams(self, has_terminal: bool, has_input: bool) -> tuple[tuple[int, int, int], list[tuple[int, str]]]:
        """The child's three descriptors, and the read ends of its output that stay here."""
        null = devices.open_null(os.O_RDWR)
        if has_terminal:
            return (null, null, null), []
        source = null
        if has_input:
            source, self.input = os.pipe2(os.O_CLOEXEC)
            os.close(null)
        out_read, out_write = os.pipe2(os.O_CLOEXEC)
        error_read, error_write = os.pipe2(os.O_CLOEXEC)
        return (source, out_write, error_write), [(out_read, "stdout"), (error_read, "stderr")]

    def _on_control(self) -> None:
        """The child has said something, or its end of the socket has closed."""
        while self._control is not None:
            try:
                self._control.setblocking(False)
                message, descriptors = sockets.receive(self._control)
            except BlockingIOError:
                return
            except (EOFError, OSError):
                self._close_control()
                if self.state.phase == CREATED and self._reply is not None:
                    self._on_running()
                return
            if is_error(message):
                self._on_error(message)
            elif self.state.phase == state.CREATING:
                self._on_created(message, descriptors)

    def _close_control(self) -> None:
        if self._control is not None:
            self._loop.forget(self._control.fileno())
            self._control.close()
            self._control = None

    def _on_created(self, message: dict[str, Any], descriptors: list[int]) -> None:
        self._advance(state.READY_EVENT)
        self.state.steps = [(name, milliseconds) for name, milliseconds in message["steps"]]
        if descriptors:
            self.input = descriptors[0]
            self._watch_output(os.dup(descriptors[0]), "stdout")
        self._save()
        self._answer(container_state_to_dict(self.state))

    def _on_error(self, message: dict[str, Any]) -> None:
        error = from_message(message)
        self.state.error = str(error)
        if isinstance(error, StartError):
            self.state.reason, self.state.exit_code = error.reason, error.exit_code

    def _answer(self, message: dict[str, Any]) -> None:
        if self._reply is not None:
            reply, self._reply = self._reply, None
            reply(message, [])

    # Start

    def start(self, reply: Reply) -> None:
        """Let the waiting process go on; `reply` is called once it has become the command, or has failed."""
        state.advance(self.state.phase, state.START, [*self._history])
        if self._control is None or self._reply is not None:
            raise InvalidTransition(f'the container "{self.state.name}" is being started already')
        self._reply = reply
        self._control.setblocking(True)
        with contextlib.suppress(OSError):
            sockets.send(self._control, {"start": True})

    def _on_running(self) -> None:
        if self.state.error or pidfd.start_time(self.state.pid or 0) is None:
            return  # it failed or is already gone: its exit will say so
        self._mark_running()

    def _mark_running(self) -> None:
        self._advance(state.START)
        self.state.started_at = time.time()
        self._save()
        self._answer(container_state_to_dict(self.state))

    # Output

    def _watch_output(self, descriptor: int, stream: str) -> None:
        os.set_blocking(descriptor, False)
        self._outputs[descriptor] = stream
        self._loop.watch(descriptor, lambda: self._on_output(descriptor))

    def _on_output(self, descriptor: int) -> bool:
        """Copy what waits; True while there may be more."""
        try:
            data = os.read(descriptor, _CHUNK)
        except BlockingIOError:
            return False
        except OSError:
            data = b""  # a terminal whose last user has gone
        if not data:
            self._loop.forget(descriptor)
            self._outputs.pop(descriptor, None)
            os.close(descriptor)
            return False
        if self._writer is not None:
            self._writer.write(self._outputs[descriptor], data)
        return True

    def resize(self, width: int, height: int) -> None:
        """Tell the container's terminal its size."""
        if self.input is not None and os.isatty(self.input):
            terminal.set_size(self.input, width, height)

    # End

    def signal(self, number: int) -> None:
        """Signal the first process; SIGKILL reaches all of them."""
        if self.state.pid is None or self.ended:
            return
        pids = [self.state.pid]
        if number == signal.SIGKILL and self._kill_group_at_exit:
            pids += self._cgroups.processes(self.group)
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def on_exit(self, status: int) -> None:
        """The first process was reaped. Output and group are finished before anyone hears of it."""
        self._on_control()
        self._close_control()
        if self.state.phase == CREATED and self._reply is not None and not self.state.error:
            self._mark_running()  # it started and ended between two looks
        if self._kill_group_at_exit:
            self._cgroups.kill(self.group)
        self._record_exit(status)
        for descriptor in list(self._outputs):
            while self._on_output(descriptor):
                pass
            if descriptor in self._outputs:
                self._loop.forget(descriptor)
                os.close(descriptor)
        self._outputs.clear()
        if self.input is not None:
            os.close(self.input)
            self.input = None
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        with contextlib.suppress(OSError):
            self._cgroups.remove(self.group)
        self._advance(state.EXIT)
        self._save()
        if self.state.error:
            reason, code = self.state.reason or "StartError", self.state.exit_code or 128
            self._answer({"error": self.state.error, "type": "StartError", "reason": reason, "exit_code": code})
        self._answer({"error": "the container has ended", "type": "ContainerRuntimeError"})
        for call in self.at_end:
            call()

    def _record_exit(self, status: int) -> None:
        code = os.waitstatus_to_exitcode(status)
        self.state.finished_at = time.time()
        self.state.pid = None
        if code < 0:
            self.state.signal = -code
        if self._cgroups.oom_kills(self.group) > 0 and code != 0:
            self.state.oom_killed = True
        if self.state.phase != RUNNING:
            self._record_failed_start(code)
            return
        self.state.exit_code = code if code >= 0 else 128 - code
        self.state.reason = "OOMKilled" if self.state.oom_killed else "Completed" if code == 0 else "Error"

    def _record_failed_start(self, code: int) -> None:
        if not self.state.error:
            hint = "; its memory limit is too low to start anything" if self.state.oom_killed else ""
            how = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
            self.state.error = f"the container's first process {how} before its command was started{hint}"
            self.state.reason = "StartError"
            self.state.exit_code = 128 - code if code < 0 else 128
        self.state.exit_code = 128 if self.state.exit_code is None else self.state.exit_code


class Execution:
    """One process that was started in a container besides its first."""

    def __init__(self, loop: Loop, reply: Reply) -> None:
        self._loop, self._reply = loop, reply
        self._control: socket.socket | None = None
        self._caller_ends: list[int] = []
        self._ready = self._answered = False
        self._error: dict[str, Any] | None = None
        self.pid = 0

    def run(self, container: Container, pids: PidNamespaces, cgroups: Cgroups, asked: dict[str, Any]) -> None:
        """Fork the process in the container's PID namespace; the caller gets its descriptors once it runs."""
        if container.state.phase != RUNNING or container.state.pid is None:
            raise ContainerRuntimeError(f'the container "{container.state.name}" is not running')
        first = os.pidfd_open(container.state.pid)
        streams = self._make_streams(bool(asked.get("terminal")), bool(asked.get("stdin")))
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
        self.pid = pids.fork_in(first)
        if self.pid == 0:
            enter.run(Path(container.directory), container.group, cgroups, first, theirs, streams, asked)
        theirs.close()
        for descriptor in {first, *streams}:
            os.close(descriptor)
        self._control = ours
        self._loop.watch(ours.fileno(), self._on_control)

    def _make_streams(self, has_terminal: bool, has_input: bool) -> tuple[int, int, int]:
        null = devices.open_null(os.O_RDWR)
        if has_terminal:
            return null, null, null
        source = null
        if has_input:
            os.close(null)
            source, write = os.pipe2(os.O_CLOEXEC)
            self._caller_ends.append(write)
        out_read, out_write = os.pipe2(os.O_CLOEXEC)
        error_read, error_write = os.pipe2(os.O_CLOEXEC)
        self._caller_ends += [out_read, error_read]
        return source, out_write, error_write

    def _on_control(self) -> None:
        while self._control is not None:
            try:
                self._control.setblocking(False)
                message, descriptors = sockets.receive(self._control)
            except BlockingIOError:
                return
            except (EOFError, OSError):
                self._loop.forget(self._control.fileno())
                self._control.close()
                self._control = None
                self._answer()
                return
            if is_error(message):
                self._error = message
            else:
                self._ready = True
                self._caller_ends += descriptors

    def _answer(self) -> None:
        if self._answered:
            return
        self._answered = True
        if self._error is None and not self._ready:
            self._error = {"error": "the process ended before its command was started", "type": "StartError"}
        if self._error is not None:
            self._reply(self._error, [])
        else:
            self._reply({"pid": self.pid}, self._caller_ends)
        for descriptor in self._caller_ends:
            os.close(descriptor)
        self._caller_ends = []

    def on_exit(self, status: int) -> None:
        """The process was reaped: tell the caller, if it is still there."""
        self._on_control()
        self._answer()
        code = os.waitstatus_to_exitcode(status)
        if self._error is None:
            self._reply({"exit_code": code if code >= 0 else 128 - code}, [])

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
