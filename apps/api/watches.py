"""watch: a list and everything after it, as lines. Called by `apps.api.application` for `?watch=true`.

The stream is: the present state (when no revision was given, or initial events were asked for), a bookmark that ends it
(when asked for), then every change from that revision on. Bytes are those of the store in an envelope. A consumer that
does not read is cut off: the log's queue for it is bounded, and so is the time that one write may take; it comes back
with the last revision it saw and misses nothing.
"""

import asyncio
import random
from collections.abc import Iterable

from apps.api.asgi import Send
from apps.api.errors import expired, too_large_revision
from apps.api.guard import still_allowed
from apps.api.lifetime import first_of, long_lived
from apps.api.negotiation import Wanted, negotiate
from apps.api.options import ListOptions
from apps.api.reads import snapshot
from apps.api.request import Request
from apps.api.responses import encode, end_stream, send_piece, start_stream
from apps.api.routing import Route
from apps.api.shapes import EventShaper, event
from apps.store import read
from apps.store.errors import Behind, Compacted
from apps.store.log import log_reader, watch_verb
from apps.store.rows import Change

BOOKMARK_SECONDS = 60.0
WRITE_SECONDS = 30.0
PIECE_BYTES = 256 * 1024
# A watch that is this many changes behind lists anew sooner than it reads them all.
LONGEST_LAG = 20_000


async def watch(request: Request, send: Send, route: Route, options: ListOptions) -> None:
    """Stream changes until the client goes, the time is up, or what allowed the watch has ended."""
    wanted = negotiate(request.header(b"accept"))
    if options.revision:
        current = await read.current_revision_async()
        if options.revision > current:
            raise too_large_revision(options.revision, current)
    async with long_lived(still_allowed(request.identity, "watch", route)) as ended:
        await start_stream(request, send, b"application/json")
        pump = asyncio.create_task(_pump(request, send, route, options, wanted))
        timeout = options.timeout if options.timeout else random.randint(1800, 3600)
        await first_of(pump, ended, request.receive, timeout)
    if not pump.cancelled():
        # A consumer that does not read, or a broken store: only breaking off tells the client that this was no end.
        pump.result()
    await end_stream(send)


async def _pump(request: Request, send: Send, route: Route, options: ListOptions, wanted: Wanted) -> None:
    shaper = EventShaper(route.kind, wanted, request.query.text("includeObject"))
    revision = options.revision or 0
    if options.initial_events or (not options.revision and options.initial_events is None):
        listing = await snapshot(route, options)
        revision = listing.revision
        frames = (shaper.frame("ADDED", stored.body, lambda item=stored: item.object) for stored in listing.items)
        for piece in _pieces(frames):
            await _write(send, piece)
        if options.initial_events and options.bookmarks:
            await _write(send, shaper.bookmark(revision, initial_events_end=True))
    elif not options.revision:
        revision = await read.current_revision_async()
    try:
        await _follow(send, route, options, shaper, revision)
    except Compacted:
        gone = expired(f"too old resource version: {revision} ({await read.current_revision_async()})")
        await _write(send, event("ERROR", encode(gone.status)))
    except Behind:
        return


async def _follow(send: Send, route: Route, options: ListOptions, shaper: EventShaper, revision: int) -> None:
    """Send every change after `revision`, and a bookmark when nothing happened for a while."""
    reader = log_reader()
    subscription = reader.subscribe(revision, frozenset({route.kind.kind}), longest_lag=LONGEST_LAG)
    try:
        while True:
            changes = await subscription.next_batch(BOOKMARK_SECONDS if options.bookmarks else None)
            frames = [frame for change in changes if (frame := _frame(change, route, options, shaper))]
            if frames:
                await _write(send, b"".join(frames))
            elif not changes:
                await _write(send, shaper.bookmark(subscription.progress()))
    finally:
        reader.unsubscribe(subscription)


def _frame(change: Change, route: Route, options: ListOptions, shaper: EventShaper) -> bytes:
    """Return the line that tells `change` to this watch, empty when it does not concern it."""
    if route.namespace and change.namespace != route.namespace:
        return b""
    verb = watch_verb(change, options.labels, options.fields)
    return shaper.frame(verb, change.body, lambda: change.object) if verb else b""


async def _write(send: Send, piece: bytes) -> None:
    async with asyncio.timeout(WRITE_SECONDS):
        await send_piece(send, piece)


def _pieces(frames: Iterable[bytes]) -> Iterable[bytes]:
    """Join small frames, so that a list of thousands is a few writes."""
    waiting: list[bytes] = []
    size = 0
    for frame in frames:
        waiting.append(frame)
        size += len(frame)
        if size >= PIECE_BYTES:
            yield b"".join(waiting)
            waiting, size = [], 0
    if waiting:
        yield b"".join(waiting)
