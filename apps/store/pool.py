"""A small pool of read connections, and the threads in which asyncio handlers read.

`read` and `log` take connections here. They are Django's own, outside its per-thread registry: a thread that ends
leaves none behind, and nothing reads through the one thread of `sync_to_async`.
"""

import asyncio
import os
import queue
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, TypeVar

from django.db import DatabaseError, InterfaceError, connections
from django.db.backends.base.base import BaseDatabaseWrapper

T = TypeVar("T")
SIZE = 4


class Pool:
    """Connections that wait for their next reader; more than `SIZE` readers at once open spare ones."""

    def __init__(self) -> None:
        self._idle: queue.LifoQueue[BaseDatabaseWrapper] = queue.LifoQueue(SIZE)
        self.threads = ThreadPoolExecutor(SIZE, thread_name_prefix="store-read")

    @contextmanager
    def connection(self) -> Iterator[BaseDatabaseWrapper]:
        connection = self._take()
        try:
            yield connection
        except (DatabaseError, InterfaceError):
            connection.close()
            raise
        else:
            self._give_back(connection)

    def _take(self) -> BaseDatabaseWrapper:
        try:
            return self._idle.get_nowait()
        except queue.Empty:
            return open_connection()

    def _give_back(self, connection: BaseDatabaseWrapper) -> None:
        try:
            self._idle.put_nowait(connection)
        except queue.Full:
            connection.close()

    def close(self) -> None:
        self.threads.shutdown()
        with suppress(queue.Empty):
            while True:
                self._idle.get_nowait().close()


def open_connection() -> BaseDatabaseWrapper:
    """A connection of nobody's thread; whoever holds it uses it alone."""
    connection = connections.create_connection("default")
    connection.inc_thread_sharing()
    return connection


_pool: Pool | None = None


def pool() -> Pool:
    """The pool of this process."""
    global _pool
    if _pool is None:
        _pool = Pool()
    return _pool


def close() -> None:
    """Close all idle connections and threads; the next reader starts anew (tests, shutdown)."""
    global _pool
    if _pool is not None:
        _pool.close()
        _pool = None


def _forget() -> None:
    # A forked child must not use its parent's connections.
    global _pool
    _pool = None


os.register_at_fork(after_in_child=_forget)


@contextmanager
def snapshot() -> Iterator[Any]:
    """A cursor whose statements all see one state of the database."""
    with pool().connection() as connection, connection.cursor() as cursor:
        cursor.execute(_begin(connection))
        try:
            yield cursor
        finally:
            with suppress(DatabaseError, InterfaceError):
                cursor.execute("COMMIT")


def _begin(connection: BaseDatabaseWrapper) -> str:
    # Plain BEGIN is deferred on SQLite: it takes no write lock, unlike Django's atomic() with IMMEDIATE.
    return "BEGIN" if connection.vendor == "sqlite" else "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"


async def in_thread(function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    """Run a reading function in one of the pool's threads."""
    return await asyncio.get_running_loop().run_in_executor(pool().threads, partial(function, *args, **kwargs))
