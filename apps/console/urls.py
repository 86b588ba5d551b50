"""The console's addresses; included at the root by dashboard.urls."""

from django.urls import URLPattern, path, re_path
from django.views.i18n import JSONCatalog

from apps.console import views
from apps.console.lists.registry import LISTS

_all = "|".join(LISTS)
_name = r"(?P<name>[a-z0-9]([-a-z0-9.]*[a-z0-9])?)"
_namespace = r"(?P<namespace>[a-z0-9]([-a-z0-9]*[a-z0-9])?)"

urlpatterns: list[URLPattern] = [
    path("", views.overview),
    path("deploy", views.deploy),
    path("images", views.images),
    path("account", views.account),
    path("search", views.find),
    path("styleguide", views.styleguide),
    path("i18n.json", JSONCatalog.as_view(packages=["apps.console"])),
    re_path(rf"^(?P<plural>{_all})$", views.object_list),
    re_path(rf"^(?P<plural>{_all})\.csv$", views.object_csv),
    re_path(rf"^(?P<plural>nodes|namespaces)/{_name}(?:/(?P<tab>[a-z]+))?$", views.cluster_page),
    re_path(rf"^n/{_namespace}/(?P<plural>[a-z]+)$", views.object_list),
    re_path(rf"^n/{_namespace}/(?P<plural>[a-z]+)\.csv$", views.object_csv),
    re_path(rf"^n/{_namespace}/(?P<plural>[a-z]+)/{_name}(?:/(?P<tab>[a-z]+))?$", views.object_page),
]
