"""The node's streaming endpoint: logs, exec and stats for the control plane, over mutual TLS.

Only a client with a certificate of the cluster's CA and the name gantry:web gets an answer: who may see what has been
decided before, by the API. Runs in the agent's event loop; started by agent/agent.py.
"""

import asyncio
import concurrent.futures
import contextlib
import logging
import ssl
from typing import Any

from nodeworker.agent.loop import LoopThread
from nodeworker.config import NodeConfig
from nodeworker.runtime.errors import ContainerRuntimeError
from nodeworker.runtime.runtime import Runtime
from nodeworker.streaming.exec import serve_exec
from nodeworker.streaming.http import LONGEST_HEAD, Answer, Request, RequestProblem, read_request
from nodeworker.streaming.logs import FOLLOWERS, serve_logs
from nodeworker.streaming.stats import all_stats, pod_stats

log = logging.getLogger(__name__)
CLIENT = "gantry:web"


class StreamingServer:
    """Listens on the node's streaming address."""

    def __init__(self, config: NodeConfig, runtime: Runtime, loop: LoopThread) -> None:
        self._config, self._runtime, self._loop = config, runtime, loop
        self._server: asyncio.Server | None = None
        # A follower or an exec holds a thread that sleeps in the kernel; threads are made when needed.
        self._pool = concurrent.futures.ThreadPoolExecutor(FOLLOWERS, thread_name_prefix="stream")

    @property
    def port(self) -> int:
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    def start(self) -> None:
        self._loop.wait_for(self._listen(), 10)

    def stop(self) -> None:
        if self._server is not None:
            self._loop.call(self._server.close)
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _listen(self) -> None:
        host, port = self._config.stream_address
        context = server_context(self._config)
        self._server = await asyncio.start_server(self._connected, host, port, ssl=context, limit=LONGEST_HEAD)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if client_name(writer) != CLIENT:
                await Answer(writer).whole(403, {"message": f"only {CLIENT} may use this endpoint"})
                return
            while (request := await read_request(reader)) is not None:
                if not await self._serve(request, reader, writer):
                    return
        except RequestProblem as problem:
            with contextlib.suppress(OSError):
                await Answer(writer).whole(problem.status, {"message": problem.message})
        except (OSError, asyncio.IncompleteReadError) as problem:
            log.debug("a streaming connection ended: %s", problem)
        finally:
            writer.close()

    async def _serve(self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; whether the connection can carry another."""
        answer = Answer(writer)
        try:
            return await self._route(request, reader, writer, answer)
        except RequestProblem as problem:
            await answer.whole(problem.status, {"message": problem.message})
            return True
        except ContainerRuntimeError as problem:
            await answer.whole(500, {"message": str(problem)})
            return True
        except (OSError, asyncio.CancelledError):
            raise
        except Exception:
            log.exception("serving /%s", "/".join(request.parts))
            if not answer.started:
                await answer.whole(500, {"message": "the node could not answer; its log says why"})
            return False

    async def _route(
        self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answer: Answer
    ) -> bool:
        if request.method != "GET":
            raise RequestProblem(405, "only GET is answered here")
        match request.parts:
            case ("v1", "pods", uid, "logs", container):
                await serve_logs(request, answer, reader, self._runtime, self._pool, uid, container)
                return not request.flag("follow")
            case ("v1", "pods", uid, "exec", container) if request.is_websocket:
                await serve_exec(request, reader, writer, self._runtime, self._pool, uid, container)
                return False
            case ("v1", "pods", uid, "stats"):
                await answer.whole(200, await self._in_thread(pod_stats, self._runtime, uid))
            case ("v1", "stats"):
                await answer.whole(200, await self._in_thread(all_stats, self._runtime))
            case _:
                raise RequestProblem(404, "no such path: see nodeworker/streaming/server.py")
        return True

    async def _in_thread(self, work: Any, *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work, *arguments)


def server_context(config: NodeConfig) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(config.certificate, config.key)
    context.load_verify_locations(config.ca)
    context.verify_mode = ssl.CERT_REQUIRED
    context.set_alpn_protocols(["http/1.1"])
    return context


def client_name(writer: asyncio.StreamWriter) -> str:
    """The common name in the client's certificate, which TLS has checked against the cluster's CA."""
    certificate = writer.get_extra_info("peercert") or {}
    for part in certificate.get("subject", ()):
        for key, value in part:
            if key == "commonName":
                return str(value)
    return ""
