"""Django configuration of `apps.scheduling`."""

from django.apps import AppConfig


class SchedulingConfig(AppConfig):
    """Placement of pods on nodes."""

    name = "apps.scheduling"
    label = "scheduling"
