"""Events and step timings in the admin, to look at."""

from django.contrib import admin

from apps.access.read_only_admin import ReadOnlyAdmin
from apps.events.models import Event, StepTiming


@admin.register(Event)
class EventAdmin(ReadOnlyAdmin):
    """What happened to objects."""

    list_display = ("last_seen", "type", "reason", "object_kind", "object_name", "message", "count", "source")
    list_filter = ("type", "reason", "namespace", "object_kind")
    search_fields = ("object_name", "message")


@admin.register(StepTiming)
class StepTimingAdmin(ReadOnlyAdmin):
    """How long the steps of container starts took."""

    list_display = ("started", "pod_name", "container", "attempt", "name", "milliseconds")
    list_filter = ("namespace", "name")
    search_fields = ("pod_name", "pod_uid")
