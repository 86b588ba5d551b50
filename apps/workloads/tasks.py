"""The Celery tasks of the control plane: thin. A message says where to look; what to do is read from the store.

`run` is the same step without Celery; the loop calls it while the broker is away.
"""

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from celery import shared_task

from apps.kinds.status import ApiError, Conflict
from apps.networking.controllers import reconcile_service
from apps.nodes.controllers import reconcile_node
from apps.scheduling import controller as scheduling
from apps.store import delays, garbage
from apps.workloads import causes
from apps.workloads.controllers import reconcile_deployment, reconcile_replica_set
from apps.workloads.keys import Key, OneAtATime
from nodeworker.wire.messages import CONTROLLERS, RECONCILE, SCHEDULE, split_key

logger = logging.getLogger(__name__)
TRIES = 8
AFTER_CONFLICTS = timedelta(seconds=1)
AFTER_ERROR = timedelta(seconds=5)

# kind of key -> one look at it; the answer is when to look again, if nothing wakes the key before.
Look = Callable[[str, str, int | None], datetime | None]
_keys = OneAtATime()


def _service(namespace: str, name: str, cause: int | None) -> None:
    reconcile_service(namespace, name, cause)


def _node(namespace: str, name: str, cause: int | None) -> datetime | None:
    return reconcile_node(name, cause)


def _garbage(namespace: str, name: str, cause: int | None) -> None:
    garbage.collect(f"{namespace}/{name}", cause)


LOOKS: dict[str, Look] = {
    "ReplicaSet": reconcile_replica_set,
    "Deployment": reconcile_deployment,
    "Service": _service,
    "Node": _node,
    "Garbage": _garbage,
}


@shared_task(name=RECONCILE, ignore_result=True)  # type: ignore[untyped-decorator]
def reconcile(kind: str, key: str, node: str = "", expires: float = 0.0) -> None:
    """Look at one key of a controller."""
    if kind in LOOKS and not (expires and time.time() > expires):
        run(Key(kind, key))


@shared_task(name=SCHEDULE, ignore_result=True)  # type: ignore[untyped-decorator]
def schedule(kind: str, key: str, node: str = "", expires: float = 0.0) -> None:
    """Find a node for one pod, and for those that wait with it."""
    if kind == "Pod" and not (expires and time.time() > expires):
        run(Key(kind, key))


def run(key: Key) -> None:
    """Look at a key now; what fails is looked at again later, and nobody else is kept from work by it."""
    try:
        if key.kind == "Pod":
            scheduling.schedule([key.name])
        else:
            _keys.run(key, _look)
    except Exception as error:  # the edge of the loop
        if isinstance(error, ApiError):
            logger.warning("%s: %s", key, error)
        else:
            logger.exception("%s could not be looked at", key)
        _look_again(key, datetime.now(UTC) + AFTER_ERROR)


def _look(key: Key) -> None:
    look, (namespace, name) = LOOKS[key.kind], split_key(key.name)
    for _ in range(TRIES):
        try:
            again = look(namespace, name, causes.take(key))
        except Conflict:
            continue
        if again is None:
            return
        if again > datetime.now(UTC):
            _look_again(key, again)
            return
    _look_again(key, datetime.now(UTC) + AFTER_CONFLICTS)


def _look_again(key: Key, at: datetime) -> None:
    if causes.is_news(key, at):
        delays.look_again(CONTROLLERS, str(key), at)
