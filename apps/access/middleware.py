"""Keeps Django's pages to the console: a foreign host name is refused, and the API's listener serves no pages.

First in MIDDLEWARE. The lean application and the WebSockets ask `origins` themselves.
"""

from collections.abc import Callable
from inspect import iscoroutinefunction
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest, HttpResponseNotFound
from django.utils.decorators import sync_and_async_middleware

from apps.access.origins import host_is_ours
from apps.access.scopes import scope_of

_API_PREFIXES = ("/rest/", "/v2/")


@sync_and_async_middleware
def listener_middleware(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Refuse what the listener does not serve."""
    if iscoroutinefunction(get_response):

        async def answer_async(request: HttpRequest) -> Any:
            return _refusal(request) or await get_response(request)

        return answer_async

    def answer(request: HttpRequest) -> Any:
        return _refusal(request) or get_response(request)

    return answer


def _refusal(request: HttpRequest) -> HttpResponse | None:
    scope = scope_of(request)
    if scope.get("gantry.listener") == "api":
        if not request.path.startswith(_API_PREFIXES):
            return HttpResponseNotFound("This address serves the API; the console is on another port.\n")
    elif not host_is_ours(scope):
        return HttpResponseBadRequest("This host name is not one of this console; see GANTRY_PUBLIC_URL.\n")
    return None
