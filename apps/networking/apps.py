"""Django configuration of `apps.networking`."""

from django.apps import AppConfig


class NetworkingConfig(AppConfig):
    """Services and what answers for them."""

    name = "apps.networking"
    label = "networking"

    def ready(self) -> None:
        # Only now are the models loaded that the hook reads.
        from apps.networking.allocation import fill_service
        from apps.store import hooks

        hooks.register("Service", fill_service)
