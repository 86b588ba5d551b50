"""Settings of a running instance: its own key, its allowed hosts."""

from dashboard.settings.base import *  # noqa: F403
from dashboard.settings.base import GANTRY_HOME, GANTRY_PUBLIC_URL

DEBUG = False
SECRET_KEY = (GANTRY_HOME / "secrets" / "django.key").read_text().strip()

# Which Host headers count is decided by apps.access.middleware (addresses, localhost, the instance's own names, the
# public URL): a name that an attacker's page resolves to this machine (DNS rebinding) is refused before all else.
ALLOWED_HOSTS = ["*"]
if GANTRY_PUBLIC_URL:
    CSRF_TRUSTED_ORIGINS = [GANTRY_PUBLIC_URL.rstrip("/")]
