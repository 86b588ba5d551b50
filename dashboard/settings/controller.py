"""Settings of the controller process: the store and the controllers, without pages, admin and REST.

What is not imported costs no memory: these applications would be two thirds of the process.
"""

from dashboard.settings.production import *  # noqa: F403
from dashboard.settings.production import INSTALLED_APPS as EVERYTHING

_PAGES = {
    "unfold",
    "django.contrib.admin",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_vite",
    "channels",
    "axes",
    "apps.console",
}
INSTALLED_APPS = [name for name in EVERYTHING if name not in _PAGES]
