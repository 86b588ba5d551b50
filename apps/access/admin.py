"""Users, tokens (never their secrets) and grants in the admin; for staff only."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.http import HttpRequest
from unfold.admin import ModelAdmin
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from apps.access import authorize, identity
from apps.access.models import RoleGrant, Token, User


class _Forgetting(ModelAdmin):  # type: ignore[misc]
    """What changes here counts at once in this process, and within seconds in the others."""

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        identity.forget()
        authorize.forget()

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        super().delete_model(request, obj)
        identity.forget()
        authorize.forget()


@admin.register(User)
class UserAdmin(DjangoUserAdmin, _Forgetting):  # type: ignore[type-arg]
    """People and machine accounts."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = ["username", "email", "is_active", "is_superuser", "last_login"]


@admin.register(Token)
class TokenAdmin(_Forgetting):
    """API tokens can be seen and removed; they are made where their secret can be shown."""

    list_display = ["name", "prefix", "user", "created", "expires"]
    list_filter = ["user"]
    readonly_fields = ["name", "prefix", "user", "created"]
    fields = ["name", "prefix", "user", "created", "expires"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False


@admin.register(RoleGrant)
class RoleGrantAdmin(_Forgetting):
    """Who has which role where."""

    list_display = ["__str__", "user", "group", "role", "namespace"]
    list_filter = ["role", "namespace"]
    autocomplete_fields = ["user"]
