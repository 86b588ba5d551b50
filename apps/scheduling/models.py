"""What pods take of their nodes, and why a pod is where it is, or nowhere."""

from typing import Any

from django.db import models
from django.utils.translation import gettext_lazy as _

from apps.scheduling.logic.seen import pod_placed
from apps.store.guard import GuardedModel
from apps.store.projections import Projection, register


@register
class Claim(Projection):
    """What one pod takes of its node: the scheduler sums these rows and decodes no pod."""

    kind = "Pod"

    node = models.CharField(max_length=253, blank=True)
    owner_uid = models.CharField(max_length=36, blank=True)
    cpu_millis = models.BigIntegerField(default=0)
    memory_bytes = models.BigIntegerField(default=0)
    # A finished pod takes nothing any more.
    done = models.BooleanField(default=False)

    class Meta:
        indexes = [models.Index(fields=["node", "done"], name="claim_node")]
        verbose_name = _("claim")
        verbose_name_plural = _("claims")

    @classmethod
    def columns(cls, object: dict[str, Any]) -> dict[str, Any]:
        placed = pod_placed(object)
        return {
            "node": object["spec"].get("nodeName") or "",
            "owner_uid": placed.owner,
            "cpu_millis": placed.requests.cpu,
            "memory_bytes": placed.requests.memory,
            "done": placed.done,
        }


class Placement(GuardedModel):
    """What the scheduler found for one pod and one node."""

    id = models.BigAutoField(primary_key=True)
    pod_uid = models.CharField(max_length=36)
    node = models.CharField(max_length=253)
    time = models.DateTimeField()
    passed = models.BooleanField()
    chosen = models.BooleanField(default=False)
    filter = models.CharField(max_length=63, blank=True)
    reason = models.CharField(max_length=512, blank=True)
    asked = models.CharField(max_length=253, blank=True)
    free = models.CharField(max_length=253, blank=True)
    score = models.IntegerField(default=0)

    class Meta:
        ordering = ["pod_uid", "-chosen", "-passed", "-score", "node"]
        indexes = [models.Index(fields=["pod_uid"], name="placement_pod")]
        verbose_name = _("placement")
        verbose_name_plural = _("placements")

    def __str__(self) -> str:
        return f"{self.node}: {'passed' if self.passed else self.filter}"
