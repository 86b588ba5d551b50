"""The table of all lists, by the name that stands in the address."""

from apps.console.lists.base import ListView
from apps.console.lists.cluster import EVENTS, NAMESPACES, NODES
from apps.console.lists.configuration import CONFIG_MAPS, SECRETS
from apps.console.lists.network import SERVICES
from apps.console.lists.workloads import DEPLOYMENTS, PODS, REPLICA_SETS

LISTS: dict[str, ListView] = {
    view.name: view
    for view in (DEPLOYMENTS, PODS, REPLICA_SETS, SERVICES, CONFIG_MAPS, SECRETS, EVENTS, NODES, NAMESPACES)
}
