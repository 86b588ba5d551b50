"""Django configuration of `apps.images`."""

from django.apps import AppConfig


class ImagesConfig(AppConfig):
    """Images, layers and registries."""

    name = "apps.images"
    label = "images"
