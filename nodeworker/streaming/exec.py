"""WebSocket /v1/pods/{uid}/exec/{container}: a process in a running container, in the channels of v5.channel.k8s.io.

    0 stdin   1 stdout   2 stderr   3 the end, as a Status object   4 size of the terminal   255 closes a channel

Whoever writes faster than the other side reads is made to wait, in both directions.
"""

import asyncio
import concurrent.futures
import contextlib
import json
import logging
import os
from collections.abc import AsyncIterator
from typing import Any

from websockets.exceptions import ProtocolError
from websockets.frames import Frame, Opcode
from websockets.http11 import Request as Handshake
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from nodeworker.runtime.errors import ContainerRuntimeError
from nodeworker.runtime.runtime import ExecSession, Runtime
from nodeworker.runtime.specs import ProcessSpec
from nodeworker.streaming.http import Request, RequestProblem
from nodeworker.streaming.logs import newest_attempt

log = logging.getLogger(__name__)
SUBPROTOCOL = "v5.channel.k8s.io"
STDIN, STDOUT, STDERR, ERROR, RESIZE, CLOSE = 0, 1, 2, 3, 4, 255
CHUNK = 32768
LARGEST_MESSAGE = 1 << 22
PING_EVERY = 20.0


class Channels:
    """The WebSocket of one exec."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._protocol = ServerProtocol(subprotocols=[Subprotocol(SUBPROTOCOL)], max_size=LARGEST_MESSAGE)
        self._lock = asyncio.Lock()

    async def accept(self, head: bytes) -> None:
        """Answer the handshake; RequestProblem when it is none."""
        self._protocol.receive_data(head)
        events = self._protocol.events_received()
        if not events or not isinstance(events[0], Handshake):
            raise RequestProblem(400, "not a WebSocket handshake")
        response = self._protocol.accept(events[0])
        self._protocol.send_response(response)
        await self._flush()
        if response.status_code != 101:
            raise ConnectionError("the handshake was refused")

    async def messages(self) -> AsyncIterator[bytes]:
        """Whole messages until the other side closes."""
        parts: list[bytes] = []
        while True:
            data = await self._reader.read(65536)
            if data:
                self._protocol.receive_data(data)
            else:
                self._protocol.receive_eof()
            await self._flush()
            for event in self._protocol.events_received():
                if not isinstance(event, Frame):
                    continue
                if event.opcode is Opcode.CLOSE:
                    return
                if event.opcode in (Opcode.BINARY, Opcode.TEXT, Opcode.CONT):
                    parts.append(bytes(event.data))
                    if event.fin:
                        yield b"".join(parts)
                        parts.clear()
            if not data:
                return

    async def send(self, channel: int, content: bytes) -> None:
        """One message; waits until the other side takes it."""
        async with self._lock:
            self._protocol.send_binary(bytes((channel,)) + content)
            await self._flush()

    async def ping(self) -> None:
        async with self._lock:
            self._protocol.send_ping(b"")
            await self._flush()

    async def close(self) -> None:
        async with self._lock:
            with contextlib.suppress(Exception):
                self._protocol.send_close(1000)
                await self._flush()

    async def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            if data:
                self._writer.write(data)
            elif self._writer.can_write_eof():
                self._writer.write_eof()
        await self._writer.drain()


async def serve_exec(
    request: Request,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    runtime: Runtime,
    pool: concurrent.futures.Executor,
    uid: str,
    container: str,
) -> None:
    """Answer one request for a process."""
    command = request.query.get("command") or []
    if not command:
        raise RequestProblem(400, "exec needs at least one command parameter")
    loop = asyncio.get_running_loop()
    attempt = await loop.run_in_executor(pool, running_attempt, runtime, uid, container)
    terminal = request.flag("tty")
    process = ProcessSpec(
        list(command), ["TERM=xterm-256color"] if terminal else [], terminal=terminal, stdin=request.flag("stdin")
    )
    channels = Channels(reader, writer)
    await channels.accept(request.raw)
    try:
        session = await loop.run_in_executor(pool, runtime.exec, uid, container, attempt, process)
    except (ContainerRuntimeError, OSError) as problem:
        await channels.send(ERROR, failure(f"error executing command in container: {problem}"))
        await channels.close()
        return
    await _Conversation(channels, session, request, pool).run()


def running_attempt(runtime: Runtime, uid: str, container: str) -> int:
    """The attempt that runs now."""
    attempt = newest_attempt(runtime, uid, container)
    state = runtime.pod(uid)
    running = [
        entry for entry in (state.containers if state else ()) if (entry.name, entry.attempt) == (container, attempt)
    ]
    if not running or running[0].phase != "running":
        raise RequestProblem(400, f'container "{container}" is not running: there is nothing to enter')
    return attempt


class _Conversation:
    """Moves bytes between the channels and one process until it ends."""

    def __init__(
        self, channels: Channels, session: ExecSession, request: Request, pool: concurrent.futures.Executor
    ) -> None:
        self._channels, self._session, self._pool = channels, session, pool
        self._wants_stdout = request.flag("stdout") or session.tty is not None
        self._wants_stderr = request.flag("stderr")
        self._stdin: asyncio.StreamWriter | None = None

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        session = self._session
        listening = pinging = None
        try:
            stdin = os.dup(session.tty) if session.tty is not None else session.stdin
            if stdin is not None:
                self._stdin = await _write_pipe(stdin)
            outputs = [
                self._copy(descriptor, channel, wanted)
                for descriptor, channel, wanted in (
                    (session.tty, STDOUT, self._wants_stdout),
                    (session.stdout, STDOUT, self._wants_stdout),
                    (session.stderr, STDERR, self._wants_stderr),
                )
                if descriptor is not None
            ]
            session.stdin = session.stdout = session.stderr = None  # owned by the transports from here on
            listening = asyncio.ensure_future(self._listen())
            pinging = asyncio.ensure_future(self._keep_alive())
            copying = asyncio.gather(*outputs)
            ending: asyncio.Future[int] = asyncio.ensure_future(loop.run_in_executor(self._pool, session.wait))
            waiting: list[asyncio.Future[Any]] = [ending, listening]
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            if not ending.done():
                # The client is gone: nobody will ever read what the process says.
                await loop.run_in_executor(self._pool, session.kill)
            code = await ending
            with contextlib.suppress(TimeoutError):  # a process left in the background may hold the pipes open
                await asyncio.wait_for(asyncio.shield(copying), 5.0)
            copying.cancel()
            await self._channels.send(ERROR, exit_status(code))
            await self._channels.close()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(listening), 2.0)
        except (ConnectionError, OSError, ProtocolError) as problem:
            log.debug("exec ended: %s", problem)
        finally:
            for task in (listening, pinging):
                if task is not None:
                    task.cancel()
            if self._stdin is not None:
                self._stdin.transport.abort()
            session.tty = None if session.tty is not None and _is_closed(session.tty) else session.tty
            session.close()

    async def _copy(self, descriptor: int, channel: int, wanted: bool) -> None:
        reader, transport = await _read_pipe(os.dup(descriptor) if descriptor == self._session.tty else descriptor)
        try:
            while content := await reader.read(CHUNK):
                if wanted:
                    await self._channels.send(channel, content)
        except OSError as problem:  # EIO: the last process on the terminal has ended
            log.debug("output ended: %s", problem)
        finally:
            transport.close()

    async def _listen(self) -> None:
        try:
            async for message in self._channels.messages():
                if message:
                    await self._take(message[0], message[1:])
        except (ConnectionError, ProtocolError, asyncio.IncompleteReadError) as problem:
            log.debug("client of an exec is gone: %s", problem)

    async def _take(self, channel: int, content: bytes) -> None:
        if channel == STDIN and self._stdin is not None:
            try:
                self._stdin.write(content)
                await self._stdin.drain()
            except (ConnectionError, OSError):
                self._stdin = None  # the process does not read any more
        elif channel == RESIZE:
            self._resize(content)
        elif channel == CLOSE and content[:1] == bytes((STDIN,)) and self._stdin is not None:
            if self._session.tty is not None:
                self._stdin.write(b"\x04")
            else:
                self._stdin.close()
                self._stdin = None

    def _resize(self, content: bytes) -> None:
        with contextlib.suppress(ValueError, KeyError, TypeError, OSError, ContainerRuntimeError):
            size = json.loads(content)
            width, height = int(size["Width"]), int(size["Height"])
            if 0 < width < 65536 and 0 < height < 65536:
                self._session.resize(width, height)

    async def _keep_alive(self) -> None:
        with contextlib.suppress(ConnectionError, ProtocolError):
            while True:
                await asyncio.sleep(PING_EVERY)
                await self._channels.ping()


def exit_status(code: int) -> bytes:
    """The Status object that tells how the process ended."""
    if code == 0:
        return json.dumps({"metadata": {}, "status": "Success"}).encode()
    status: dict[str, Any] = {
        "metadata": {},
        "status": "Failure",
        "message": f"command terminated with non-zero exit code: command terminated with exit code {code}",
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
    }
    return json.dumps(status).encode()


def failure(message: str) -> bytes:
    """The Status object of a process that could not be started."""
    status = {"metadata": {}, "status": "Failure", "message": message, "reason": "InternalError", "code": 500}
    return json.dumps(status).encode()


def _is_closed(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return True
    return False


async def _read_pipe(descriptor: int) -> tuple[asyncio.StreamReader, asyncio.ReadTransport]:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=CHUNK)
    pipe = os.fdopen(descriptor, "rb", buffering=0)
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
    return reader, transport


async def _write_pipe(descriptor: int) -> asyncio.StreamWriter:
    loop = asyncio.get_running_loop()
    pipe = os.fdopen(descriptor, "wb", buffering=0)
    transport, protocol = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, pipe)
    return asyncio.StreamWriter(transport, protocol, None, loop)
