"""Services and endpoint slices, as people query them, and who holds which node port."""

from typing import Any

from django.db import models
from django.utils.translation import gettext_lazy as _

from apps.networking.logic.endpoints import SERVICE_NAME
from apps.networking.logic.services import addresses_of
from apps.store.guard import GuardedModel
from apps.store.projections import Projection, register


@register
class Service(Projection):
    """One service. The database itself refuses a second one with the same cluster address."""

    kind = "Service"

    type = models.CharField(max_length=16, blank=True)
    cluster_ip = models.CharField(max_length=45, null=True, blank=True, unique=True)
    ports = models.CharField(max_length=512, blank=True)
    selector = models.CharField(max_length=512, blank=True)

    class Meta:
        ordering = ["namespace", "name"]
        verbose_name = _("service")
        verbose_name_plural = _("services")

    @classmethod
    def columns(cls, object: dict[str, Any]) -> dict[str, Any]:
        spec = object["spec"]
        selector = ",".join(f"{key}={value}" for key, value in sorted((spec.get("selector") or {}).items()))
        ports = ",".join(_port_text(port) for port in spec.get("ports") or ())
        return {
            "type": spec.get("type") or "ClusterIP",
            "cluster_ip": next(iter(addresses_of(spec)), None),
            "ports": ports[:512],
            "selector": selector[:512],
        }


class NodePort(GuardedModel):
    """A node port that is given out; the port is the key, so it is never given out twice."""

    port = models.PositiveIntegerField(primary_key=True)
    service_uid = models.CharField(max_length=36, db_index=True)

    class Meta:
        verbose_name = _("node port")
        verbose_name_plural = _("node ports")

    def __str__(self) -> str:
        return str(self.port)


@register
class EndpointSlice(Projection):
    """The addresses behind a service."""

    kind = "EndpointSlice"

    service = models.CharField(max_length=253, blank=True, db_index=True)
    addresses = models.PositiveIntegerField(default=0)
    ready = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ["namespace", "name"]
        verbose_name = _("endpoint slice")
        verbose_name_plural = _("endpoint slices")

    @classmethod
    def columns(cls, object: dict[str, Any]) -> dict[str, Any]:
        endpoints = object.get("endpoints") or ()
        labels = object["metadata"].get("labels") or {}
        return {
            "service": labels.get(SERVICE_NAME, ""),
            "addresses": len(endpoints),
            "ready": sum((e.get("conditions") or {}).get("ready") is not False for e in endpoints),
        }


def _port_text(port: dict[str, Any]) -> str:
    exposed = f":{port['nodePort']}" if port.get("nodePort") else ""
    return f"{port['port']}{exposed}/{port.get('protocol') or 'TCP'}"
