"""`authorize(identity, verb, resource, namespace, name)`: the only guard of both faces, Channels, the registry and
admin.

Grants are read at most every few seconds and kept in memory. Nobody is a master by a grant: `system:masters` comes
with a certificate of the cluster's authority or with a superuser.
"""

import asyncio
import threading
import time
from dataclasses import dataclass
from typing import Any

from apps.access.identity import MASTERS, Identity
from apps.access.roles import Asked, Grant, grant_allows, node_allows
from apps.store import pool, read

REMEMBER = 2.0


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether it is allowed, and why not."""

    allowed: bool
    reason: str = ""


ALLOWED = Decision(True)


class _Grants:
    """All grants, as of a moment ago."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._read_at = -1e9
        self._grants: tuple[Grant, ...] = ()

    def fresh(self) -> bool:
        return time.monotonic() - self._read_at <= REMEMBER

    def known(self) -> tuple[Grant, ...]:
        return self._grants

    def current(self) -> tuple[Grant, ...]:
        if not self.fresh():
            moment = time.monotonic()
            grants = _read_grants()
            with self._lock:
                self._grants, self._read_at = grants, moment
        return self._grants

    def forget(self) -> None:
        self._read_at = -1e9


_grants = _Grants()
forget = _grants.forget


def _read_grants() -> tuple[Grant, ...]:
    with pool.pool().connection() as connection, connection.cursor() as cursor:
        cursor.execute('SELECT role, namespace, user_id, "group" FROM access_rolegrant')
        return tuple(
            Grant(role, namespace, "" if user is None else str(user), group)
            for role, namespace, user, group in cursor.fetchall()
        )


def authorize(
    identity: Identity, verb: str, resource: str, namespace: str = "", name: str = "", subresource: str = ""
) -> Decision:
    """Decide. In an event loop prefer `authorize_async`: this one waits for the database when its cache is old."""
    asked = Asked(verb, resource, namespace, name, subresource)
    if MASTERS in identity.groups:
        return ALLOWED
    if not _in_event_loop():
        return _decide(identity, asked)
    if _grants.fresh() and not identity.node_name:
        return _by_grants(identity, asked, _grants.known())
    return pool.pool().threads.submit(_decide, identity, asked).result()


async def authorize_async(
    identity: Identity, verb: str, resource: str, namespace: str = "", name: str = "", subresource: str = ""
) -> Decision:
    """Decide without blocking the event loop."""
    asked = Asked(verb, resource, namespace, name, subresource)
    if MASTERS in identity.groups:
        return ALLOWED
    if _grants.fresh() and not identity.node_name:
        return _by_grants(identity, asked, _grants.known())
    return await pool.in_thread(_decide, identity, asked)


def _decide(identity: Identity, asked: Asked) -> Decision:
    if identity.node_name:
        return _by_node_rule(identity, asked)
    return _by_grants(identity, asked, _grants.current())


def _by_grants(identity: Identity, asked: Asked, grants: tuple[Grant, ...]) -> Decision:
    for grant in grants:
        is_theirs = (grant.user and grant.user == identity.uid) or (grant.group and grant.group in identity.groups)
        if is_theirs and grant_allows(grant, asked):
            return ALLOWED
    if asked.plural == "tokens" and identity.uid:
        return ALLOWED  # everybody has their own; the view shows no others
    return Decision(False)


def _by_node_rule(identity: Identity, asked: Asked) -> Decision:
    node = identity.node_name
    bound = asked.plural == "pods" and bool(asked.name) and _is_bound(node, asked.namespace, asked.name)
    referenced = asked.plural in ("secrets", "configmaps") and _is_referenced(node, asked)
    if node_allows(node, asked, bound=bound, referenced=referenced):
        return ALLOWED
    return Decision(False, f"no relationship found between node '{node}' and this object")


def _is_bound(node: str, namespace: str, name: str) -> bool:
    pod = read.get("Pod", namespace, name)
    return pod is not None and (pod.object.get("spec") or {}).get("nodeName") == node


def _is_referenced(node: str, asked: Asked) -> bool:
    """Look at the pods as they are now: a node asks for a Secret the moment a pod is bound to it."""
    pods, _ = read.bound(node)
    return any(
        asked.name in referenced_names(pod.object.get("spec") or {}, asked.plural)
        for pod in pods
        if pod.namespace == asked.namespace
    )


def referenced_names(spec: dict[str, Any], plural: str) -> set[str]:
    """Name the Secrets or ConfigMaps that a pod mounts or reads into its environment."""
    secrets = plural == "secrets"
    names = {pull.get("name") for pull in spec.get("imagePullSecrets") or ()} if secrets else set()
    for volume in spec.get("volumes") or ():
        names.add(_volume_reference(volume, secrets))
        for source in (volume.get("projected") or {}).get("sources") or ():
            names.add((source.get("secret" if secrets else "configMap") or {}).get("name"))
    for container in [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]:
        for source in container.get("envFrom") or ():
            names.add((source.get("secretRef" if secrets else "configMapRef") or {}).get("name"))
        for variable in container.get("env") or ():
            source = variable.get("valueFrom") or {}
            names.add((source.get("secretKeyRef" if secrets else "configMapKeyRef") or {}).get("name"))
    return {str(name) for name in names if name}


def _volume_reference(volume: dict[str, Any], secrets: bool) -> str | None:
    if secrets:
        return (volume.get("secret") or {}).get("secretName")
    return (volume.get("configMap") or {}).get("name")


def _in_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
