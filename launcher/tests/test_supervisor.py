"""The supervisor with real processes: readiness, restart after a death, order of the end."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from launcher.processes import Program
from launcher.supervisor import Supervisor

READY = "from nodeworker.wire.notify import notify_ready; notify_ready(); "
PATIENCE = 20.0


def program(name: str, body: str, after: tuple[str, ...] = ()) -> Program:
    return Program(name, (sys.executable, "-c", body), {}, after)


@asynccontextmanager
async def supervised(home: Path, *programs: Program) -> AsyncIterator[asyncio.StreamReader]:
    (home / "run").mkdir()
    (home / "log").mkdir()
    supervisor = Supervisor(home, programs)
    task = asyncio.create_task(supervisor.run())
    while True:
        try:
            reader, writer = await asyncio.open_unix_connection(str(home / "run" / "supervisor.sock"))
            break
        except OSError:
            await asyncio.sleep(0.01)
    try:
        yield reader
    finally:
        writer.write(b"stop\n")
        await asyncio.wait_for(task, PATIENCE)


async def until(reader: asyncio.StreamReader, name: str, state: str, *, other_than: int = 0) -> dict[str, Any]:
    async def look() -> dict[str, Any]:
        while True:
            children: dict[str, dict[str, Any]] = json.loads(await reader.readline())["children"]
            child = children[name]
            if child["state"] == state and child["pid"] != other_than:
                return child

    return await asyncio.wait_for(look(), PATIENCE)


async def test_a_process_is_ready_when_it_says_so(tmp_path: Path) -> None:
    async with supervised(tmp_path, program("web", READY + "import signal; signal.pause()")) as reader:
        assert (await until(reader, "web", "ready"))["pid"] > 0


async def test_a_killed_process_is_started_anew_and_the_reason_is_kept(tmp_path: Path) -> None:
    async with supervised(tmp_path, program("web", READY + "import signal; signal.pause()")) as reader:
        first = await until(reader, "web", "ready")
        os.kill(first["pid"], signal.SIGKILL)
        second = await until(reader, "web", "ready", other_than=first["pid"])
    assert second["restarts"] == 1
    assert second["last_exit"] == "signal 9"


async def test_a_process_waits_for_what_it_needs(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    first = program("broker", f"open({str(gate)!r}).read(); {READY} import signal; signal.pause()")
    second = program("web", READY + "import signal; signal.pause()", after=("broker",))
    async with supervised(tmp_path, first, second) as reader:
        assert (await until(reader, "broker", "starting"))["state"] == "starting"
        gate.write_text("go")
        await until(reader, "web", "ready")


async def test_output_goes_to_the_log_file(tmp_path: Path) -> None:
    body = f"print('hello from web', flush=True); {READY} import signal; signal.pause()"
    async with supervised(tmp_path, program("web", body)) as reader:
        await until(reader, "web", "ready")
    assert "hello from web" in (tmp_path / "log" / "web.log").read_text()


async def test_another_process_cannot_claim_readiness(tmp_path: Path) -> None:
    other = f"import subprocess, sys, signal; subprocess.run([sys.executable, '-c', {READY!r}]); "
    liar = other + "print('lied', flush=True); signal.pause()"
    async with supervised(tmp_path, program("web", liar)) as reader:
        child = await until(reader, "web", "starting")
        log = tmp_path / "log" / "web.log"
        deadline = asyncio.get_running_loop().time() + PATIENCE
        while not (log.exists() and "lied" in log.read_text()):
            assert asyncio.get_running_loop().time() < deadline
            await asyncio.sleep(0.02)
    assert child["state"] == "starting"
