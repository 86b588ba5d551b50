"""Django configuration of `apps.store`."""

from django.apps import AppConfig


class StoreConfig(AppConfig):
    """The object store: one log, many readers."""

    name = "apps.store"
    label = "store"
