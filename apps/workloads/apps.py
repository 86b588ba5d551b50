"""Django configuration of `apps.workloads`."""

from django.apps import AppConfig


class WorkloadsConfig(AppConfig):
    """Pods, replica sets and deployments."""

    name = "apps.workloads"
    label = "workloads"
