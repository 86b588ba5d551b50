"""Django configuration of `apps.nodes`."""

from django.apps import AppConfig


class NodesConfig(AppConfig):
    """Nodes, leases and the certificate authority."""

    name = "apps.nodes"
    label = "nodes"
