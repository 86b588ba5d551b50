"""Django configuration of `apps.networking`."""

from django.apps import AppConfig


class NetworkingConfig(AppConfig):
    """Services and endpoint slices."""

    name = "apps.networking"
    label = "networking"
