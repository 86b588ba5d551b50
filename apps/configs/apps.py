"""Django configuration of `apps.configs`."""

from django.apps import AppConfig


class ConfigsConfig(AppConfig):
    """ConfigMap and Secret."""

    name = "apps.configs"
    label = "configs"
