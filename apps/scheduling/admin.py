"""The scheduler's findings in the admin: why a pod is where it is, or nowhere."""

from django.contrib import admin

from apps.access.read_only_admin import ReadOnlyAdmin
from apps.scheduling.models import Placement


@admin.register(Placement)
class PlacementAdmin(ReadOnlyAdmin):
    """One row for each pod and node."""

    list_display = ("pod_uid", "node", "passed", "chosen", "filter", "reason", "asked", "free", "score", "time")
    list_filter = ("passed", "chosen", "filter", "node")
    search_fields = ("pod_uid", "node")
