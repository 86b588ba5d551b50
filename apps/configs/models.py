"""Typed rows of ConfigMaps and Secrets, for the admin and SQL: which keys they have, never a value."""

from typing import Any

from django.db import models
from django.utils.translation import gettext_lazy as _

from apps.store.projections import Projection, register
from apps.store.rows import Json


@register
class ConfigMap(Projection):
    """A ConfigMap without its values."""

    kind = "ConfigMap"

    keys = models.TextField(_("keys"), blank=True)
    size = models.PositiveBigIntegerField(_("size"), default=0)
    immutable = models.BooleanField(_("immutable"), default=False)

    class Meta:
        verbose_name = _("config map")
        verbose_name_plural = _("config maps")

    @classmethod
    def columns(cls, object: Json) -> dict[str, Any]:
        data = {**(object.get("data") or {}), **(object.get("binaryData") or {})}
        return {"keys": _keys(data), "size": _size(data), "immutable": bool(object.get("immutable"))}


@register
class Secret(Projection):
    """A Secret without its values."""

    kind = "Secret"

    type = models.CharField(_("type"), max_length=253)
    keys = models.TextField(_("keys"), blank=True)
    immutable = models.BooleanField(_("immutable"), default=False)

    class Meta:
        verbose_name = _("secret")
        verbose_name_plural = _("secrets")

    @classmethod
    def columns(cls, object: Json) -> dict[str, Any]:
        return {
            "type": object.get("type") or "Opaque",
            "keys": _keys(object.get("data") or {}),
            "immutable": bool(object.get("immutable")),
        }


def _keys(data: dict[str, str]) -> str:
    return "\n".join(sorted(data))


def _size(data: dict[str, str]) -> int:
    return sum(len(key) + len(value) for key, value in data.items())
