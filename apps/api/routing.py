"""Addresses of the Kubernetes protocol to what they name. Called once a request by `apps.api.application`.

/api/v1/namespaces/shop/pods/web/log        → core v1, namespace shop, pods, web, log
/apis/apps/v1/deployments                   → apps v1, all namespaces, deployments
/api/v1/namespaces/shop                     → the object of kind Namespace
"""

from dataclasses import dataclass

from apps.kinds.kind import Kind
from apps.kinds.registry import by_resource

_NAMESPACE_SUBRESOURCES = frozenset({"status", "finalize"})


@dataclass(frozen=True, slots=True)
class Route:
    """One resource, collection or subresource. `namespace` is "" for cluster-wide kinds and for all namespaces."""

    kind: Kind
    namespace: str
    name: str
    subresource: str

    @property
    def resource(self) -> str:
        return self.kind.resource


def find_route(path: str) -> Route | None:
    """Return what `path` names, or None when this server has nothing there."""
    parts = path.strip("/").split("/")
    if parts[0] == "api" and len(parts) >= 3:
        group, version, rest = "", parts[1], parts[2:]
    elif parts[0] == "apis" and len(parts) >= 4:
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return None
    if "" in rest:
        return None
    namespace = ""
    if rest[0] == "namespaces" and len(rest) >= 3 and not (len(rest) == 3 and rest[2] in _NAMESPACE_SUBRESOURCES):
        namespace, rest = rest[1], rest[2:]
    if len(rest) > 3:
        return None
    plural, name, subresource = (*rest, "", "")[:3]
    kind = by_resource(group, version, plural)
    if kind is None or (namespace and not kind.namespaced) or (name and kind.namespaced and not namespace):
        return None
    return Route(kind, namespace, name, subresource)
