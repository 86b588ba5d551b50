"""Addresses of Django's side; the Kubernetes protocol is mounted beside it in `dashboard.asgi`."""

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework.permissions import IsAuthenticated

from apps.api import rest_schema  # noqa: F401 - registers itself

# The split view keeps its script in an address of its own: the console's policy allows none inside a page.
_rest: list[URLPattern | URLResolver] = [
    path("schema", SpectacularAPIView.as_view(permission_classes=[IsAuthenticated]), name="rest-schema"),
    path(
        "docs",
        SpectacularSwaggerSplitView.as_view(url_name="rest-schema", permission_classes=[IsAuthenticated]),
        name="rest-docs",
    ),
    path("", include("apps.events.urls")),
    path("", include("apps.images.urls")),
    path("", include("apps.workloads.rest_urls")),
]

urlpatterns: list[URLPattern | URLResolver] = [
    path("admin/", admin.site.urls),
    path("rest/v1/", include(_rest)),
    path("", include("apps.access.urls")),
    path("", include("apps.console.urls")),
]
