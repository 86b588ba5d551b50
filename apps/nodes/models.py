"""The nodes, as people and controllers query them."""

from typing import Any

from django.db import models
from django.utils.translation import gettext_lazy as _

from apps.nodes.logic.lifecycle import is_ready
from apps.store.projections import Projection, register
from nodeworker.wire.quantity import cpu_millis, memory_bytes, parse_quantity


@register
class Node(Projection):
    """One machine; `pod_cidr` is the part of the pods' range that is its own, and no two nodes have the same."""

    kind = "Node"

    ready = models.BooleanField(default=False, db_index=True)
    state = models.CharField(max_length=16, blank=True)
    unschedulable = models.BooleanField(default=False)
    pod_cidr = models.CharField(max_length=18, null=True, blank=True, unique=True)
    address = models.CharField(max_length=253, blank=True)
    capacity_cpu_millis = models.BigIntegerField(default=0)
    capacity_memory_bytes = models.BigIntegerField(default=0)
    capacity_pods = models.PositiveIntegerField(default=0)
    allocatable_cpu_millis = models.BigIntegerField(default=0)
    allocatable_memory_bytes = models.BigIntegerField(default=0)
    kernel = models.CharField(max_length=128, blank=True)
    os_image = models.CharField(max_length=128, blank=True)
    version = models.CharField(max_length=64, blank=True)

    class Meta:
        ordering = ["name"]
        verbose_name = _("node")
        verbose_name_plural = _("nodes")

    @classmethod
    def columns(cls, object: dict[str, Any]) -> dict[str, Any]:
        spec, status = object.get("spec") or {}, object.get("status") or {}
        info, capacity = status.get("nodeInfo") or {}, status.get("capacity") or {}
        allocatable = status.get("allocatable") or capacity
        addresses = {a["type"]: a["address"] for a in status.get("addresses") or ()}
        ready = is_ready(object)
        return {
            "ready": ready,
            "state": "Ready" if ready else "NotReady",
            "unschedulable": bool(spec.get("unschedulable")),
            "pod_cidr": spec.get("podCIDR") or None,
            "address": addresses.get("InternalIP", ""),
            "capacity_cpu_millis": cpu_millis(str(capacity.get("cpu") or "0")),
            "capacity_memory_bytes": memory_bytes(str(capacity.get("memory") or "0")),
            "capacity_pods": int(parse_quantity(str(capacity.get("pods") or "0"))),
            "allocatable_cpu_millis": cpu_millis(str(allocatable.get("cpu") or "0")),
            "allocatable_memory_bytes": memory_bytes(str(allocatable.get("memory") or "0")),
            "kernel": (info.get("kernelVersion") or "")[:128],
            "os_image": (info.get("osImage") or "")[:128],
            "version": (info.get("kubeletVersion") or "")[:64],
        }
