"""Signing in and out, and the password. Plain forms without script; `base.html` is the console's."""

from typing import Any

from django import forms
from django.contrib.auth import login, update_session_auth_hash
from django.contrib.auth.decorators import login_required
from django.contrib.auth.forms import PasswordChangeForm, SetPasswordForm
from django.contrib.auth.views import LoginView, LogoutView
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.cache import never_cache

from apps.access import authorize, identity
from apps.access.models import User
from apps.access.tokens import consume_link, link_is_valid


@method_decorator(never_cache, "dispatch")
class SignInLinkView(View):
    """The one-time link. GET shows a button, so that a mail scanner or a preview does not use the link up."""

    def get(self, request: HttpRequest, secret: str) -> HttpResponse:
        if not link_is_valid(secret):
            return self._refused(request)
        return render(request, "access/signin_link.html")

    def post(self, request: HttpRequest, secret: str) -> HttpResponse:
        user = consume_link(secret)
        if user is None:
            return self._refused(request)
        login(request, user, backend="django.contrib.auth.backends.ModelBackend")
        identity.forget()
        return redirect("/" if user.has_usable_password() else reverse("access:password"))

    def _refused(self, request: HttpRequest) -> HttpResponse:
        return render(request, "access/signin_link.html", {"refused": True}, status=410)


class SignInView(LoginView):
    """Name and password; axes counts the failures."""

    template_name = "access/login.html"
    redirect_authenticated_user = True


class SignOutView(LogoutView):
    """POST ends the session, and with it everything that it had open."""

    next_page = "/accounts/login/"

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        answer = super().post(request, *args, **kwargs)
        identity.forget()
        authorize.forget()
        return answer


@never_cache
@login_required
def password(request: HttpRequest) -> HttpResponse:
    """Set the first password, or change it."""
    user = request.user
    if not isinstance(user, User):
        return redirect("access:login")
    first = not user.has_usable_password()
    form_class: type[forms.Form] = SetPasswordForm if first else PasswordChangeForm
    form: Any = form_class(user, request.POST or None)  # type: ignore[arg-type]
    if request.method == "POST" and form.is_valid():
        form.save()
        update_session_auth_hash(request, user)
        identity.forget()
        return redirect("/")
    return render(request, "access/password.html", {"form": form, "first": first})
