"""The base of every admin page over the store: staff may look; what changes an object are actions that call verbs.

An app's admin derives from `ReadOnlyAdmin`, lists columns and makes its actions with `verb_action`, which asks
`authorize` for each chosen row, calls the verb with the user as actor and shows the sentence of whatever it raises.
"""

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from unfold.admin import ModelAdmin

from apps.access.authorize import authorize
from apps.access.identity import authenticate_now
from apps.access.scopes import scope_of
from apps.kinds.status import ApiError, Forbidden
from apps.store.errors import StoreError
from apps.store.rows import Origin

Verb = Callable[[Any, Origin], object]


class ReadOnlyAdmin(ModelAdmin):  # type: ignore[misc]
    """Nothing is added, changed or deleted by a form."""

    list_per_page = 50
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return _is_staff(request)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return _is_staff(request)

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> list[str]:
        return [field.name for field in self.model._meta.fields]


def verb_action(verb: Verb, name: str, description: Any, resource: str, asks: str = "patch") -> Any:
    """Return an admin action that calls `verb(row, origin)` for each chosen row that the user may `asks`."""

    @admin.action(description=description)
    def act(admin_page: ModelAdmin, request: HttpRequest, rows: QuerySet[Any]) -> None:
        done = 0
        for row in rows:
            try:
                _check(request, asks, resource, row)
                verb(row, Origin(request.user.get_username(), request="admin"))
                done += 1
            except (ApiError, StoreError) as error:
                admin_page.message_user(request, f"{row}: {error}", messages.ERROR)
        if done:
            text = ngettext("Done for %(count)d object.", "Done for %(count)d objects.", done) % {"count": done}
            admin_page.message_user(request, text, messages.SUCCESS)

    act.__name__ = name
    return act


def _check(request: HttpRequest, asks: str, resource: str, row: Any) -> None:
    identity = authenticate_now(scope_of(request))
    allowed = identity is not None and authorize(identity, asks, resource, row.namespace, row.name).allowed
    if not allowed:
        raise Forbidden(_("you may not %(verb)s this object") % {"verb": asks})


def bytes_text(amount: int) -> str:
    """Write an amount of memory as people read it."""
    return f"{amount / 2**30:.1f} GiB" if amount >= 2**30 else f"{amount / 2**20:.0f} MiB"


def cpu_text(millis: int) -> str:
    """Write an amount of processor as people read it."""
    return _("%(count)s CPU") % {"count": f"{millis / 1000:g}"}


def _is_staff(request: HttpRequest) -> bool:
    return bool(request.user.is_active and request.user.is_staff)
