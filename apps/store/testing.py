"""The fixture `store` for tests of any package: an empty store with the namespaces of a new cluster.

    pytest_plugins = ["apps.store.testing"]      # in a conftest, or import `store` from here

Works commit in a thread of their own, so the test's database is flushed instead of rolled back (`transactional_db`).
"""

from collections.abc import Iterator

import pytest

from apps.store import log, pool, writer
from apps.store.bootstrap import bootstrap


@pytest.fixture
def store(transactional_db: None) -> Iterator[None]:
    """An empty store; afterwards its threads and connections are gone."""
    close()
    bootstrap()
    yield
    close()


def close() -> None:
    """End the writer, the log reader and the read pool of this process."""
    log.close()
    writer.close()
    pool.close()
