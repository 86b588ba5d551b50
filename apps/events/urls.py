"""Addresses of `apps.events` under /rest/v1/."""

from django.urls import path

from apps.events.rest import StepsView

urlpatterns = [path("steps", StepsView.as_view(), name="steps")]
