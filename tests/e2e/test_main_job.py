"""The main job by the console: pasted, opened, scaled, rolled without a refusal, rolled back, killed, looked into."""

import os
import re
import signal
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

from tests.cluster_under_test import Cluster, eventually
from tests.e2e.browsing import assert_never_reloaded, paste, plant, press
from tests.pods_of_nginx import MANIFEST, PodClient, answers, get, host_pid, ready_pods

pytestmark = [pytest.mark.root, pytest.mark.cluster, pytest.mark.browser, pytest.mark.timeout(200)]

NAMESPACE, CALM = "e2e-main-job", "e2e-calm"
PAGE = f"/n/{NAMESPACE}/deployments/nginx-deployment"


@pytest.fixture(scope="module")
def shop(images: Cluster) -> Iterator[Cluster]:
    images.kubectl("create", "namespace", NAMESPACE)
    yield images
    images.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


def test_the_main_job_on_a_page_that_is_never_reloaded(shop: Cluster, page: Page) -> None:
    _deploy_by_pasting(shop, page)
    plant(page)
    _three_answer(shop, page)
    _scale_to_five(shop, page)
    _roll_without_a_refusal(shop, page)
    _roll_back(shop, page)
    _kill_one(shop, page)
    assert_never_reloaded(page)


def _deploy_by_pasting(shop: Cluster, page: Page) -> None:
    page.goto(f"{shop.console}/deploy?namespace={NAMESPACE}")
    page.get_by_role("tab", name="YAML").click()
    paste(page, MANIFEST)
    page.get_by_role("button", name="Deploy", exact=True).click()
    page.wait_for_url(f"**{PAGE}")


def _three_answer(shop: Cluster, page: Page) -> None:
    _expect_ready(page, 3)
    pods = ready_pods(shop, 3, NAMESPACE)
    assert [get(pod["status"]["podIP"])[0] for pod in pods] == [200, 200, 200]
    address = urlsplit(page.locator(".address a").get_attribute("href") or "")
    host, port = address.hostname or "", address.port or 80
    assert eventually(lambda: answers(host, port), f"the published address {host}:{port} answers", 15)


def _scale_to_five(shop: Cluster, page: Page) -> None:
    wanted = page.get_by_label("Replicas wanted")
    more = page.get_by_role("button", name="One replica more")
    more.click()
    more.click()  # at once: two presses are two replicas
    expect(wanted).to_have_text("5")
    _expect_ready(page, 5)
    assert len(ready_pods(shop, 5, NAMESPACE)) == 5


def _roll_without_a_refusal(shop: Cluster, page: Page) -> None:
    client = PodClient(shop, NAMESPACE)
    client.start()
    page.locator("#image-of-nginx").fill("nginx:latest")
    page.get_by_role("button", name="Set image").click()
    expect(page.locator("[data-key=revision-2]")).to_contain_text("current")
    ready_pods(shop, 5, NAMESPACE, "nginx:latest")
    client.stop()
    assert client.refusals == []
    assert client.answers > 5
    _expect_ready(page, 5)


def _roll_back(shop: Cluster, page: Page) -> None:
    press(page.locator("[data-key=revision-1]").get_by_role("button"))
    expect(page.locator("[data-key=revision-3]")).to_contain_text("nginx:1.7.9")
    ready_pods(shop, 5, NAMESPACE, "nginx:1.7.9")
    _expect_ready(page, 5)
    expect(page.locator("#image-of-nginx")).to_have_value("nginx:1.7.9")


def _kill_one(shop: Cluster, page: Page) -> None:
    victim = ready_pods(shop, 5, NAMESPACE)[0]
    row = page.locator("tr.row", has_text=victim["metadata"]["name"])
    expect(row.locator(".c-number")).to_have_text("0")
    os.kill(host_pid(victim), signal.SIGKILL)
    expect(row.locator(".c-number")).to_have_text("1")
    expect(row.locator(".state")).to_have_text("Running")
    _expect_ready(page, 5)


@pytest.fixture(scope="module")
def pod(images: Cluster) -> Iterator[dict[str, Any]]:
    """One nginx that stays as it is."""
    images.kubectl("create", "namespace", CALM)
    images.apply(MANIFEST.replace("replicas: 3", "replicas: 1"), CALM)
    yield ready_pods(images, 1, CALM)[0]
    images.kubectl("delete", "namespace", CALM, "--wait=false")


def test_the_log_is_seen_live(images: Cluster, pod: dict[str, Any], page: Page) -> None:
    page.goto(f"{images.console}/n/{CALM}/pods/{pod['metadata']['name']}")
    page.get_by_label("Parts of this page").get_by_role("link", name="Logs").click()
    log = page.get_by_role("log")
    expect(log).to_be_visible()
    plant(page)
    for number in (1, 2):
        get(pod["status"]["podIP"], path=f"/asked-while-you-look-{number}")
        expect(log).to_contain_text(f"GET /asked-while-you-look-{number} HTTP")
    assert_never_reloaded(page)


def test_the_shell_is_inside_and_sees_nothing_of_the_host(images: Cluster, pod: dict[str, Any], page: Page) -> None:
    name = pod["metadata"]["name"]
    page.goto(f"{images.console}/n/{CALM}/pods/{name}")
    page.get_by_label("Parts of this page").get_by_role("link", name="Shell").click()
    expect(page.locator("gantry-terminal .xterm-rows")).to_contain_text(re.compile(r"[#$]"))
    plant(page)
    page.locator("gantry-terminal .xterm").click()
    _typed_gives(page, "cat /proc/1/comm", "nginx")
    _typed_gives(page, "cat /proc/sys/kernel/hostname", re.escape(name))
    _typed_gives(page, "echo few=$(ls -d /proc/[0-9]* | wc -l)", r"few=\d")
    _typed_gives(page, f"test -e {images.home} || echo it is not there", "it is not there")
    assert_never_reloaded(page)


def _typed_gives(page: Page, command: str, line: str) -> None:
    """Type a command into the terminal; a whole line of its screen is then `line`."""
    page.keyboard.type(command + "\n")
    rows = page.locator("gantry-terminal .xterm-rows > div")
    expect(rows.filter(has_text=re.compile(rf"^\s*{line}\s*$")).first).to_be_visible()


def _expect_ready(page: Page, count: int) -> None:
    expect(page.locator("[data-ready]")).to_have_attribute("data-ready", str(count))
    expect(page.locator(".title-row .state")).to_contain_text("Healthy")
