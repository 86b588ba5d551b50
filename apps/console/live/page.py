"""A live page that several tabs may look at: rendered again when a change concerns it."""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager

from apps.console.pages.base import Page, Params, render_page
from apps.console.viewer import Viewer
from apps.store.errors import StoreError
from apps.store.log import log_reader

logger = logging.getLogger(__name__)
PAUSE = 0.08


class PageFeed:
    """One page with its parameters for one viewer; `html` is None once the object is gone."""

    def __init__(self, page: Page, viewer: Viewer, params: Params) -> None:
        self._page = page
        self._viewer = viewer
        self._params = params
        self.html: str | None = None
        self.revision = 0
        self.version = 0
        self._watchers: set[asyncio.Event] = set()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Render once, then follow the log."""
        await self._render()
        self._task = asyncio.create_task(self._follow(), name=f"console-page-{self._page.name}")

    def stop(self) -> None:
        """Stop following."""
        if self._task:
            self._task.cancel()

    @contextmanager
    def watched(self) -> Iterator[asyncio.Event]:
        """An event that is set when the page looks different, while the context lasts."""
        event = asyncio.Event()
        self._watchers.add(event)
        try:
            yield event
        finally:
            self._watchers.discard(event)

    async def _follow(self) -> None:
        while True:
            subscription = log_reader().subscribe(self.revision, self._page.kinds)
            try:
                while True:
                    changes = await subscription.next_batch()
                    if any(self._page.concerns(change, self._params) for change in changes):
                        await self._render()
                        # What changes many times in a moment is rendered a few times, the last state always.
                        await asyncio.sleep(PAUSE)
            except StoreError as error:
                logger.info("page %s is read anew: %s", self._page.name, error)
                await asyncio.sleep(0.5)
                await self._render()
            finally:
                subscription.close()

    async def _render(self) -> None:
        rendered = await render_page(self._page, self._viewer, self._params)
        html = rendered.html if rendered else None
        if rendered:
            self.revision = rendered.revision
        if html == self.html and self.version:
            return
        self.html = html
        self.version += 1
        for event in self._watchers:
            event.set()
