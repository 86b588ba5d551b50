"""Settings of steps that need no instance: collecting static files, writing the OpenAPI document."""

from dashboard.settings.base import *  # noqa: F403

SECRET_KEY = "no session is ever signed with this"
