"""Manifests as people write them, each applied with kubectl in a namespace of its own and seen doing what it says.

pod-two-containers.yaml is left out: it needs hostPath, which this version does not act on.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client, config, stream

from tests.cluster_under_test import Cluster, eventually, is_ready
from tests.images.stand_ins import busybox_archive

pytestmark = [pytest.mark.root, pytest.mark.cluster, pytest.mark.timeout(60)]

MANIFESTS = Path(__file__).parents[2] / "apps" / "kinds" / "tests" / "manifests"
TOMCAT = "root/apache-tomcat-7.0.42-v2"
START = f"#!/bin/sh\ncat /{TOMCAT}/webapps/sample.war\nexec sleep 100000\n"


class Place:
    """One namespace and what a test does in it."""

    def __init__(self, cluster: Cluster, namespace: str, core: Any) -> None:
        self.cluster, self.namespace, self.core = cluster, namespace, core

    def apply(self, file: str, *changes: tuple[str, str]) -> str:
        """Apply a manifest; `changes` shorten its waits."""
        text = (MANIFESTS / file).read_text()
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        return self.cluster.apply(text, self.namespace)

    def pod(self, name: str) -> Any:
        return self.cluster.get("pod", name, self.namespace)

    def ready(self, name: str) -> Any:
        """Wait until the pod is ready; return it."""
        look = lambda: pod if is_ready(pod := self.pod(name)) else None
        return eventually(look, f"pod {name} is ready", 30)

    def log(self, name: str, *words: str) -> str:
        return self.cluster.kubectl("logs", name, "-n", self.namespace, *words)

    def run(self, pod: str, container: str, *command: str) -> str:
        """What a command in the container prints."""
        connect = self.core.connect_get_namespaced_pod_exec
        words: dict[str, Any] = {"container": container, "command": list(command), "stdin": False, "tty": False}
        return str(stream.stream(connect, pod, self.namespace, stdout=True, stderr=True, **words))


@pytest.fixture(scope="module")
def stocked(images: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    """The shared instance with stand-ins for the images that the manifests ask for besides."""
    folder = tmp_path_factory.mktemp("stand-ins")
    wanted = {
        "k8s.gcr.io/busybox:latest": {},
        "geektime/sample:v2": {"sample.war": "the application\n"},
        "geektime/tomcat:7.0": {f"{TOMCAT}/bin/start.sh": START},
    }
    for tag, files in wanted.items():
        archive = busybox_archive(folder, tag, files)
        if archive is None:
            pytest.skip("no busybox on this machine to make images of")
        images.gantry("image", "import", str(archive))
    return images


@pytest.fixture
def place(stocked: Cluster, request: pytest.FixtureRequest) -> Iterator[Place]:
    """A namespace for one test; its pods go by force, because many ignore SIGTERM."""
    connection = config.new_client_from_config(str(stocked.home / "admin.kubeconfig"))
    core = client.CoreV1Api(connection)
    namespace = request.node.name.removeprefix("test_").replace("_", "-")[:60].rstrip("-")
    core.create_namespace(client.V1Namespace(metadata=client.V1ObjectMeta(name=namespace)))
    try:
        yield Place(stocked, namespace, core)
    finally:
        core.delete_namespace(namespace)
        core.delete_collection_namespaced_pod(namespace, grace_period_seconds=0)
        connection.close()


def test_downward_api_shows_the_labels_as_a_file(place: Place) -> None:
    place.apply("pod-downward-api.yaml")
    place.ready("test-downwardapi-volume")
    shown = lambda: 'rack="rack-22"\nzone="us-est-coast"' in place.log("test-downwardapi-volume")
    assert eventually(shown, "the labels in the log", 15)


def test_host_aliases_stand_in_etc_hosts(place: Place) -> None:
    place.apply("pod-hostaliases.yaml")
    eventually(lambda: place.pod("hostaliases-pod")["status"]["phase"] == "Succeeded", "the pod ends", 20)
    assert "10.1.2.3\tfoo.remote\tbar.remote" in place.log("hostaliases-pod")


def test_an_init_container_carries_the_application_in(place: Place) -> None:
    warned = place.apply("pod-javaweb-init.yaml")
    assert "javaweb-2" in warned
    pod = place.ready("javaweb-2")
    first = pod["status"]["initContainerStatuses"][0]["state"]["terminated"]
    assert first["exitCode"] == 0
    assert first["finishedAt"] <= pod["status"]["containerStatuses"][0]["state"]["running"]["startedAt"]
    assert eventually(lambda: place.log("javaweb-2", "-c", "tomcat") == "the application\n", "the application", 10)


def test_liveness_exec_restarts_once(place: Place) -> None:
    shorter = [
        ("sleep 30", "sleep 2"),
        ("DelaySeconds: 5", "DelaySeconds: 1"),
        ("periodSeconds: 5", "periodSeconds: 1"),
    ]
    grace = ("  containers:", "  terminationGracePeriodSeconds: 1\n  containers:")
    place.apply("pod-liveness-exec.yaml", *shorter, grace)
    restarted = lambda: place.pod("test-liveness-exec")["status"].get("containerStatuses", [{}])[0].get("restartCount")
    assert eventually(restarted, "the restart", 30) == 1
    assert place.pod("test-liveness-exec")["status"]["phase"] == "Running"


def test_liveness_by_http_and_readiness_by_tcp(place: Place) -> None:
    place.apply(
        "pod-liveness-http-tcp.yaml", ("DelaySeconds: 3", "DelaySeconds: 0"), ("periodSeconds: 3", "periodSeconds: 1")
    )
    place.ready("test-liveness-http")
    asked = lambda: place.log("test-liveness-http").count("kube-probe") >= 2
    eventually(asked, "two probes in nginx's log", 15)
    assert place.pod("test-liveness-http")["status"]["containerStatuses"][0]["restartCount"] == 0


def test_a_node_selector_waits_for_its_label(place: Place) -> None:
    place.apply("pod-node-selector.yaml")
    eventually(lambda: _condition(place.pod("nginx-ssd"), "PodScheduled").get("reason") == "Unschedulable", "told", 15)
    assert place.pod("nginx-ssd")["status"]["phase"] == "Pending"
    node = place.cluster.get("nodes")[0]["metadata"]["name"]
    place.cluster.kubectl("label", "node", node, "disktype=ssd")
    try:
        assert place.ready("nginx-ssd")["spec"]["nodeName"] == node
    finally:
        place.cluster.kubectl("label", "node", node, "disktype-")


def test_projected_secrets_are_files(place: Place) -> None:
    place.apply("pod-projected-secret.yaml")
    place.ready("test-projected-volume")
    read = place.run("test-projected-volume", "test-secret-volume", "sh", "-c", "cd /projected-volume && cat *.txt")
    assert read == "1f2d1e2e67dfadmin"


def test_a_shared_process_namespace_shows_both_containers(place: Place) -> None:
    place.apply("pod-share-process-namespace.yaml")
    place.ready("nginx-shared-pid")
    shown = place.run("nginx-shared-pid", "shell", "ps")
    assert "nginx: master" in shown
    assert "sh" in shown.split()


def test_host_namespaces_are_the_hosts(place: Place) -> None:
    place.apply("pod-host-namespaces.yaml")
    pod = place.ready("nginx-host")
    assert pod["status"]["podIP"] == pod["status"]["hostIP"]
    for kind in ("net", "ipc", "pid"):
        inside = place.run("nginx-host", "shell", "readlink", f"/proc/self/ns/{kind}").strip()
        assert inside == str(Path(f"/proc/self/ns/{kind}").readlink())


def test_a_replica_set_keeps_three(place: Place) -> None:
    place.apply("replicaset-nginx.yaml")
    three = lambda: sum(map(is_ready, place.cluster.pods("app=nginx-set", place.namespace))) == 3
    eventually(three, "three ready pods", 30)
    gone = place.cluster.pods("app=nginx-set", place.namespace)[0]["metadata"]["name"]
    place.cluster.kubectl("delete", "pod", gone, "-n", place.namespace, "--wait=false")
    eventually(three, "three again", 30)


def test_a_config_map_keeps_its_text(place: Place) -> None:
    place.apply("configmap-ui-config.yaml")
    data = place.cluster.get("configmap", "ui-config", place.namespace)["data"]
    assert data["ui.properties"].splitlines()[3] == "how.nice.to.look=fairlyNice"


def test_a_deployment_rolls_out(place: Place) -> None:
    place.apply("deployment-nginx.yaml")
    place.cluster.kubectl("rollout", "status", "deployment/nginx-deployment", "-n", place.namespace, "--timeout=40s")
    assert len(place.cluster.pods("app=nginx", place.namespace)) == 3


def test_a_node_port_is_the_one_asked_for(place: Place) -> None:
    place.apply("service-nodeport-mysql.yaml")
    spec = place.cluster.get("service", "mysql-service", place.namespace)["spec"]
    assert spec["ports"] == [{"port": 3306, "targetPort": 3306, "nodePort": 30964, "protocol": "TCP"}]
    assert spec["clusterIP"]


def test_lifecycle_hooks_run(place: Place) -> None:
    place.apply("pod-lifecycle.yaml")
    place.ready("lifecycle-demo")
    read = place.run("lifecycle-demo", "lifecycle-demo-container", "cat", "/usr/share/message")
    assert read == "Hello from the postStart handler\n"
    began = time.monotonic()
    place.cluster.kubectl("delete", "pod", "lifecycle-demo", "-n", place.namespace)
    assert time.monotonic() - began < 10
    reasons = lambda: [event["reason"] for event in place.cluster.get("events", namespace=place.namespace)]
    eventually(lambda: "Killing" in reasons(), "the event, which is sent a moment later", 10)
    assert "FailedPreStopHook" not in reasons()


def test_a_post_start_that_fails_kills_and_is_told(place: Place) -> None:
    place.apply("pod-lifecycle.yaml", ("echo Hello from the postStart handler > /usr/share/message", "exit 3"))
    told = lambda: [
        e["message"] for e in place.cluster.get("events", namespace=place.namespace) if "PostStart" in e["reason"]
    ]
    assert "exited with 3" in eventually(told, "the event", 20)[0]
    restarts = lambda: place.pod("lifecycle-demo")["status"]["containerStatuses"][0]["restartCount"]
    assert eventually(restarts, "the restart", 20)


def _condition(pod: Any, kind: str) -> Any:
    return next((each for each in pod["status"].get("conditions", []) if each["type"] == kind), {})
