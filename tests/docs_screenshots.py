"""Makes the README's screenshots: `python -m tests.docs_screenshots [--home DIR]`, as root; writes docs/images/*.png.

A real instance, a real browser: the sample is deployed by its button, three more workloads by REST, and each page is
photographed when its own content says that it is there. Without --home an instance is started and purged afterwards.
"""

import argparse
import json
import ssl
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, ViewportSize, sync_playwright

from tests.cluster_under_test import Cluster, eventually, is_ready
from tests.conftest import CHROMIUM

IMAGES = Path(__file__).resolve().parents[1] / "docs" / "images"
LARGEST = 300_000
WIDE, NARROW = ViewportSize(width=1280, height=800), ViewportSize(width=375, height=760)
PASSWORD = "correct horse battery staple"
FLAGS = "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-sync"
WORKLOADS: tuple[dict[str, Any], ...] = (
    {"name": "shop", "replicas": 2, "command": ["httpd", "-f", "-p", "8080"], "ports": [{"port": 8080}]},
    {"name": "worker", "replicas": 1, "command": ["sh", "-c", "while sleep 5; do date; done"]},
)


def deploy(cluster: Cluster, workload: dict[str, Any]) -> None:
    """POST a workload; one that exists already from an earlier run is left as it is."""
    body = json.dumps({"image": "busybox", "cpu": "50m", "memory": "32Mi", **workload}).encode()
    address = f"{cluster.api}/rest/v1/namespaces/default/workloads"
    headers = {"Authorization": f"Bearer {cluster.token}", "Content-Type": "application/json"}
    context = ssl.create_default_context(cafile=str(cluster.home / "pki" / "ca.crt"))
    try:
        urllib.request.urlopen(urllib.request.Request(address, body, headers), context=context, timeout=30).close()
    except urllib.error.HTTPError as error:
        if error.code != 409:
            raise AssertionError(error.read().decode()) from error


def sign_in(page: Page, cluster: Cluster) -> None:
    """Use a one-time link as a person does; the first visit asks for a password."""
    page.goto(cluster.gantry("signin").strip())
    page.click("main form button")
    page.wait_for_load_state("networkidle")
    fields = page.locator("input[type=password]")
    if fields.count():
        for field in fields.all():
            field.fill(PASSWORD)
        page.click("main form button")
        page.wait_for_load_state("networkidle")


def deploy_sample(page: Page, cluster: Cluster) -> None:
    """Press the overview's button, unless the sample is there already, and wait for its three pods."""
    if not cluster.pods("app=sample"):
        page.goto(f"{cluster.console}/")
        page.get_by_role("button", name="Deploy a sample").first.click()
    for app, count in (("sample", 3), ("shop", 2), ("worker", 1)):
        _await_ready(cluster, app, count)


def _await_ready(cluster: Cluster, app: str, count: int) -> None:
    eventually(lambda: sum(map(is_ready, cluster.pods(f"app={app}"))) == count, f"{count} pods of {app}")


def photograph(page: Page, address: str, name: str, waits_for: str) -> None:
    """Write one picture, when `waits_for` is on the page and no transition runs any more."""
    page.goto(address)
    page.get_by_text(waits_for).first.wait_for()
    page.wait_for_load_state("networkidle")
    page.wait_for_function("document.fonts.status === 'loaded'")
    if address.endswith("/deploy"):
        fill_form(page)
    path = IMAGES / f"{name}.png"
    page.screenshot(path=path, animations="disabled")
    size = path.stat().st_size
    if size > LARGEST:
        raise AssertionError(f"{path.name} has {size} bytes, more than {LARGEST}")
    print(f"{path.name:28} {size / 1000:6.1f} KB")


def fill_form(page: Page) -> None:
    """Fill the deploy form in, so that the YAML beside it says something; nothing is deployed."""
    for label, value in (("Image", "nginx:latest"), ("Name", "web"), ("Replicas", "3")):
        page.get_by_label(label, exact=True).first.fill(value)
    page.get_by_placeholder("80").first.fill("80")
    page.get_by_text("containerPort: 80").wait_for()


def take(cluster: Cluster) -> None:
    """Take all pictures, light and dark."""
    for workload in WORKLOADS:
        deploy(cluster, workload)
    IMAGES.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS.split())
        state = _signed_in(browser, cluster)
        for theme in ("light", "dark"):
            context = browser.new_context(viewport=WIDE, color_scheme=theme, storage_state=state)
            page = context.new_page()
            for address, name, text in pages(cluster):
                photograph(page, address, f"{name}-{theme}", text)
            context.close()
        context = browser.new_context(viewport=NARROW, color_scheme="light", storage_state=state)
        photograph(context.new_page(), f"{cluster.console}/n/default/pods", "pods-narrow", "Running")
        browser.close()


def _signed_in(browser: Any, cluster: Cluster) -> Any:
    context = browser.new_context(viewport=WIDE)
    page = context.new_page()
    sign_in(page, cluster)
    deploy_sample(page, cluster)
    state = context.storage_state()
    context.close()
    return state


def pages(cluster: Cluster) -> Iterator[tuple[str, str, str]]:
    """Yield address, name of the picture and a text that the finished page shows."""
    pod = cluster.pods("app=worker")[0]["metadata"]["name"]
    console = cluster.console
    yield f"{console}/", "overview", "sample"
    yield f"{console}/n/default/deployments/sample", "deployment", "Revision"
    yield f"{console}/n/default/pods/{pod}", "pod", "Started container"
    yield f"{console}/deploy", "deploy", "Image"


@contextmanager
def instance(home: Path | None) -> Iterator[Cluster]:
    """The instance of `home`, or one made for this run."""
    if home:
        yield Cluster(home)
        return
    with tempfile.TemporaryDirectory(prefix="gantry-screenshots-") as folder:
        cluster = Cluster(Path(folder) / "home")
        try:
            cluster.up()
            yield cluster
        finally:
            cluster.gantry("purge", "--yes", check=False)


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--home", type=Path)
    arguments = parser.parse_args()
    if not CHROMIUM.exists():
        sys.exit("needs Debian's chromium: apt-get install chromium")
    with instance(arguments.home) as cluster:
        take(cluster)


if __name__ == "__main__":
    main()
