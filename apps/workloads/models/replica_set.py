"""The replica sets, as people and controllers query them."""

from typing import Any

from django.db import models
from django.utils.translation import gettext_lazy as _

from apps.store.projections import Projection, register
from apps.workloads.logic.seen import REVISION, controller_of


@register
class ReplicaSet(Projection):
    """One replica set; `rollout` is its deployment's revision number."""

    kind = "ReplicaSet"

    desired = models.PositiveIntegerField(default=0)
    current = models.PositiveIntegerField(default=0)
    ready = models.PositiveIntegerField(default=0)
    available = models.PositiveIntegerField(default=0)
    image = models.CharField(max_length=512, blank=True)
    owner_name = models.CharField(max_length=253, blank=True)
    owner_uid = models.CharField(max_length=36, blank=True, db_index=True)
    rollout = models.PositiveIntegerField(default=0)
    # Whether the status answers the newest spec and the number of pods is right.
    settled = models.BooleanField(default=False, db_index=True)

    class Meta:
        ordering = ["namespace", "name"]
        verbose_name = _("replica set")
        verbose_name_plural = _("replica sets")

    @classmethod
    def columns(cls, object: dict[str, Any]) -> dict[str, Any]:
        metadata, spec, status = object["metadata"], object["spec"], object.get("status") or {}
        owner = controller_of(object) or {}
        desired = spec.get("replicas", 1)
        counts = {name: status.get(name) or 0 for name in ("replicas", "readyReplicas", "availableReplicas")}
        answered = (status.get("observedGeneration") or 0) >= (metadata.get("generation") or 0)
        revision = (metadata.get("annotations") or {}).get(REVISION, "")
        return {
            "desired": desired,
            "current": counts["replicas"],
            "ready": counts["readyReplicas"],
            "available": counts["availableReplicas"],
            "image": image_of(spec),
            "owner_name": owner.get("name") or "",
            "owner_uid": owner.get("uid") or "",
            "rollout": int(revision) if revision.isascii() and revision.isdigit() and len(revision) < 9 else 0,
            "settled": answered and all(count == desired for count in counts.values()),
        }


def image_of(spec: dict[str, Any]) -> str:
    """Return the image of the template's first container."""
    containers = (spec["template"].get("spec") or {}).get("containers") or [{}]
    return str(containers[0].get("image") or "")[:512]
