"""Fixtures that the tests of every package may use; see `apps.store.testing`."""

pytest_plugins = ["apps.store.testing"]
