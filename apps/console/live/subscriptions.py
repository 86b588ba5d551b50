"""The kinds of subscription a tab may open: a list's window, a page, a container's log. Authorized here."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from django.utils.translation import gettext as _

from apps.console.lists.query import FilterError, parse_filter, query_from
from apps.console.lists.registry import LISTS
from apps.console.live.hub import hub, source
from apps.console.live.logs import LogSubscription
from apps.console.live.page import PageFeed
from apps.console.live.refused import Refused
from apps.console.live.table import TableWindow
from apps.console.pages.registry import PAGES
from apps.console.viewer import Viewer

Send = Callable[[dict[str, Any]], Awaitable[None]]
__all__ = ["Refused", "Subscription", "open_subscription"]


class Subscription(Protocol):
    """One live view of one tab."""

    async def run(self, send: Send) -> None: ...

    def move(self, start: int, count: int) -> None: ...

    def allowed(self) -> bool: ...


def open_subscription(viewer: Viewer, view: str, params: Mapping[str, Any], from_revision: int) -> Subscription:
    """The subscription a browser asks for; Refused when there is none of that name or it may not be seen."""
    subscription: Subscription
    if view in LISTS:
        subscription = ListSubscription(viewer, view, params)
    elif view.startswith("page:") and view[5:] in PAGES:
        subscription = PageSubscription(viewer, view[5:], {k: str(v) for k, v in params.items()}, from_revision)
    elif view == "logs":
        subscription = LogSubscription(viewer, params)
    else:
        raise Refused(_("There is no view of that name."))
    if not subscription.allowed():
        raise Refused(_("Not found."))
    return subscription


class ListSubscription:
    """A window of a list."""

    def __init__(self, viewer: Viewer, view: str, params: Mapping[str, Any]) -> None:
        self._viewer = viewer
        self._view = LISTS[view]
        self._params = params
        self._moved = asyncio.Event()
        try:
            parse_filter(str(params.get("filter") or ""))
            self._start, self._count = int(params.get("start") or 0), int(params.get("count") or 100)
        except FilterError as error:
            raise Refused(_("The filter cannot be read: %s") % error) from error
        except (TypeError, ValueError) as error:
            raise Refused(_("start and count must be numbers.")) from error

    def allowed(self) -> bool:
        """Listing in the namespace; without one, listing somewhere is enough and the rows are chosen."""
        namespace = str(self._params.get("namespace") or "")
        if not self._view.namespaced or namespace:
            return self._viewer.may("list", self._view.resource, namespace)
        return True

    def move(self, start: int, count: int) -> None:
        """Show other rows."""
        self._start, self._count = start, count
        self._moved.set()

    async def run(self, send: Send) -> None:
        """Send the window, and again what differs after each change."""
        async with source(self._view.name) as rows, source("namespaces") as namespaces:
            with rows.watched() as changed:
                window: TableWindow | None = None
                while True:
                    changed.clear()
                    names = (row.name for row in namespaces.rows.values())
                    visible = (
                        self._viewer.visible_namespaces(self._view.resource, names) if self._view.namespaced else None
                    )
                    query = query_from(self._view, self._params, visible)
                    if window is None or window.query.namespaces != visible:
                        window = TableWindow(query, self._start, self._count)
                    window.move(self._start, self._count)
                    message = window.difference(rows)
                    if message:
                        await send(message)
                    await _first(changed, self._moved)
                    self._moved.clear()


class PageSubscription:
    """A live page."""

    def __init__(self, viewer: Viewer, page: str, params: Mapping[str, str], from_revision: int) -> None:
        self._viewer = viewer
        self._page = PAGES[page]
        self._params = dict(params)
        self._from_revision = from_revision

    def allowed(self) -> bool:
        """The page itself looks at every object it shows; gone and denied are the same there."""
        return True

    def move(self, start: int, count: int) -> None:
        """Pages have no window."""

    async def run(self, send: Send) -> None:
        """Send the page's content whenever it looks different from what the tab has."""
        key = ("page", self._page.name, self._viewer.identity, tuple(sorted(self._params.items())))
        async with hub().use(key, lambda: PageFeed(self._page, self._viewer, self._params)) as feed:
            with feed.watched() as changed:
                seen = feed.version if feed.revision == self._from_revision else 0
                while True:
                    changed.clear()
                    if feed.html is None:
                        raise Refused(_("Not found."))
                    if feed.version != seen:
                        seen = feed.version
                        await send({"type": "html", "revision": feed.revision, "html": feed.html})
                    await changed.wait()


async def _first(*events: asyncio.Event) -> None:
    """Wait until one of the events is set."""
    if any(event.is_set() for event in events):
        return
    tasks = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
