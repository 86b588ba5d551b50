"""The deployments, as people and controllers query them."""

from typing import Any

from django.db import models
from django.utils.translation import gettext_lazy as _

from apps.store.projections import Projection, register
from apps.workloads.logic.conditions import find
from apps.workloads.models.replica_set import image_of


@register
class Deployment(Projection):
    """One deployment; `progress` and `progress_message` are those of its condition Progressing."""

    kind = "Deployment"

    desired = models.PositiveIntegerField(default=0)
    current = models.PositiveIntegerField(default=0)
    updated = models.PositiveIntegerField(default=0)
    ready = models.PositiveIntegerField(default=0)
    available = models.PositiveIntegerField(default=0)
    image = models.CharField(max_length=512, blank=True)
    strategy = models.CharField(max_length=32, blank=True)
    paused = models.BooleanField(default=False)
    progress = models.CharField(max_length=63, blank=True)
    progress_message = models.TextField(blank=True)
    settled = models.BooleanField(default=False, db_index=True)

    class Meta:
        ordering = ["namespace", "name"]
        verbose_name = _("deployment")
        verbose_name_plural = _("deployments")

    @classmethod
    def columns(cls, object: dict[str, Any]) -> dict[str, Any]:
        metadata, spec, status = object["metadata"], object["spec"], object.get("status") or {}
        desired = spec.get("replicas", 1)
        names = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")
        counts = {name: status.get(name) or 0 for name in names}
        progress = find(status.get("conditions") or (), "Progressing") or {}
        answered = (status.get("observedGeneration") or 0) >= (metadata.get("generation") or 0)
        return {
            "desired": desired,
            "current": counts["replicas"],
            "updated": counts["updatedReplicas"],
            "ready": counts["readyReplicas"],
            "available": counts["availableReplicas"],
            "image": image_of(spec),
            "strategy": (spec.get("strategy") or {}).get("type") or "",
            "paused": bool(spec.get("paused")),
            "progress": progress.get("reason") or "",
            "progress_message": progress.get("message") or "",
            "settled": answered and all(count == desired for count in counts.values()),
        }
