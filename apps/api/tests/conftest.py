"""The real server that the tests of this package share."""

from collections.abc import Iterator

import pytest

from tests.fake_node import FakeNode, running_node
from tests.servers import ApiServer, api_server

__all__ = ["api_server"]


@pytest.fixture(scope="session")
def node(api_server: ApiServer) -> Iterator[FakeNode]:
    """The node n1, whose endpoint answers logs and exec."""
    with running_node(api_server) as running:
        yield running


@pytest.fixture
def namespace(api_server: ApiServer) -> str:
    """A namespace of the test's own."""
    return api_server.namespace()
