"""Keeps Django's pages to the console: a foreign host name is refused, and the API's listener serves no pages.

First in MIDDLEWARE. The lean application and the WebSockets ask `origins` themselves.
"""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest, HttpResponseNotFound

from apps.access.origins import host_is_ours
from apps.access.scopes import scope_of

_API_PREFIXES = ("/rest/", "/v2/")


class ListenerMiddleware:
    """Refuse what the listener does not serve."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        scope = scope_of(request)
        if scope.get("gantry.listener") == "api":
            if not request.path.startswith(_API_PREFIXES):
                return HttpResponseNotFound("This address serves the API; the console is on another port.\n")
        elif not host_is_ours(scope):
            return HttpResponseBadRequest("This host name is not one of this console; see GANTRY_PUBLIC_URL.\n")
        return self._get_response(request)
