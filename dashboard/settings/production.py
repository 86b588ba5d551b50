"""Settings of a running instance: its own key, its allowed hosts."""

from urllib.parse import urlsplit

from dashboard.settings.base import *  # noqa: F403
from dashboard.settings.base import GANTRY_HOME, GANTRY_PUBLIC_URL

DEBUG = False
SECRET_KEY = (GANTRY_HOME / "secrets" / "django.key").read_text().strip()

# Which Host headers count is decided by apps.access (loopback, the instance's own addresses, the public URL); a name
# that an attacker's page resolves to this machine (DNS rebinding) must not.
ALLOWED_HOSTS = ["localhost", "127.0.0.1", "[::1]"]
if GANTRY_PUBLIC_URL:
    ALLOWED_HOSTS.append(urlsplit(GANTRY_PUBLIC_URL).hostname or "")
    CSRF_TRUSTED_ORIGINS = [GANTRY_PUBLIC_URL.rstrip("/")]
