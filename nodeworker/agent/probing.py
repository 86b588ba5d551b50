"""Runs the probes of running containers, in the agent's event loop; what results mean is decided in logic/probes.py.

A probe whose verdict changes wakes the pod's sync.
"""

import asyncio
import contextlib
import ssl
import time
from collections.abc import Callable, Mapping
from typing import Any

from nodeworker.agent.logic import podspec, probes
from nodeworker.agent.logic.observed import Object, PodSeen, Probed
from nodeworker.agent.loop import LoopThread
from nodeworker.agent.watching import read_head
from nodeworker.runtime.errors import ContainerRuntimeError
from nodeworker.runtime.runtime import Runtime
from nodeworker.runtime.specs import ProcessSpec

Attempt = tuple[str, str, int]  # pod uid, container, attempt
Unhealthy = Callable[[Object, str, str], None]  # pod, container, sentence


class Probing:
    """The probe tasks of all running containers."""

    def __init__(self, loop: LoopThread, runtime: Runtime, wake: Callable[[str], None], unhealthy: Unhealthy) -> None:
        self._loop, self._runtime, self._wake, self._unhealthy = loop, runtime, wake, unhealthy
        self._states: dict[Attempt, dict[str, probes.ProbeState]] = {}
        self._tasks: dict[Attempt, asyncio.Task[None]] = {}
        self._insecure = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._insecure.check_hostname = False
        self._insecure.verify_mode = ssl.CERT_NONE  # a probe asks whether something answers, as the kubelet's does

    def results(self, pod: Object, observed: PodSeen) -> dict[str, Probed]:
        """The verdict for each running container."""
        found = {}
        for container in podspec.all_containers(pod):
            seen = observed.newest(container["name"])
            if seen is not None and seen.phase == "running":
                states = self._states_of((observed.uid, seen.name, seen.attempt), pod, container)
                found[seen.name] = probes.verdict(container, states)
        return found

    def update(self, pod: Object, observed: PodSeen | None) -> None:
        """Probe exactly the running containers of this pod."""
        uid = podspec.uid(pod)
        wanted: dict[Attempt, tuple[Object, float]] = {}
        if observed is not None and not podspec.is_deleting(pod):
            for container in podspec.containers(pod):
                seen = observed.newest(container["name"])
                if seen is not None and seen.phase == "running" and _has_probes(container):
                    wanted[(uid, seen.name, seen.attempt)] = (container, seen.started_at)
        running = {attempt for attempt in list(self._tasks) if attempt[0] == uid}
        if wanted.keys() == running:
            return
        self._loop.call(self._adjust, uid, pod, wanted)

    def forget(self, uid: str) -> None:
        if any(attempt[0] == uid for attempt in list(self._tasks)):
            self._loop.call(self._adjust, uid, {}, {})
        for attempt in [attempt for attempt in list(self._states) if attempt[0] == uid]:
            self._states.pop(attempt, None)

    def _states_of(self, attempt: Attempt, pod: Object, container: Object) -> dict[str, probes.ProbeState]:
        """Before the first result; a container adopted after a restart of the agent stays as ready as it was."""
        if attempt not in self._states:
            known = _known_status(pod, attempt)
            states = {kind: probes.initial(kind) for kind in probes.KINDS}
            if known.get("started"):
                states["startup"] = probes.ProbeState(passing=True)
            if known.get("ready"):
                states["readiness"] = probes.ProbeState(passing=True)
            self._states[attempt] = states
        return self._states[attempt]

    def _adjust(self, uid: str, pod: Object, wanted: Mapping[Attempt, tuple[Object, float]]) -> None:
        """In the loop's thread."""
        for attempt in [attempt for attempt in self._tasks if attempt[0] == uid and attempt not in wanted]:
            self._tasks.pop(attempt).cancel()
            self._states.pop(attempt, None)
        for attempt, (container, started_at) in wanted.items():
            if attempt not in self._tasks:
                self._states_of(attempt, pod, container)
                self._tasks[attempt] = self._loop.loop.create_task(self._probe_all(attempt, pod, container, started_at))

    async def _probe_all(self, attempt: Attempt, pod: Object, container: Object, started_at: float) -> None:
        startup = probes.probe_of(container, "startup")
        if startup is not None:
            await self._probe(attempt, pod, container, startup, started_at, until_passed=True)
        rest = [probe for kind in ("readiness", "liveness") if (probe := probes.probe_of(container, kind))]
        await asyncio.gather(*(self._probe(attempt, pod, container, probe, started_at) for probe in rest))

    async def _probe(
        self,
        attempt: Attempt,
        pod: Object,
        container: Object,
        probe: probes.Probe,
        started_at: float,
        *,
        until_passed: bool = False,
    ) -> None:
        now = time.time()
        await asyncio.sleep(probes.first_due(probe, started_at, now) - now)
        tries, counted_at = 0, 0.0
        while True:
            state = self._states[attempt][probe.kind]
            if until_passed and state.passing:
                return
            success, message = await self._ask(attempt, pod, container, probe)
            now = time.time()
            if probes.counts(probe, success, counted_at, now):
                counted_at = now
                self._take(attempt, pod, container, probe, success, message)
            if until_passed and self._states[attempt][probe.kind].passing:
                return
            ever = self._states[attempt][probe.kind].successes > 0 or self._states[attempt][probe.kind].passing
            await asyncio.sleep(probes.retry_delay(probe, tries, ever or tries > 12))
            tries += 1

    def _take(
        self, attempt: Attempt, pod: Object, container: Object, probe: probes.Probe, success: bool, message: str
    ) -> None:
        before = self._states[attempt][probe.kind]
        after = probes.record(probe, before, success, message)
        self._states[attempt][probe.kind] = after
        if not success:
            self._unhealthy(pod, attempt[1], f"{probe.kind.capitalize()} probe failed: {message}")
        if after.passing != before.passing or probes.has_failed(probe, after) != probes.has_failed(probe, before):
            self._wake(attempt[0])

    async def _ask(self, attempt: Attempt, pod: Object, container: Object, probe: probes.Probe) -> tuple[bool, str]:
        try:
            return await asyncio.wait_for(self.run(attempt, pod, container, probe), probe.timeout)
        except TimeoutError:
            return False, f"timeout: nothing answered within {probe.timeout:g} s"
        except (OSError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as problem:
            return False, str(problem) or type(problem).__name__
        except ContainerRuntimeError as problem:
            return False, str(problem)

    async def run(self, attempt: Attempt, pod: Object, container: Object, probe: probes.Probe) -> tuple[bool, str]:
        """Carry out a handler once."""
        handler = probe.handler
        if "tcpSocket" in handler:
            return await self._tcp(pod, container, handler["tcpSocket"], attempt)
        if "httpGet" in handler:
            return await self._http(pod, container, handler["httpGet"], attempt)
        if "exec" in handler:
            command = [str(word) for word in handler["exec"].get("command") or ()]
            return await asyncio.to_thread(self.execute, attempt, command, probe.timeout)
        return False, "this kind of probe is not supported: use httpGet, tcpSocket or exec"

    async def _tcp(self, pod: Object, container: Object, asked: Object, attempt: Attempt) -> tuple[bool, str]:
        host, port = asked.get("host") or self._address(attempt[0]), _port(container, asked["port"])
        _, writer = await asyncio.open_connection(host, port)
        await _close(writer)
        return True, ""

    async def _http(self, pod: Object, container: Object, asked: Object, attempt: Attempt) -> tuple[bool, str]:
        host, port = asked.get("host") or self._address(attempt[0]), _port(container, asked["port"])
        context = self._insecure if str(asked.get("scheme", "HTTP")).upper() == "HTTPS" else None
        reader, writer = await asyncio.open_connection(host, port, ssl=context)
        try:
            headers = {
                "Host": f"{host}:{port}",
                "User-Agent": "kube-probe/1.34",
                "Accept": "*/*",
                "Connection": "close",
            }
            headers |= {str(entry["name"]): str(entry["value"]) for entry in asked.get("httpHeaders") or ()}
            lines = [
                f"GET {asked.get('path') or '/'} HTTP/1.1",
                *(f"{name}: {value}" for name, value in headers.items()),
            ]
            writer.write("\r\n".join((*lines, "", "")).encode("latin-1", "replace"))
            status, _ = await read_head(reader)
        finally:
            await _close(writer)
        return 200 <= status < 400, f"HTTP probe failed with statuscode: {status}"

    def execute(self, attempt: Attempt, command: list[str], timeout: float) -> tuple[bool, str]:
        """Run a command in the container; it is killed after `timeout` seconds. Blocks."""
        uid, name, number = attempt
        session = self._runtime.exec(uid, name, number, ProcessSpec(command))
        try:
            code = session.wait(timeout)
            return code == 0, f"command exited with {code}"
        except TimeoutError:
            session.kill()
            raise
        finally:
            session.close()

    def _address(self, uid: str) -> str:
        state = self._runtime.pod(uid)
        if state is None or state.network is None:
            return "127.0.0.1"
        return state.network.address.partition("/")[0]


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(Exception):
        writer.transport.abort()


def _has_probes(container: Object) -> bool:
    return any(container.get(f"{kind}Probe") for kind in probes.KINDS)


def _port(container: Object, port: Any) -> int:
    """A number, or the name of one of the container's ports."""
    if str(port).isdigit():
        return int(port)
    for entry in container.get("ports") or ():
        if entry.get("name") == port:
            return int(entry["containerPort"])
    raise ValueError(f"container {container['name']} has no port named {port}")


def _known_status(pod: Object, attempt: Attempt) -> Mapping[str, Any]:
    uid, name, number = attempt
    for entry in (pod.get("status") or {}).get("containerStatuses") or ():
        if entry.get("name") == name and entry.get("containerID") == f"gantry://{uid}/{name}/{number}":
            return dict(entry)
    return {}
