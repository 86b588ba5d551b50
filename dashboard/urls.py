"""Addresses of Django's side; the Kubernetes protocol is mounted beside it in `dashboard.asgi`."""

from django.contrib import admin
from django.urls import URLPattern, URLResolver, path

urlpatterns: list[URLPattern | URLResolver] = [
    path("admin/", admin.site.urls),
]
