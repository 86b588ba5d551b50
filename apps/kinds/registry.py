"""The kinds that Gantry knows. A new kind is a module and a line here.

All names are unique, so a kind is keyed by its kind name everywhere.
"""

from apps.kinds.configmap import CONFIG_MAP
from apps.kinds.deployment import DEPLOYMENT
from apps.kinds.endpointslice import ENDPOINT_SLICE
from apps.kinds.event import EVENT
from apps.kinds.kind import Kind
from apps.kinds.lease import LEASE
from apps.kinds.namespace import NAMESPACE
from apps.kinds.node import NODE
from apps.kinds.pod import POD
from apps.kinds.replicaset import REPLICA_SET
from apps.kinds.secret import SECRET
from apps.kinds.service import SERVICE
from apps.kinds.serviceaccount import SERVICE_ACCOUNT

KINDS: tuple[Kind, ...] = (
    NAMESPACE,
    NODE,
    POD,
    SERVICE,
    CONFIG_MAP,
    SECRET,
    SERVICE_ACCOUNT,
    EVENT,
    REPLICA_SET,
    DEPLOYMENT,
    ENDPOINT_SLICE,
    LEASE,
)

_BY_KIND = {kind.kind: kind for kind in KINDS}
_BY_RESOURCE = {(kind.group, kind.version, kind.plural): kind for kind in KINDS}


def by_kind(name: str) -> Kind:
    """Return the kind of this name; raise KeyError when there is none."""
    return _BY_KIND[name]


def find_kind(name: str) -> Kind | None:
    """Return the kind of this name, or None."""
    return _BY_KIND.get(name)


def by_resource(group: str, version: str, plural: str) -> Kind | None:
    """Return the kind behind an address of the API, or None."""
    return _BY_RESOURCE.get((group, version, plural))


def group_versions() -> list[tuple[str, str]]:
    """Return every (group, version), the core group first."""
    return sorted({(kind.group, kind.version) for kind in KINDS})
