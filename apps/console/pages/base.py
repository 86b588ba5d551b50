"""What a live page is: a context read from the store, a template, and which changes concern it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.template.loader import render_to_string

from apps.console.viewer import Viewer
from apps.store.read import current_revision_async
from apps.store.rows import Change

Params = Mapping[str, str]
Context = dict[str, Any]


@dataclass(frozen=True)
class Page:
    """One kind of page. `context` answers None when the object is gone or may not be seen."""

    name: str
    template: str
    kinds: frozenset[str]
    context: Callable[[Viewer, Params], Awaitable[Context | None]]

    def concerns(self, change: Change, params: Params) -> bool:
        """Whether a change can alter the page: same namespace, or an object without one."""
        namespace = params.get("namespace", "")
        return not namespace or not change.namespace or change.namespace == namespace


@dataclass(frozen=True)
class Rendered:
    """A page's live part at a revision."""

    html: str
    revision: int
    context: Context


async def render_page(page: Page, viewer: Viewer, params: Params, *, first: bool = False) -> Rendered | None:
    """Read and render; the revision is taken first, so that nothing read later can be missed by who goes on from it.

    Only the first rendering carries what keeps itself up to date: the rows of tables, the text of an editor.
    """
    revision = await current_revision_async()
    context = await page.context(viewer, params)
    if context is None:
        return None
    context = {"viewer": viewer, "now": datetime.now(UTC), "params": params, "first": first, **context}
    # A plain string: the socket's encoder takes no subclass of it, which a rendered template is.
    html = "".join([render_to_string(page.template, context)])
    return Rendered(html, revision, context)
