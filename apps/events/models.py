"""Events and the timings of container starts, as people query them."""

from typing import Any

from django.db import models
from django.utils.translation import gettext_lazy as _

from apps.store.projections import Projection, register
from nodeworker.wire.time import parse_time


@register
class Event(Projection):
    """Something that happened to an object."""

    kind = "Event"

    type = models.CharField(max_length=16, blank=True)
    reason = models.CharField(max_length=128, blank=True)
    message = models.TextField(blank=True)
    source = models.CharField(max_length=128, blank=True)
    count = models.PositiveIntegerField(default=1)
    last_seen = models.DateTimeField(null=True, blank=True)
    object_kind = models.CharField(max_length=63, blank=True)
    object_name = models.CharField(max_length=253, blank=True)
    object_uid = models.CharField(max_length=36, blank=True, db_index=True)

    class Meta:
        ordering = ["-last_seen"]
        verbose_name = _("event")
        verbose_name_plural = _("events")

    @classmethod
    def columns(cls, object: dict[str, Any]) -> dict[str, Any]:
        involved = object.get("involvedObject") or {}
        seen = object.get("lastTimestamp") or object.get("eventTime") or object["metadata"].get("creationTimestamp")
        source = (object.get("source") or {}).get("component") or object.get("reportingComponent") or ""
        return {
            "type": object.get("type") or "",
            "reason": (object.get("reason") or "")[:128],
            "message": object.get("message") or "",
            "source": source[:128],
            "count": object.get("count") or 1,
            "last_seen": parse_time(seen) if seen else None,
            "object_kind": involved.get("kind") or "",
            "object_name": involved.get("name") or "",
            "object_uid": (involved.get("uid") or "")[:36],
        }


class StepTiming(models.Model):
    """How long one step of a container's start took, as its node measured it."""

    id = models.BigAutoField(primary_key=True)
    pod_uid = models.CharField(max_length=36)
    namespace = models.CharField(max_length=63)
    pod_name = models.CharField(max_length=253)
    container = models.CharField(max_length=63, blank=True)
    attempt = models.PositiveIntegerField(default=0)
    name = models.CharField(max_length=64)
    started = models.DateTimeField()
    milliseconds = models.FloatField()

    class Meta:
        ordering = ["started", "id"]
        constraints = [
            models.UniqueConstraint(fields=["pod_uid", "container", "attempt", "name"], name="step_timing_once")
        ]
        verbose_name = _("step timing")
        verbose_name_plural = _("step timings")

    def __str__(self) -> str:
        return f"{self.pod_name} {self.name}: {self.milliseconds:.1f} ms"
