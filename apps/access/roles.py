"""What the built-in roles and a node may do; pure tables and decisions. Called by `authorize`.

view get, list, watch of everything but Secrets, tokens of others, users and grants; logs of pods edit besides:
create, update, patch, delete of what lives in a namespace, Secrets, scale, exec; images pulled and built admin
besides: namespaces, nodes (cordon), removing images, tokens of others, users, grants
"""

from dataclasses import dataclass
from typing import Literal

RoleName = Literal["admin", "edit", "view"]
READ = frozenset({"get", "list", "watch"})
ADMINISTRATIVE = frozenset({"users", "grants", "registries", "join-tokens"})
SECRET = frozenset({"secrets"})
# Kinds that live outside of namespaces; a role in one namespace does not reach them.
CLUSTER = frozenset({"namespaces", "nodes", "images", "blobs", "persistentvolumes", "storageclasses"})
INTERACTIVE = frozenset({"exec", "attach", "portforward", "proxy"})
# Written by nodes, controllers and the scheduler, never by people of a role.
MACHINE = frozenset({"status", "binding", "finalize"})


@dataclass(frozen=True, slots=True)
class Grant:
    """A role of a user (by uid) or group, in a namespace or, empty, everywhere."""

    role: RoleName
    namespace: str
    user: str = ""
    group: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody wants to do: `pods`, `deployments.apps`, `images` ..., with a subresource perhaps."""

    verb: str
    resource: str
    namespace: str = ""
    name: str = ""
    subresource: str = ""

    @property
    def plural(self) -> str:
        return self.resource.partition(".")[0]

    @property
    def group(self) -> str:
        return self.resource.partition(".")[2]


def grant_allows(grant: Grant, asked: Asked) -> bool:
    """Say whether one role lets somebody do this."""
    if grant.namespace and not _in_namespace(grant, asked):
        return False
    return role_allows(grant.role, asked)


def _in_namespace(grant: Grant, asked: Asked) -> bool:
    if asked.plural == "namespaces" and asked.verb == "get":
        return grant.namespace in (asked.name, asked.namespace)
    if asked.plural in CLUSTER:
        # Who works in a namespace must see which images there are.
        return asked.plural == "images" and asked.verb in READ
    return asked.namespace == grant.namespace


def role_allows(role: RoleName, asked: Asked) -> bool:
    """Say whether a role reaches this, namespaces aside."""
    if asked.subresource in MACHINE and asked.verb not in READ:
        return False
    if role == "admin":
        return True
    if asked.plural in ADMINISTRATIVE:
        return False
    if role == "edit":
        return _edit_allows(asked)
    return asked.verb in READ and asked.plural not in SECRET and asked.subresource not in INTERACTIVE


def _edit_allows(asked: Asked) -> bool:
    if asked.verb in READ:
        return True
    if asked.plural == "images":
        return asked.verb in ("create", "update")
    return asked.plural not in CLUSTER


def node_allows(node: str, asked: Asked, *, bound: bool, referenced: bool) -> bool:
    """The node rule. `bound`: the pod that is asked for is bound to it; `referenced`: a pod of its uses the object."""
    match asked.plural:
        case "pods":
            return _node_on_pods(asked, bound)
        case "nodes":
            return _node_on_nodes(node, asked)
        case "leases":
            own = asked.name == node or (asked.verb == "create" and not asked.name)
            return asked.namespace == "kube-node-lease" and own and asked.verb in ("get", "create", "update", "patch")
        case "secrets" | "configmaps":
            return referenced and asked.verb == "get"
        case "events" | "steps":
            return asked.verb in ("create", "patch", "update")
        case "services" | "endpointslices" | "blobs" | "namespaces":
            return asked.verb in READ
        case "images":
            # Pulling into the store is a POST; importing and removing are for people.
            return asked.verb in READ or (asked.verb == "create" and asked.subresource in ("", "pull"))
    return False


def _node_on_pods(asked: Asked, bound: bool) -> bool:
    if asked.verb in ("list", "watch"):
        return not asked.subresource
    if asked.verb in ("patch", "update"):
        return bound and asked.subresource == "status"
    return bound and asked.verb in ("get", "delete") and asked.subresource in ("", "status")


def _node_on_nodes(node: str, asked: Asked) -> bool:
    if asked.verb in READ:
        return True
    if asked.verb == "create":
        return asked.name in ("", node)
    return asked.name == node and asked.verb in ("patch", "update") and asked.subresource in ("", "status")
