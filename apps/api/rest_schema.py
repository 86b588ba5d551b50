"""How the schema of /rest/v1/ describes signing in. Imported by `dashboard.urls`, which registers it."""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension


class IdentityScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """A token in the Authorization header, or the console's session."""

    target_class = "apps.access.rest.IdentityAuthentication"
    name = ["token", "session"]

    def get_security_definition(self, auto_schema: Any) -> list[dict[str, str]]:
        return [
            {"type": "http", "scheme": "bearer"},
            {"type": "apiKey", "in": "cookie", "name": "sessionid"},
        ]
