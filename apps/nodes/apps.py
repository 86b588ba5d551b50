"""Django configuration of `apps.nodes`."""

from django.apps import AppConfig


class NodesConfig(AppConfig):
    """Machines, their leases and certificates."""

    name = "apps.nodes"
    label = "nodes"

    def ready(self) -> None:
        # Only now are the models loaded that the hook reads.
        from apps.nodes.ranges import fill_node
        from apps.store import hooks

        hooks.register("Node", fill_node)
