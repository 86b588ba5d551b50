"""The Celery application: queues, settings, and the controller process (`python -m dashboard.celery`).

A message is a hint and holds a key; results are not kept, nobody controls workers through the broker, and losing the
broker costs speed only. So nothing here is durable, and publishing fails at once instead of waiting.
"""

import os
import sys
from typing import Any

if __name__ == "__main__" and os.environ.get("DJANGO_SETTINGS_MODULE") == "dashboard.settings.production":
    # The same settings, without the applications that only pages need.
    os.environ["DJANGO_SETTINGS_MODULE"] = "dashboard.settings.controller"
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dashboard.settings.controller")
# Celery would run Django's checks at each start, which import every page and view.
os.environ.setdefault("CELERY_SKIP_CHECKS", "1")

from celery import Celery, signals
from django.conf import settings
from kombu.entity import Exchange, Queue

from nodeworker.wire.messages import CONTROLLERS, RECONCILE, SCHEDULE, SCHEDULER, SYNC_POD
from nodeworker.wire.notify import notify_ready

THREADS = 4
PUBLISH_SECONDS = 1.0


def broker_url(url: str) -> str:
    """Return a Redis address in Kombu's words: a Unix socket is `redis+socket://PATH`."""
    return f"redis+socket://{url.removeprefix('unix://')}" if url.startswith("unix://") else url


def _queue(name: str) -> Queue:
    return Queue(name, Exchange(name), routing_key=name, durable=False)  # type: ignore[no-untyped-call]


app = Celery("gantry", set_as_current=True)
app.conf.update(
    include=["apps.workloads.tasks"],
    broker_url=broker_url(settings.GANTRY_REDIS_URL),
    broker_connection_retry=True,
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    broker_connection_timeout=PUBLISH_SECONDS,
    broker_transport_options={
        # Longer than the second for which a consumer waits in BRPOP, no longer than a publisher may be held up.
        "socket_timeout": 2.0,
        "socket_connect_timeout": PUBLISH_SECONDS,
        "retry_on_timeout": False,
        "max_retries": 0,
    },
    task_queues=[_queue(name) for name in (CONTROLLERS, SCHEDULER)],
    task_default_queue=CONTROLLERS,
    task_default_delivery_mode="transient",
    task_serializer="json",
    accept_content=["json"],
    result_backend=None,
    task_ignore_result=True,
    task_store_errors_even_if_ignored=False,
    task_send_sent_event=False,
    task_publish_retry=False,
    task_create_missing_queues=True,
    task_compression=None,
    worker_enable_remote_control=False,
    worker_send_task_events=False,
    worker_prefetch_multiplier=1,
    worker_hijack_root_logger=False,
    worker_cancel_long_running_tasks_on_connection_loss=False,
    worker_redirect_stdouts=False,
    broker_heartbeat=0,
    timezone="UTC",
)
app.set_default()


def controller_argv() -> list[str]:
    """Return the arguments of the controller's worker, after `celery -A dashboard.celery`."""
    quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    return ["worker", "-P", "threads", "-c", str(THREADS), "-Q", f"{CONTROLLERS},{SCHEDULER}", "-l", "WARNING", *quiet]


def publish(key: Any) -> None:
    """Send one key to its queue; raises at once when the broker is away."""
    name = SYNC_POD if key.node else SCHEDULE if key.queue == SCHEDULER else RECONCILE
    message = {"kind": key.kind, "key": key.name, "node": key.node}
    app.send_task(name, kwargs=message, queue=key.queue, retry=False, ignore_result=True)


def start_loop(**_: Any) -> None:
    """Start the tailer and the timer with the worker (signal `worker_init`: they wait for no broker)."""
    from apps.workloads.loop import Loop

    app.loop = Loop(publish)
    app.loop.start()
    notify_ready()


def stop_loop(**_: Any) -> None:
    """Stop them before the worker's threads end (signal `worker_shutting_down`)."""
    loop = getattr(app, "loop", None)
    if loop is not None:
        loop.stop()


def main() -> None:
    """Run the controller process."""
    signals.worker_init.connect(start_loop, weak=False)
    signals.worker_shutting_down.connect(stop_loop, weak=False)
    app.worker_main(controller_argv())


if __name__ == "__main__":
    # Run as a script this module is `__main__`; the tasks must find the application under its own name.
    from dashboard.celery import main as controller

    controller()
    sys.exit(0)
