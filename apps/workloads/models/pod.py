"""The pods, as people and controllers query them."""

from typing import Any

from django.db import models
from django.utils.translation import gettext_lazy as _

from apps.scheduling.logic.seen import pod_requests
from apps.store.projections import Projection, register
from apps.workloads.logic.seen import controller_of
from nodeworker.wire.podstatus import summary


@register
class Pod(Projection):
    """One pod; `status` is the word that kubectl prints, `node_name` is empty until the pod is bound."""

    kind = "Pod"

    phase = models.CharField(max_length=16, blank=True, db_index=True)
    status = models.CharField(max_length=120, blank=True)
    ready = models.BooleanField(default=False)
    containers = models.PositiveIntegerField(default=0)
    ready_containers = models.PositiveIntegerField(default=0)
    restarts = models.PositiveIntegerField(default=0)
    node_name = models.CharField(max_length=253, blank=True, db_index=True)
    pod_ip = models.CharField(max_length=45, blank=True)
    owner_kind = models.CharField(max_length=63, blank=True)
    owner_name = models.CharField(max_length=253, blank=True)
    owner_uid = models.CharField(max_length=36, blank=True, db_index=True)
    image = models.CharField(max_length=512, blank=True)
    cpu_millis = models.BigIntegerField(default=0)
    memory_bytes = models.BigIntegerField(default=0)
    terminating = models.BooleanField(default=False)
    # Whether the scheduler has said that there is no node; such a pod is looked at again when something changes.
    unschedulable = models.BooleanField(default=False)

    class Meta:
        ordering = ["namespace", "name"]
        verbose_name = _("pod")
        verbose_name_plural = _("pods")

    @classmethod
    def columns(cls, object: dict[str, Any]) -> dict[str, Any]:
        spec, status = object["spec"], object.get("status") or {}
        seen, requests = summary(object), pod_requests(spec)
        owner = controller_of(object) or {}
        conditions = {c.get("type"): c for c in status.get("conditions") or ()}
        containers = spec.get("containers") or [{}]
        return {
            "phase": status.get("phase") or "Pending",
            "status": seen.word[:120],
            "ready": conditions.get("Ready", {}).get("status") == "True",
            "containers": seen.total,
            "ready_containers": seen.ready,
            "restarts": seen.restarts,
            "node_name": spec.get("nodeName") or "",
            "pod_ip": status.get("podIP") or "",
            "owner_kind": owner.get("kind") or "",
            "owner_name": owner.get("name") or "",
            "owner_uid": owner.get("uid") or "",
            "image": (containers[0].get("image") or "")[:512],
            "cpu_millis": requests.cpu,
            "memory_bytes": requests.memory,
            "terminating": bool(object["metadata"].get("deletionTimestamp")),
            "unschedulable": conditions.get("PodScheduled", {}).get("reason") == "Unschedulable",
        }
