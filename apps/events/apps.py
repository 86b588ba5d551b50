"""Django configuration of `apps.events`."""

from django.apps import AppConfig


class EventsConfig(AppConfig):
    """Events and step timings."""

    name = "apps.events"
    label = "events"
