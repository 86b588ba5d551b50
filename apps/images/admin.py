"""Images in the Django admin: read only, for staff. What changes an image goes through /rest/v1."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.defaultfilters import filesizeformat
from django.utils.translation import gettext_lazy as _
from unfold.admin import TabularInline

from apps.access.read_only_admin import ReadOnlyAdmin
from apps.images.models import Image, ImageLayer, ImageName, Layer, NodeImage


class _ReadOnlyInline(TabularInline):  # type: ignore[misc]
    """Rows beside an image; nothing is added, changed or deleted."""

    extra = 0

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.is_active and request.user.is_staff)


class NameInline(_ReadOnlyInline):
    """The names that point to an image."""

    model = ImageName
    fields = ("reference", "source", "moved")
    readonly_fields = fields


class LayerInline(_ReadOnlyInline):
    """An image's layers, the lowest first."""

    model = ImageLayer
    fields = ("position", "layer")
    readonly_fields = fields


class NodeInline(_ReadOnlyInline):
    """The nodes that have an image unpacked."""

    model = NodeImage
    fields = ("node",)
    readonly_fields = fields


@admin.register(Image)
class ImageAdmin(ReadOnlyAdmin):
    """Images with their names, layers and nodes."""

    list_display = ("__str__", "shown_size", "architecture", "source", "created", "recorded")
    list_filter = ("source", "architecture")
    search_fields = ("names__reference", "digest")
    inlines = (NameInline, LayerInline, NodeInline)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Image]:
        """Fetch the names along: each row shows them."""
        queryset: QuerySet[Image] = super().get_queryset(request)
        return queryset.prefetch_related("names")

    @admin.display(description=_("size"), ordering="size")
    def shown_size(self, image: Image) -> str:
        """The size for people."""
        return str(filesizeformat(image.size))


@admin.register(Layer)
class LayerAdmin(ReadOnlyAdmin):
    """Layers, each stored once however many images share it."""

    list_display = ("digest", "diff_id", "shown_size", "media_type")
    search_fields = ("digest", "diff_id")

    @admin.display(description=_("size"), ordering="size")
    def shown_size(self, layer: Layer) -> str:
        """The size for people."""
        return str(filesizeformat(layer.size))
