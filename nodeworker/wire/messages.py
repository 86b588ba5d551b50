"""Names of queues and tasks, and the shape of a message.

A message is a hint: it says where to look, never what is there.

Called by dashboard/celery.py, the tailer, the controllers and the node's worker.
"""

import msgspec

CONTROLLERS = "controllers"
SCHEDULER = "scheduler"

SYNC_POD = "nodeworker.sync_pod"
RECONCILE = "controllers.reconcile"
SCHEDULE = "scheduler.schedule"
RESYNC = "controllers.resync"
LOOK_AGAIN = "controllers.look_again"
COLLECT_GARBAGE = "controllers.collect_garbage"


class Message(msgspec.Struct, frozen=True, omit_defaults=True):
    """The keyword arguments of every task: which object to look at, on which node, until when it is worth it."""

    kind: str
    key: str
    node: str = ""
    expires: float = 0.0


def node_queue(name: str) -> str:
    """Return the queue that the worker of node `name` reads."""
    return f"node.{name}"


def object_key(namespace: str, name: str) -> str:
    """Return "namespace/name", or "name" for what has no namespace."""
    return f"{namespace}/{name}" if namespace else name


def split_key(key: str) -> tuple[str, str]:
    """Return (namespace, name) of an object key."""
    namespace, _, name = key.rpartition("/")
    return namespace, name
