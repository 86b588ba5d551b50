"""Pages follow the cluster by themselves: what kubectl changes is seen at once, and a lost connection loses nothing."""

import os
import signal
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, WebSocketRoute, expect

from launcher import control
from tests.cluster_under_test import Cluster, CommandFailedError, eventually
from tests.e2e.browsing import Watched, assert_never_reloaded, leave, plant

pytestmark = [pytest.mark.root, pytest.mark.cluster, pytest.mark.browser]

NAMESPACE = "e2e-live"
NONE_YET = """
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}}}
spec:
  replicas: 0
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec:
      terminationGracePeriodSeconds: 0
      containers: [{{name: main, image: busybox, command: [sleep, "100000"]}}]
"""


@pytest.fixture(scope="module")
def live(images: Cluster) -> Iterator[Cluster]:
    images.kubectl("create", "namespace", NAMESPACE)
    yield images
    images.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


def test_a_list_follows_kubectl(live: Cluster, page: Page) -> None:
    page.goto(f"{live.console}/n/{NAMESPACE}/deployments")
    expect(page.locator("[data-body]")).to_contain_text("Nothing is deployed here yet")
    plant(page)
    live.apply(NONE_YET.format(name="listed"), NAMESPACE)
    row = page.locator("tr.row", has_text="listed")
    expect(row.locator(".c-ready")).to_have_text("0/0")
    live.kubectl("scale", "deployment", "listed", "--replicas=2", "-n", NAMESPACE)
    expect(row.locator(".c-ready")).to_have_text("2/2")
    live.kubectl("delete", "deployment", "listed", "-n", NAMESPACE)
    expect(row).to_have_count(0)
    assert_never_reloaded(page)


def test_a_deployments_page_follows_kubectl(live: Cluster, page: Page) -> None:
    live.apply(NONE_YET.format(name="opened"), NAMESPACE)
    page.goto(f"{live.console}/n/{NAMESPACE}/deployments/opened")
    plant(page)
    live.kubectl("scale", "deployment", "opened", "--replicas=2", "-n", NAMESPACE)
    expect(page.locator("[data-ready]")).to_have_attribute("data-ready", "2")
    expect(page.locator("tr.row .state", has_text="Running")).to_have_count(2)
    live.kubectl("set", "env", "deployment/opened", "COLOUR=blue", "-n", NAMESPACE)
    expect(page.locator("[data-key=revision-2]")).to_contain_text("current")
    assert_never_reloaded(page)


def test_what_stands_above_a_table_comes_and_goes_without_it(live: Cluster, page: Page) -> None:
    live.apply(NONE_YET.format(name="troubled"), NAMESPACE)
    live.kubectl("scale", "deployment", "troubled", "--replicas=1", "-n", NAMESPACE)
    page.goto(f"{live.console}/n/{NAMESPACE}/deployments/troubled")
    row = page.locator("tr.row")
    expect(row.locator(".state")).to_have_text("Running")
    plant(page)
    live.kubectl("set", "image", "deployment/troubled", "main=127.0.0.1:9/nobody/knows:1", "-n", NAMESPACE)
    expect(page.locator(".notice .sentence")).to_contain_text("could not be fetched")
    expect(row).to_have_count(2)
    live.kubectl("set", "image", "deployment/troubled", "main=busybox", "-n", NAMESPACE)
    expect(page.locator(".notice .sentence")).to_have_count(0)
    expect(row).to_have_count(1)
    expect(row.locator(".state")).to_have_text("Running")
    assert_never_reloaded(page)


def test_a_page_loads_while_pods_come_and_go(live: Cluster, page: Page) -> None:
    """Chromium breaks off its requests when an address of the machine changes, so a pod's start must change none."""
    live.apply(NONE_YET.format(name="restless"), NAMESPACE)
    for count in (6, 0, 6, 0):
        live.kubectl("scale", "deployment", "restless", f"--replicas={count}", "-n", NAMESPACE)
        for _turn in range(3):
            page.goto(f"{live.console}/n/{NAMESPACE}/deployments/restless")
            expect(page.locator("html")).to_have_attribute("data-live", "live")
    leave(page)
    live.kubectl("delete", "deployment", "restless", "-n", NAMESPACE)


def test_an_open_page_outlives_the_web_process_and_misses_nothing(live: Cluster, page: Page, watched: Watched) -> None:
    watched.expect("WebSocket connection to")
    live.apply(NONE_YET.format(name="awaited"), NAMESPACE)
    line = HeldLine()
    page.route_web_socket("**/ws", line.route)
    page.goto(f"{live.console}/n/{NAMESPACE}/deployments/awaited")
    expect(page.locator("html")).to_have_attribute("data-live", "live")
    plant(page)
    line.held = True
    os.kill(next(control.states(live.home, 5.0))["web"].pid, signal.SIGKILL)
    expect(page.locator(".connection")).to_contain_text("Connection lost")
    eventually(lambda: _scaled(live), "the API is back and takes the change", 30)
    line.held = False
    expect(page.get_by_label("Replicas wanted")).to_have_text("3")
    expect(page.locator("[data-ready]")).to_have_attribute("data-ready", "3")
    expect(page.locator(".connection")).to_have_count(0)
    assert_never_reloaded(page)


class HeldLine:
    """The page's way to /ws; while it is held, attempts to connect fail, so that a change surely falls into the gap."""

    def __init__(self) -> None:
        self.held = False

    def route(self, socket: WebSocketRoute) -> None:
        """Connect, or refuse."""
        if self.held:
            socket.close(code=4000, reason="held by the test")
        else:
            socket.connect_to_server()


def _scaled(live: Cluster) -> bool:
    try:
        live.kubectl("scale", "deployment", "awaited", "--replicas=3", "-n", NAMESPACE)
    except CommandFailedError:
        return False
    return True
