"""Django configuration of `apps.configs`."""

from django.apps import AppConfig


class ConfigsConfig(AppConfig):
    """ConfigMaps and Secrets."""

    name = "apps.configs"
    label = "configs"

    def ready(self) -> None:
        """Encrypt Secrets before they enter a row or the log."""
        # Only now: the store's modules need the app registry.
        from apps.configs.encryption import decrypt, encrypt
        from apps.store import codecs

        codecs.register("Secret", encrypt, decrypt)
