"""Fixtures of the tests in a real browser: a signed-in admin's page, a read-only visitor's page, a guest's."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, StorageState, expect

from tests.cluster_under_test import Cluster
from tests.e2e.browsing import (
    CHROMIUM,
    VISITOR,
    Watched,
    chromium,
    make_visitor,
    new_context,
    sign_in_by_link,
    sign_in_by_password,
)

expect.set_options(timeout=20_000)


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, closed after this package: its event loop must not stay for the tests of others."""
    if not CHROMIUM.exists():
        pytest.skip("needs Debian's chromium (/usr/bin/chromium)")
    with chromium() as running:
        yield running


@pytest.fixture(scope="package")
def admin_state(browser: Browser, images: Cluster) -> StorageState:
    """The admin's session: one-time link, its button, the password page."""
    context = new_context(browser, None)
    sign_in_by_link(context.new_page(), images)
    state = context.storage_state()
    context.close()
    return state


@pytest.fixture(scope="package")
def visitor_state(browser: Browser, images: Cluster) -> StorageState:
    """The session of somebody with the role view."""
    make_visitor(images)
    context = new_context(browser, None)
    sign_in_by_password(context.new_page(), images, VISITOR)
    state = context.storage_state()
    context.close()
    return state


@pytest.fixture
def watched() -> Watched:
    """What the pages of this test complained about; each page's fixture asserts at its end that it is nothing."""
    return Watched()


@pytest.fixture
def page(
    browser: Browser, admin_state: StorageState, watched: Watched, request: pytest.FixtureRequest
) -> Iterator[Page]:
    """A fresh page of the admin's."""
    yield from _page(browser, watched, request, admin_state)


@pytest.fixture
def visitor_page(
    browser: Browser, visitor_state: StorageState, watched: Watched, request: pytest.FixtureRequest
) -> Iterator[Page]:
    """A fresh page of somebody who may only look."""
    yield from _page(browser, watched, request, visitor_state)


@pytest.fixture
def guest_page(browser: Browser, watched: Watched, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A fresh page of somebody who is not signed in."""
    yield from _page(browser, watched, request, None)


def _page(
    browser: Browser, watched: Watched, request: pytest.FixtureRequest, state: StorageState | None
) -> Iterator[Page]:
    context = new_context(browser, watched, storage_state=state)
    page = context.new_page()
    yield page
    target = os.environ.get("GANTRY_TEST_LOGS")
    if target:
        page.screenshot(path=Path(target) / f"{request.node.name.replace('/', '_')}.png")
    context.close()
    watched.verify()
