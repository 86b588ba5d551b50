"""Services and endpoint slices in the admin, to look at."""

from django.contrib import admin

from apps.access.read_only_admin import ReadOnlyAdmin
from apps.networking.models import EndpointSlice, Service


@admin.register(Service)
class ServiceAdmin(ReadOnlyAdmin):
    """Services with their addresses and ports."""

    list_display = ("name", "namespace", "type", "cluster_ip", "ports", "selector")
    list_filter = ("namespace", "type")
    search_fields = ("name", "namespace", "cluster_ip", "ports")


@admin.register(EndpointSlice)
class EndpointSliceAdmin(ReadOnlyAdmin):
    """What answers for each service."""

    list_display = ("name", "namespace", "service", "addresses", "ready")
    list_filter = ("namespace",)
    search_fields = ("name", "service")
