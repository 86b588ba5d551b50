"""A live page that several tabs may look at: rendered again when a change concerns it."""

import asyncio
from collections.abc import Sequence

from apps.console.live.feed import Feed
from apps.console.pages.base import Page, Params, render_page
from apps.console.viewer import Viewer
from apps.store.rows import Change

PAUSE = 0.08


class PageFeed(Feed):
    """One page with its parameters for one viewer; `html` is None once the object is gone."""

    def __init__(self, page: Page, viewer: Viewer, params: Params) -> None:
        super().__init__(f"page-{page.name}", page.kinds)
        self._page = page
        self._viewer = viewer
        self._params = params
        self.html: str | None = None
        self.version = 0

    async def _take(self, changes: Sequence[Change], revision: int) -> None:
        if any(self._page.concerns(change, self._params) for change in changes):
            await self._read()
            # What changes many times in a moment is rendered a few times, the last state always.
            await asyncio.sleep(PAUSE)

    async def _read(self) -> None:
        rendered = await render_page(self._page, self._viewer, self._params)
        html = rendered.html if rendered else None
        if rendered:
            self.revision = rendered.revision
        if html == self.html and self.version:
            return
        self.html = html
        self.version += 1
        self._wake()
