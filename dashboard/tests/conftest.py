"""The real server, for the tests of how it listens and ends."""

from tests.servers import api_server

__all__ = ["api_server"]
