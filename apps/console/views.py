"""The console's pages. Each view checks who asks, reads, and renders; what is denied is not found."""

import csv
import io
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any
from urllib.parse import quote

from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, JsonResponse
from django.middleware.csrf import get_token
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.utils.safestring import mark_safe
from django.utils.translation import gettext as _

from apps.access.identity import authenticate
from apps.access.scopes import scope_of
from apps.console import guide, samples, search
from apps.console.frame import NAMESPACE_COOKIE, frame
from apps.console.lists.base import cell_text
from apps.console.lists.registry import LISTS
from apps.console.live.hub import source
from apps.console.pages.base import render_page
from apps.console.pages.common import read_models
from apps.console.pages.registry import PAGES
from apps.console.tables import load_table
from apps.console.viewer import Viewer

PageView = Callable[..., Awaitable[HttpResponse]]
MOST_CSV_ROWS = 100_000
OBJECT_PAGES = {
    "deployments": "deployment",
    "pods": "pod",
    "replicasets": "replicaset",
    "services": "service",
    "configmaps": "configmap",
    "secrets": "secret",
}
CLUSTER_PAGES = {"nodes": "node", "namespaces": "namespace"}
TABS = {"deployment": ("yaml",), "pod": ("logs", "shell", "yaml")}


def page_view(view: PageView) -> Any:
    """Only for who is signed in; everybody else is sent to sign in and comes back."""

    @wraps(view)
    async def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        identity = await authenticate(scope_of(request))
        if identity is None:
            return redirect(f"/accounts/login/?next={quote(request.get_full_path())}")
        viewer = Viewer(identity)
        await viewer.refresh()
        get_token(request)  # sets the cookie that core/api.ts sends back
        response = await view(request, viewer, *args, **kwargs)
        response.headers.setdefault("Cache-Control", "no-store")
        return response

    return guarded


