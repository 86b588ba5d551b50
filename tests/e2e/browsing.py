"""What every test of the console does: sign in, paste, press a button that asks first, look for what went wrong.

Used by tests/e2e and tests/bench/bench_console.py.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Locator, Page, WebError, sync_playwright

from tests.cluster_under_test import CHECKOUT, Cluster

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    " --disable-component-update --disable-sync"
)
PASSWORD = "correct horse battery staple"
VISITOR = "visitor"
_MAKE_VISITOR = """
from apps.access.models import RoleGrant, User
user, _made = User.objects.get_or_create(username={name!r})
user.set_password({password!r})
user.save()
RoleGrant.objects.get_or_create(user=user, role="view", namespace="")
"""
_TELL_REFUSALS = """
addEventListener("securitypolicyviolation", (event) =>
  console.error(`CSP: ${event.blockedURI} (${event.violatedDirective}), ${event.sourceFile}:${event.lineNumber}`));
"""
_REFUSED = "Failed to load resource: the server responded with a status of"


@contextmanager
def chromium() -> Iterator[Browser]:
    """Debian's Chromium. Playwright keeps an event loop in this thread until the end: other tests wait for that."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS.split())
        yield browser
        browser.close()


class Watched:
    """Collects what no page of ours may say: console errors, exceptions, refusals by the content security policy."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self._expected: list[re.Pattern[str]] = []

    def attach(self, context: BrowserContext) -> None:
        """Listen to every page of the context."""
        context.add_init_script(_TELL_REFUSALS)
        context.on("console", self._console)
        context.on("weberror", self._error)

    def expect(self, pattern: str) -> None:
        """A test that provokes an error names it."""
        self._expected.append(re.compile(pattern))

    def expect_status(self, *codes: int) -> None:
        """A test whose requests are refused names the status; Chromium writes one line for each."""
        self.expect(f"{re.escape(_REFUSED)} ({'|'.join(map(str, codes))})")

    def verify(self) -> None:
        """Nothing was said but what was expected."""
        left = [text for text in self.problems if not any(pattern.search(text) for pattern in self._expected)]
        assert not left, "the page complained:\n" + "\n".join(left)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.problems.append(f"{message.text} ({message.location.get('url', '')})")

    def _error(self, error: WebError) -> None:
        self.problems.append(f"uncaught: {error.error}")


def sign_in_by_link(page: Page, cluster: Cluster) -> None:
    """Use a one-time link as a person does; the first visit asks for a password."""
    page.goto(cluster.gantry("signin").strip())
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_load_state()
    if "/accounts/password" in page.url:
        for field in page.locator("input[type=password]").all():
            field.fill(PASSWORD)
        page.get_by_role("button", name="Save the password").click()
    page.get_by_role("heading", name="Overview").wait_for()


def make_visitor(cluster: Cluster) -> None:
    """A user with the role view everywhere."""
    code = _MAKE_VISITOR.format(name=VISITOR, password=PASSWORD)
    environment = {**cluster.environment, "GANTRY_HOME": str(cluster.home)}
    command = [sys.executable, "manage.py", "shell", "-v", "0", "-c", code]
    done = subprocess.run(command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def sign_in_by_password(page: Page, cluster: Cluster, name: str) -> None:
    """Name and password on the sign-in page."""
    page.goto(f"{cluster.console}/accounts/login/")
    page.get_by_label("Username").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("heading", name="Overview").wait_for()


def plant(page: Page) -> None:
    """Leave a mark that only a reload removes."""
    page.evaluate("window.neverReloaded = true")


def assert_never_reloaded(page: Page) -> None:
    """The mark is still there."""
    assert page.evaluate("window.neverReloaded === true"), "the page was loaded again"


def leave(page: Page) -> None:
    """Go away before what the page shows is deleted; it would rightly say that it is not found any more."""
    page.goto("about:blank")


def press(button: Locator) -> None:
    """Click, and say yes when the button asks first."""
    asks = button.get_attribute("data-confirm")
    button.click()
    if asks:
        button.page.locator("dialog[open] .dialog-foot button[value=yes]").click()


def paste(page: Page, text: str) -> None:
    """Paste into the YAML editor from the clipboard, replacing what is there."""
    page.wait_for_load_state("networkidle")
    page.evaluate("text => navigator.clipboard.writeText(text)", text)
    page.locator("gantry-editor").locator(".cm-content, textarea:visible").first.click()
    page.keyboard.press("Control+A")
    page.keyboard.press("Control+V")


def new_context(browser: Browser, watched: Watched | None, **options: Any) -> BrowserContext:
    """A context without animations, wide unless told otherwise, with a clipboard."""
    settings: dict[str, Any] = {"viewport": {"width": 1440, "height": 900}, "reduced_motion": "reduce", **options}
    context = browser.new_context(permissions=["clipboard-read", "clipboard-write"], **settings)
    if watched:
        watched.attach(context)
    return context
