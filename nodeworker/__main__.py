"""The node's process: `python -m nodeworker [HOME]`. Started by the launcher's supervisor or systemd.

The agent starts first and works without a broker; the Celery worker only makes it quicker to hear of a change.
"""

import argparse
import contextlib
import ctypes
import logging
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from nodeworker.agent.agent import Agent
from nodeworker.config import NodeConfig, load_config
from nodeworker.wire.messages import SYNC_POD, node_queue
from nodeworker.wire.notify import notify_ready

log = logging.getLogger("nodeworker")
CONCURRENCY = 4
M_ARENA_MAX = -8


def main(arguments: list[str] | None = None) -> int:
    """Run until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="nodeworker", description="The node agent of Gantry.")
    parser.add_argument("home", nargs="?", default=os.environ.get("GANTRY_HOME", "/var/lib/gantry"))
    options = parser.parse_args(arguments)
    logging.basicConfig(
        level=os.environ.get("GANTRY_LOG_LEVEL", "INFO").upper(),
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
    )
    # Threads hand the interpreter over after 1 ms instead of 5: a start must not wait behind an event being decoded.
    sys.setswitchinterval(0.001)
    _share_memory_arenas()
    config = load_config(Path(options.home) / "node" / "config.json")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    agent = Agent(config)
    starting = threading.Thread(target=_start, args=(agent, stop), name="start", daemon=True)
    starting.start()
    if config.broker:
        threading.Thread(target=_run_celery, args=(config, agent), name="celery", daemon=True).start()
    stop.wait()
    log.info("stopping; pods run on")
    if agent.started:
        agent.stop()
    # Celery's threads may be waiting for a broker that is gone.
    os._exit(0 if not agent.failed else 1)


def _share_memory_arenas() -> None:
    """glibc gives every thread an arena of its own, and what a burst of work left in one is of no use to the others."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, 2)


def _start(agent: Agent, stop: threading.Event) -> None:
    try:
        agent.start()
    except BaseException:
        log.exception("the node agent could not start")
        agent.failed = True
        stop.set()
        return
    agent.started = True
    notify_ready()


def _run_celery(config: NodeConfig, agent: Agent) -> None:
    """A Celery worker on the queue of this node; when the broker is away it keeps trying and nothing else stops."""
    app = make_celery(config, agent)
    worker = app.WorkController(
        app=app,
        pool_cls="threads",
        concurrency=CONCURRENCY,
        queues=[node_queue(config.name)],
        hostname=f"node@{config.name}",
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
    )
    try:
        worker.start()
    except Exception:
        log.exception("the Celery worker ended; the node goes on by its own watch")


def make_celery(config: NodeConfig, agent: Agent) -> Any:
    """The Celery application with its one task."""
    from celery import Celery

    # Celery's fix-up for Django loads a whole project (50 MB) where the environment names one; a node has none.
    os.environ.pop("DJANGO_SETTINGS_MODULE", None)
    app = Celery("gantry-node", broker=config.broker, set_as_current=True, fixups=())
    app.conf.update(
        accept_content=["json"],
        task_serializer="json",
        task_ignore_result=True,
        task_default_queue=node_queue(config.name),
        worker_enable_remote_control=False,
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
        worker_send_task_events=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options={"socket_timeout": 10, "socket_connect_timeout": 5},
    )

    @app.task(name=SYNC_POD, ignore_result=True)  # type: ignore[untyped-decorator, unused-ignore]
    def sync_pod(kind: str = "Pod", key: str = "", node: str = "", expires: float = 0.0) -> None:
        """Look at one pod. The message says which, never what it should be."""
        if kind == "Pod" and node in ("", config.name):
            agent.hint(key)

    return app


if __name__ == "__main__":
    sys.exit(main())
