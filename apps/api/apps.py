"""Django configuration of `apps.api`."""

from django.apps import AppConfig


class ApiConfig(AppConfig):
    """The Kubernetes protocol."""

    name = "apps.api"
    label = "api"
