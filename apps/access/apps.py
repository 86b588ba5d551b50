"""Django configuration of `apps.access`."""

from django.apps import AppConfig


class AccessConfig(AppConfig):
    """Who may do what."""

    name = "apps.access"
    label = "access"
