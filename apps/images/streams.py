"""Answers that go on for a while: lines of progress, the bytes of a blob, an upload as a file.

Called by rest.py and upload.py. Work runs in a thread; the event loop only carries lines and pieces.
"""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any, BinaryIO

import msgspec
from django.db import connections

from apps.images.errors import ImageError
from apps.images.progress import Progress, Report

logger = logging.getLogger(__name__)
Work = Callable[[Report], dict[str, Any]]
NDJSON = "application/x-ndjson"
_PIECE = 1 << 20
_SILENCE = 10.0  # seconds after which a line says that the work goes on, so that no proxy gives up


class Lines:
    """Work in a thread and the lines it says: progress, then one of {"done": ...} or {"error": ..., "reason": ...}."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._loop = asyncio.get_running_loop()
        self._queue: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self.error: ImageError | None = None
        self.finished = asyncio.Event()
        threading.Thread(target=self._run, name="images", daemon=True).start()

    def _run(self) -> None:
        try:
            last: dict[str, Any] = {"done": self._work(self._report)}
        except ImageError as error:
            self.error = error
            last = {"error": error.message, "reason": error.reason}
        except Exception:
            logger.exception("work on an image failed")
            self.error = ImageError("the work on the image failed: see the log of the web process", "InternalError")
            self.error.status = 500
            last = {"error": self.error.message, "reason": self.error.reason}
        finally:
            connections.close_all()
        self._loop.call_soon_threadsafe(self._say, last)
        self._loop.call_soon_threadsafe(self._say, None)

    def _report(self, progress: Progress) -> None:
        line = {
            "status": progress.status,
            "layer": progress.layer,
            "current": progress.current,
            "total": progress.total,
        }
        self._loop.call_soon_threadsafe(self._say, line)

    def _say(self, line: dict[str, Any] | None) -> None:
        # Who listens slowly, or not yet, gets the newest: progress is worth nothing once it is old.
        if line is not None and "status" in line and self._queue.qsize() > 200:
            return
        self._queue.put_nowait(line)
        if line is None:
            self.finished.set()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            try:
                line = await asyncio.wait_for(self._queue.get(), _SILENCE)
            except TimeoutError:
                line = {"status": "Working"}
            if line is None:
                return
            yield msgspec.json.encode(line) + b"\n"


async def lines(work: Work) -> AsyncIterator[bytes]:
    """Start the work when the first line is asked for, and yield its lines."""
    async for line in Lines(work):
        yield line


async def pieces(file: BinaryIO, start: int, end: int) -> AsyncIterator[bytes]:
    """Yield the bytes from `start` up to `end`, and close the file."""
    try:
        file.seek(start)
        while start < end:
            piece = await asyncio.to_thread(file.read, min(_PIECE, end - start))
            if not piece:
                return
            start += len(piece)
            yield piece
    finally:
        file.close()
