"""Django configuration of `apps.console`."""

from django.apps import AppConfig


class ConsoleConfig(AppConfig):
    """The console's pages and live subscriptions."""

    name = "apps.console"
    label = "console"
