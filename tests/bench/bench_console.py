"""The console's figures as one table: `python -m tests.bench.bench_console [--home DIR]`; it judges nothing.

How long a change takes from the PATCH until a real browser has drawn it, on a list and on a deployment's page, and what
the first load of every list weighs on the wire. Without --home an instance is started and purged afterwards.
"""

import statistics
import time
from typing import Any

from playwright.sync_api import Browser, Page, StorageState

from apps.console.lists.registry import LISTS
from tests.bench.bench_cluster import Api
from tests.bench.instance import run
from tests.cluster_under_test import Cluster, eventually
from tests.e2e.browsing import chromium, new_context, sign_in_by_link

DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
MERGE, STRATEGIC = "application/merge-patch+json", "application/strategic-merge-patch+json"
# Notes, for each image name that the page shows, the moment of the first frame that has it.
_NOTE_DRAWN = """() => {
  window.drawn = {};
  const look = () => requestAnimationFrame(() => {
    for (const found of document.body.innerHTML.matchAll(/busybox:bench-\\d+/g)) window.drawn[found[0]] ??= Date.now();
  });
  const all = {subtree: true, childList: true, characterData: true, attributes: true};
  new MutationObserver(look).observe(document.body, all);
}"""


def deployment(name: str) -> dict[str, Any]:
    """A deployment of nothing, paused, so that a change of its image is one write and no more."""
    labels = {"app": name}
    container = {"name": "main", "image": "busybox:bench-0", "command": ["sleep", "1"]}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    spec = {"replicas": 0, "paused": True, "selector": {"matchLabels": labels}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


def changes_to_drawn(cluster: Cluster, page: Page, address: str, rounds: int) -> list[float]:
    """Return seconds from sending a PATCH until the frame that shows it."""
    api = Api(cluster)
    api.call("POST", DEPLOYMENTS, deployment("bench"))
    page.goto(cluster.console + address)
    page.locator("html[data-live=live]").wait_for()
    eventually(lambda: "busybox:bench-0" in page.content(), "the page shows the image")
    page.evaluate(_NOTE_DRAWN)
    seconds = []
    for number in range(1, rounds + 1):
        image = f"busybox:bench-{number}"
        change = {"spec": {"template": {"spec": {"containers": [{"name": "main", "image": image}]}}}}
        started = time.time()
        api.call("PATCH", f"{DEPLOYMENTS}/bench", change, STRATEGIC)
        moment = eventually(lambda image=image: page.evaluate("image => window.drawn[image]", image), image, 10, 0.03)  # type: ignore[misc]
        seconds.append(moment / 1000 - started)
    api.call("DELETE", f"{DEPLOYMENTS}/bench")
    eventually(lambda: not cluster.get("deployments"), "the deployment is gone")
    return seconds


def first_load(browser: Browser, state: StorageState, address: str) -> float:
    """Return the kilobytes on the wire, headers and all, of a first visit with nothing cached."""
    context = new_context(browser, None, storage_state=state)
    page = context.new_page()
    session = context.new_cdp_session(page)
    sizes: list[float] = []
    session.on("Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"]))
    session.send("Network.enable")
    page.goto(address)
    page.wait_for_load_state("networkidle")
    context.close()
    return sum(sizes) / 1000


def report(cluster: Cluster, rounds: int) -> None:
    """Measure and print the table."""
    with chromium() as browser:
        context = new_context(browser, None)
        page = context.new_page()
        sign_in_by_link(page, cluster)
        for subject, address in (("a list", "/n/default/deployments"), ("a page", "/n/default/deployments/bench")):
            seconds = changes_to_drawn(cluster, page, address, rounds)
            print(f"PATCH to drawn on {subject:18} {_milliseconds(seconds):44} bar p95 200 ms")
        state = context.storage_state()
        for plural in LISTS:
            weight = first_load(browser, state, f"{cluster.console}/{plural}")
            print(f"first load of /{plural:20} {weight:6.1f} KB {'':34} bar 150 KB")


def _milliseconds(values: list[float]) -> str:
    ordered = sorted(values)
    late = ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))]
    return f"median {statistics.median(values) * 1000:.0f} ms, p95 {late * 1000:.0f} ms ({len(values)} changes)"


if __name__ == "__main__":
    run(report, 100)