@page_view
async def overview(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """The first page."""
    return await _live(request, viewer, "overview", {}, page="overview", title=_("Overview"), sample=samples.SAMPLE)


@page_view
async def object_list(request: HttpRequest, viewer: Viewer, plural: str, namespace: str = "") -> HttpResponse:
    """A list, of one namespace or of all."""
    view = LISTS.get(plural)
    if (
        view is None
        or bool(namespace) > view.namespaced
        or not await _may_list(viewer, view.resource, namespace, view.namespaced)
    ):
        return await not_found(request, viewer)
    params = {**request.GET.dict(), "namespace": namespace}
    table = await load_table(
        viewer, plural, _texts(params), main=True, csv=f"{request.path}.csv?{request.GET.urlencode()}"
    )
    context = {
        **await frame(request, viewer, page=plural, namespace=namespace if view.namespaced else None),
        "table": table,
        "title": view.title,
        "may_create": viewer.may("create", "deployments.apps", namespace or "default"),
    }
    response = render(request, "console/list.html", context)
    if view.namespaced:
        response.set_cookie(NAMESPACE_COOKIE, namespace, max_age=31_536_000, samesite="Lax")
    return response


@page_view
async def object_csv(request: HttpRequest, viewer: Viewer, plural: str, namespace: str = "") -> HttpResponse:
    """A list as CSV, with its filter and order."""
    view = LISTS.get(plural)
    if view is None or not await _may_list(viewer, view.resource, namespace, view.namespaced):
        return await not_found(request, viewer)
    table = await load_table(
        viewer, plural, _texts({**request.GET.dict(), "namespace": namespace}), limit=MOST_CSV_ROWS
    )
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow([column.name for column in view.columns])
    for row in table.rows:
        cells = zip(view.columns, row.cells, strict=True)
        writer.writerow([_harmless(cell_text(column, cell)) for column, cell in cells])
    response = HttpResponse(out.getvalue(), content_type="text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = f'attachment; filename="{namespace or "all"}-{plural}.csv"'
    return response


def _harmless(text: str) -> str:
    """A spreadsheet must not read a name or a message as a formula."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


@page_view
async def object_page(
    request: HttpRequest, viewer: Viewer, namespace: str, plural: str, name: str, tab: str = ""
) -> HttpResponse:
    """The page of an object in a namespace."""
    page = OBJECT_PAGES.get(plural)
    if page is None:
        return await not_found(request, viewer)
    return await _object(request, viewer, page, plural, name, tab, namespace)


@page_view
async def cluster_page(request: HttpRequest, viewer: Viewer, plural: str, name: str, tab: str = "") -> HttpResponse:
    """The page of a node or a namespace."""
    return await _object(request, viewer, CLUSTER_PAGES[plural], plural, name, tab, None)


async def _object(
    request: HttpRequest, viewer: Viewer, page: str, plural: str, name: str, tab: str, namespace: str | None
) -> HttpResponse:
    if tab and tab not in TABS.get(page, ("yaml",)):
        return await not_found(request, viewer)
    params = {"name": name, "tab": tab}
    if namespace is not None:
        params["namespace"] = namespace
    if container := request.GET.get("container"):
        params["container"] = container
    crumbs = [(LISTS[plural].title, f"/n/{namespace}/{plural}" if namespace else f"/{plural}")]
    return await _live(request, viewer, page, params, page=plural, title=name, crumbs=crumbs, namespace=namespace)


async def _live(
    request: HttpRequest,
    viewer: Viewer,
    live: str,
    params: dict[str, str],
    *,
    page: str,
    title: Any,
    namespace: str | None = None,
    **more: Any,
) -> HttpResponse:
    rendered = await render_page(PAGES[live], viewer, params, first=True)
    if rendered is None:
        return await not_found(request, viewer)
    context = {
        **await frame(request, viewer, page=page, namespace=namespace),
        "title": title,
        "live": live,
        "live_params": params,
        "live_html": mark_safe(rendered.html),
        "revision": rendered.revision,
        **more,
    }
    return render(request, "console/page.html", context)


@page_view
async def images(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """The images, with import and removal."""
    return await _live(request, viewer, "images", {}, page="images", title=_("Images"))


@page_view
async def deploy(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """The form and the YAML by which things are deployed."""
    context = await frame(request, viewer, page="deploy")
    namespaces = [name for name in context["namespaces"] if viewer.may("create", "deployments.apps", name)]
    wanted = request.GET.get("namespace") or context["namespace"] or "default"
    form = {
        "namespaces": namespaces,
        "namespace": wanted if wanted in namespaces else next(iter(namespaces), ""),
        "images": await read_models(samples.known_images) if viewer.may("list", "images") else [],
        "kinds": samples.kinds(),
        "tab": request.GET.get("tab", "form"),
        "image": request.GET.get("image", ""),
    }
    return render(
        request, "console/deploy.html", {**context, "title": _("Deploy"), "form": form, "allowed": bool(namespaces)}
    )


@page_view
async def account(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """Who you are, your API tokens, your password."""
    tokens = await read_models(lambda: samples.tokens_of(viewer))
    context = {**await frame(request, viewer, page="account"), "title": _("Account"), "tokens": tokens}
    return render(request, "console/account.html", context)


@page_view
async def find(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """What the palette asks: objects whose name contains the words."""
    return JsonResponse({"hits": await search.find(viewer, request.GET.get("q", ""))})


@page_view
async def styleguide(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """Every component, in both themes."""
    context = {**await frame(request, viewer, page="styleguide"), "title": _("Style guide"), **guide.context()}
    return render(request, "console/styleguide.html", context)


async def not_found(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """What is not there and what may not be seen look the same."""
    context = {**await frame(request, viewer, page=""), "title": _("Not found")}
    return render(request, "console/not_found.html", context, status=404)


async def _may_list(viewer: Viewer, resource: str, namespace: str, namespaced: bool) -> bool:
    if viewer.may("list", resource, namespace):
        return True
    if namespace or not namespaced:
        return False
    async with source("namespaces") as found:
        return bool(viewer.visible_namespaces(resource, [row.name for row in found.rows.values()]))


def _texts(params: dict[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in params.items()}


def error_404(request: HttpRequest, exception: Exception) -> HttpResponse:
    """An address that no page has."""
    return HttpResponse(render_to_string("404.html", {"title": _("Not found")}, request), status=404)


def error_403(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Refused."""
    return HttpResponse(render_to_string("403.html", {"title": _("Not allowed")}, request), status=403)


def error_500(request: HttpRequest) -> HttpResponse:
    """Something failed on the server; its log says what."""
    return HttpResponse(render_to_string("500.html", {"title": _("Server error")}), status=500)
