"""ConfigMaps and Secrets in the admin: to look at only; values are seen in the console by who may."""

from django.contrib import admin
from django.db import models
from django.http import HttpRequest
from unfold.admin import ModelAdmin

from apps.configs.models import ConfigMap, Secret


class _ReadOnly(ModelAdmin):  # type: ignore[misc]
    """Projections are written by the store alone."""

    list_filter = ["namespace"]
    search_fields = ["name"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False


@admin.register(ConfigMap)
class ConfigMapAdmin(_ReadOnly):
    """Which keys there are."""

    list_display = ["name", "namespace", "size", "immutable", "created"]


@admin.register(Secret)
class SecretAdmin(_ReadOnly):
    """Which keys there are."""

    list_display = ["name", "namespace", "type", "immutable", "created"]
