"""Every page, light and dark, narrow and wide: accessible, small, nothing cut off; forms and who may not use them."""

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.cluster_under_test import Cluster, eventually, is_ready
from tests.e2e.browsing import Watched, assert_never_reloaded, leave, paste, plant, press
from tests.pods_of_nginx import get

pytestmark = [pytest.mark.root, pytest.mark.cluster, pytest.mark.browser]

NAMESPACE = "e2e-pages"
MOST_ELEMENTS = 1_400
# Colours that still change from one theme to the other would be judged half-way.
_SETTLED = """() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => {
  const changes = document.getAnimations().filter((one) => one instanceof CSSTransition);
  Promise.allSettled(changes.map((one) => one.finished)).then(done);
})))"""
SHOWN = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: shown, labels: {app: shown}}
spec:
  replicas: 2
  selector: {matchLabels: {app: shown}}
  template:
    metadata: {labels: {app: shown}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - {name: main, image: busybox, command: [sleep, "100000"], resources: {requests: {cpu: 10m, memory: 8Mi}}}
---
apiVersion: v1
kind: Service
metadata: {name: shown}
spec: {type: NodePort, selector: {app: shown}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: shown}
data: {greeting: hello}
---
apiVersion: v1
kind: Secret
metadata: {name: shown}
stringData: {password: hidden}
"""
TOO_LARGE = """
apiVersion: v1
kind: Pod
metadata: {name: too-large}
spec: {containers: [{name: main, image: busybox, resources: {requests: {cpu: "1000"}}}]}
"""
LISTS = ("deployments", "pods", "replicasets", "services", "configmaps", "secrets", "events")
PAGES = (
    "/",
    *(f"/{plural}" for plural in LISTS),
    "/nodes",
    "/namespaces",
    f"/n/{NAMESPACE}/deployments/shown",
    f"/n/{NAMESPACE}/deployments/shown/yaml",
    f"/n/{NAMESPACE}/pods/POD",
    f"/n/{NAMESPACE}/pods/POD/logs",
    f"/n/{NAMESPACE}/pods/POD/shell",
    f"/n/{NAMESPACE}/services/shown",
    f"/n/{NAMESPACE}/secrets/shown",
    "/nodes/NODE",
    "/deploy",
    "/deploy?tab=yaml",
    "/images",
    "/account",
    "/styleguide",
)


@pytest.fixture(scope="module")
def shown(images: Cluster) -> Iterator[Cluster]:
    images.kubectl("create", "namespace", NAMESPACE)
    images.apply(SHOWN, NAMESPACE)
    eventually(lambda: sum(map(is_ready, images.pods("app=shown", NAMESPACE))) == 2, "two pods are ready")
    yield images
    images.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


@pytest.mark.parametrize("address", PAGES)
def test_a_page_is_accessible_and_fits(shown: Cluster, page: Page, address: str) -> None:
    pod, node = shown.pods("app=shown", NAMESPACE)[0]["metadata"]["name"], shown.instance.node_name
    page.goto(shown.console + address.replace("POD", pod).replace("NODE", node))
    _expect_fine(page)


def test_the_sign_in_page_is_accessible_and_fits(shown: Cluster, guest_page: Page) -> None:
    guest_page.goto(f"{shown.console}/pods")
    expect(guest_page).to_have_url(re.compile("/accounts/login/"))
    _expect_fine(guest_page)


def _expect_fine(page: Page) -> None:
    page.wait_for_load_state("networkidle")
    axe = Axe()
    page.evaluate(axe.axe_script)
    findings = []
    for width in (375, 1440):
        page.set_viewport_size({"width": width, "height": 900})
        for theme in ("light", "dark"):
            page.emulate_media(color_scheme=theme)
            expect(page.locator("html")).to_have_attribute("data-theme", theme)
            findings += [f"{width} {theme}: {found}" for found in _findings(page)]
    assert not findings, "\n".join(findings)


def _findings(page: Page) -> list[str]:
    """What axe calls serious, and what the design forbids."""
    page.evaluate(_SETTLED)
    report: Any = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    found = [
        f"axe {entry['id']}: {node['target']} {node['failureSummary']}"
        for entry in report["violations"]
        if entry["impact"] in ("serious", "critical")
        for node in entry["nodes"][:3]
    ]
    size = page.evaluate(
        """() => {
          const count = (selector) => document.querySelectorAll(selector).length;
          const {scrollWidth, clientWidth} = document.scrollingElement;
          const over = scrollWidth - clientWidth;
          return {elements: count("*"), headings: count("main h1"), title: document.title, over};
        }"""
    )
    if size["over"] > 0:
        found.append(f"scrolls sideways by {size['over']} px")
    if size["elements"] > MOST_ELEMENTS:
        found.append(f"{size['elements']} elements")
    if not size["headings"] or "Gantry" not in size["title"]:
        found.append(f"heading or title is missing: {size}")
    return found


def test_the_form_has_the_fields_and_shows_its_yaml(shown: Cluster, page: Page) -> None:
    page.goto(f"{shown.console}/deploy?namespace={NAMESPACE}")
    for label in ("Name", "Image", "Replicas", "Command", "CPU", "Memory"):
        expect(page.get_by_label(label, exact=True)).to_be_visible()
    for group in ("Ports", "Environment"):
        expect(page.get_by_role("group", name=group)).to_be_visible()
    expect(page.get_by_role("checkbox", name="Publish")).to_be_visible()
    page.get_by_label("Image", exact=True).fill("nginx:1.7.9")
    page.get_by_label("Replicas", exact=True).fill("7")
    page.get_by_label("Port", exact=True).fill("80")
    expect(page.get_by_label("Name", exact=True)).to_have_value("nginx")
    yaml = page.get_by_label("YAML", exact=True)
    for text in ("image: nginx:1.7.9", "replicas: 7", "containerPort: 80", "type: NodePort", f"namespace: {NAMESPACE}"):
        expect(yaml).to_contain_text(text)
    expect(page.get_by_role("button", name="Deploy", exact=True)).to_be_enabled()


def test_the_form_warns_of_a_command_that_ends_at_once(shown: Cluster, page: Page) -> None:
    page.goto(f"{shown.console}/deploy")
    page.get_by_label("Image", exact=True).fill("busybox")
    command = page.get_by_label("Command", exact=True)
    command.fill("true")
    expect(page.locator("p.warning")).to_contain_text("ends at once")
    command.fill("sleep infinity")
    expect(page.locator("p.warning")).to_have_count(0)


def test_the_form_deploys(shown: Cluster, page: Page) -> None:
    page.goto(f"{shown.console}/deploy?namespace={NAMESPACE}")
    page.get_by_label("Image", exact=True).fill("busybox")
    page.get_by_label("Name", exact=True).fill("by-form")
    page.get_by_label("Replicas", exact=True).fill("2")
    page.get_by_label("Command", exact=True).fill(
        "sh -c 'echo \"$GREETING\" > /tmp/index.html; exec httpd -f -p 8080 -h /tmp'"
    )
    page.get_by_label("Variable 1").fill("GREETING")
    page.get_by_label("Value 1").fill("hello from the form")
    page.get_by_label("Port", exact=True).fill("8080")
    page.get_by_label("CPU", exact=True).fill("20m")
    page.get_by_label("Memory", exact=True).fill("32Mi")
    page.get_by_role("button", name="Deploy", exact=True).click()
    page.wait_for_url(f"**/n/{NAMESPACE}/deployments/by-form")
    expect(page.locator("[data-ready]")).to_have_attribute("data-ready", "2")
    assert "hello from the form" in _body_of_the_address(page)


def test_the_sample_runs_and_names_the_pod_that_answers(shown: Cluster, page: Page) -> None:
    page.goto(f"{shown.console}/")
    page.get_by_role("button", name="Deploy a sample").click()
    page.wait_for_url("**/n/default/deployments/sample")
    expect(page.locator("[data-ready]")).to_have_attribute("data-ready", "3")
    names = [pod["metadata"]["name"] for pod in shown.pods("app=sample")]
    body = _body_of_the_address(page)
    assert any(name in body for name in names), body
    leave(page)
    shown.kubectl("delete", "deployment,service", "sample")


def _body_of_the_address(page: Page) -> str:
    address = urlsplit(page.locator(".address a").get_attribute("href") or "")

    def look() -> str:
        try:
            return get(address.hostname or "", address.port or 80)[1]
        except OSError:
            return ""

    return eventually(look, f"{address.geturl()} answers", 15)


@pytest.mark.parametrize(
    ("label", "text", "sentence"),
    [
        ("Name", "Not_A_Name", "lower case alphanumeric"),
        ("CPU", "plenty", "quantit"),
        ("Memory", "12 potatoes", "quantit"),
        ("Port", "99999", "between 1 and 65535"),
        ("Replicas", "-1", "greater than or equal to 0"),
    ],
)
def test_bad_input_is_explained_at_its_field(
    shown: Cluster, page: Page, watched: Watched, label: str, text: str, sentence: str
) -> None:
    watched.expect_status(400, 422)
    page.goto(f"{shown.console}/deploy?namespace={NAMESPACE}")
    page.get_by_label("Image", exact=True).fill("busybox")
    page.get_by_label("Name", exact=True).fill("refused")
    page.get_by_label(label, exact=True).fill(text)
    page.get_by_role("button", name="Deploy", exact=True).click()
    field = page.locator(".field.invalid").filter(has=page.get_by_label(label, exact=True))
    expect(field.locator(".problem").first).to_contain_text(sentence)
    assert "refused" not in shown.kubectl("get", "deployments,services", "-n", NAMESPACE, "-o", "name")


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("  replica: 2", "spec.replica"),
        ("  replicas: many", "replicas"),
        ("  replicas: [", "Line"),
    ],
)
def test_bad_yaml_is_explained_and_leaves_nothing(
    shown: Cluster, page: Page, watched: Watched, line: str, sentence: str
) -> None:
    watched.expect_status(400, 422)
    manifest = SHOWN.split("---")[0].replace("shown", "refused").replace("  replicas: 2", line)
    page.goto(f"{shown.console}/deploy?namespace={NAMESPACE}")
    page.get_by_role("tab", name="YAML").click()
    paste(page, manifest)
    page.get_by_role("button", name="Deploy", exact=True).click()
    expect(page.locator(".notice.failed")).to_contain_text(sentence)
    assert "refused" not in shown.kubectl("get", "deployments", "-n", NAMESPACE, "-o", "name")


def test_an_image_that_cannot_be_had_is_explained_on_the_pods_page(shown: Cluster, page: Page) -> None:
    page.goto(f"{shown.console}/deploy?namespace={NAMESPACE}")
    page.get_by_label("Image", exact=True).fill("127.0.0.1:9/nobody/knows:1")
    page.get_by_label("Name", exact=True).fill("unknown-image")
    page.get_by_label("Replicas", exact=True).fill("1")
    page.get_by_role("button", name="Deploy", exact=True).click()
    page.locator("tr.row .c-name a").first.click()
    expect(page.locator(".title-row .state")).to_contain_text(re.compile("ErrImagePull|ImagePullBackOff"))
    expect(page.locator(".notice .sentence")).to_contain_text("could not be fetched")
    expect(page.locator(".notice")).to_contain_text("127.0.0.1:9")
    expect(page.locator(".timeline")).to_contain_text("Failed")
    leave(page)
    shown.kubectl("delete", "deployment", "unknown-image", "-n", NAMESPACE)


def test_a_pod_that_fits_nowhere_shows_why(shown: Cluster, page: Page) -> None:
    shown.apply(TOO_LARGE, NAMESPACE)
    page.goto(f"{shown.console}/n/{NAMESPACE}/pods/too-large")
    table = page.locator("[data-key=placements]")
    expect(table).to_contain_text("Why no node takes it")
    row = table.locator("tbody tr")
    expect(row).to_contain_text(shown.instance.node_name)
    expect(row).to_contain_text(re.compile("cpu", re.IGNORECASE))
    leave(page)
    shown.kubectl("delete", "pod", "too-large", "-n", NAMESPACE)


def test_a_node_is_cordoned_and_uncordoned(shown: Cluster, page: Page) -> None:
    node = shown.instance.node_name
    page.goto(f"{shown.console}/nodes/{node}")
    plant(page)
    state = page.locator(".title-row .state")
    try:
        press(page.get_by_role("button", name="Cordon", exact=True))
        expect(state).to_have_text("Ready,SchedulingDisabled")
        press(page.get_by_role("button", name="Uncordon", exact=True))
        expect(state).to_have_text("Ready")
    finally:
        shown.kubectl("uncordon", node)
    assert_never_reloaded(page)


def test_who_may_look_finds_no_button_that_writes(shown: Cluster, visitor_page: Page) -> None:
    pod = shown.pods("app=shown", NAMESPACE)[0]["metadata"]["name"]
    places = (f"/n/{NAMESPACE}/deployments/shown", f"/n/{NAMESPACE}/pods/{pod}", f"/nodes/{shown.instance.node_name}")
    for address in (*places, "/images", "/"):
        visitor_page.goto(shown.console + address)
        expect(visitor_page.locator("main h1")).to_be_visible()
        working = visitor_page.locator("main [data-call]:not([disabled]):not([aria-disabled=true])")
        assert working.all_inner_texts() == [], address
    expect(visitor_page.locator("[data-deploy-sample]")).to_have_count(0)
    visitor_page.goto(f"{shown.console}/deploy")
    expect(visitor_page.locator("main")).to_contain_text("not deploy to it")


def test_what_a_visitor_may_not_see_is_not_found(shown: Cluster, visitor_page: Page, watched: Watched) -> None:
    watched.expect_status(404)
    for address in ("/secrets", f"/n/{NAMESPACE}/secrets", f"/n/{NAMESPACE}/secrets/shown"):
        answer = visitor_page.goto(shown.console + address)
        assert answer is not None
        assert answer.status == 404, address
        expect(visitor_page.get_by_role("heading", name="Not found")).to_be_visible()
        assert "hidden" not in visitor_page.locator("main").inner_text()


def test_a_visitors_session_may_not_write_by_hand(shown: Cluster, visitor_page: Page, watched: Watched) -> None:
    watched.expect_status(403)
    visitor_page.goto(f"{shown.console}/n/{NAMESPACE}/deployments/shown")
    status = visitor_page.evaluate(
        """async ([path, body]) => {
          const token = document.querySelector("meta[name=csrf-token]").content;
          const headers = {"Content-Type": "application/merge-patch+json", "X-CSRFToken": token};
          const answer = await fetch(path, {method: "PATCH", headers, body});
          return [answer.status, await answer.json()];
        }""",
        [f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/shown", json.dumps({"spec": {"replicas": 9}})],
    )
    assert status[0] == 403
    assert "visitor" in status[1]["message"]
    assert shown.get("deployment", "shown", NAMESPACE)["spec"]["replicas"] == 2
