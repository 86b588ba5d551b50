"""The `kubernetes` package against a whole instance: create, watch, scale, read the log, exec, delete."""

from collections.abc import Iterator
from typing import Any

import pytest
from kubernetes import client, config, stream, watch

from tests.cluster_under_test import Cluster, eventually

pytestmark = [pytest.mark.root, pytest.mark.cluster, pytest.mark.timeout(180)]

NAMESPACE = "python-client"
LABELS = {"app": "talker"}


@pytest.fixture(scope="module")
def api(cluster: Cluster) -> Iterator[Any]:
    connection = config.new_client_from_config(str(cluster.home / "admin.kubeconfig"))
    core = client.CoreV1Api(connection)
    core.create_namespace(client.V1Namespace(metadata=client.V1ObjectMeta(name=NAMESPACE)))
    yield connection
    core.delete_namespace(NAMESPACE)
    connection.close()


@pytest.fixture(scope="module")
def talker(api: Any) -> str:
    """The name of a running pod of a deployment that prints a line and waits."""
    container = {"name": "main", "image": "busybox", "command": ["sh", "-c", "echo hello; exec sleep 100000"]}
    spec = {"terminationGracePeriodSeconds": 1, "containers": [container]}
    body: Any = {
        "metadata": {"name": "talker"},
        "spec": {"selector": {"matchLabels": LABELS}, "template": {"metadata": {"labels": LABELS}, "spec": spec}},
    }
    client.AppsV1Api(api).create_namespaced_deployment(NAMESPACE, body)
    return running_pods(api, 1)[0]


def running_pods(api: Any, count: int) -> list[str]:
    """Follow a watch until `count` pods run; return their names."""
    running: set[str] = set()
    follow = watch.Watch()
    for event in follow.stream(client.CoreV1Api(api).list_namespaced_pod, NAMESPACE, timeout_seconds=60):
        pod = event["object"]
        running.add(pod.metadata.name) if pod.status.phase == "Running" else running.discard(pod.metadata.name)
        if len(running) == count:
            follow.stop()
    return sorted(running)


def test_the_log_is_read(api: Any, talker: str) -> None:
    read = client.CoreV1Api(api).read_namespaced_pod_log
    assert eventually(lambda: read(talker, NAMESPACE) == "hello\n", "the log line", 15)


def test_a_command_runs_inside_and_its_exit_code_comes_back(api: Any, talker: str) -> None:
    connect = client.CoreV1Api(api).connect_get_namespaced_pod_exec
    command = ["sh", "-c", "hostname; cat /proc/1/comm; exit 7"]
    session = stream.stream(
        connect,
        talker,
        NAMESPACE,
        command=command,
        stdout=True,
        stderr=True,
        stdin=False,
        tty=False,
        _preload_content=False,
    )
    session.run_forever(timeout=30)
    assert session.read_stdout().split() == [talker, "sleep"]
    assert session.returncode == 7


def test_scaled_up_and_down(api: Any, talker: str) -> None:
    apps = client.AppsV1Api(api)
    apps.patch_namespaced_deployment_scale("talker", NAMESPACE, {"spec": {"replicas": 3}})
    assert len(running_pods(api, 3)) == 3
    apps.patch_namespaced_deployment_scale("talker", NAMESPACE, {"spec": {"replicas": 1}})
    listed = lambda: client.CoreV1Api(api).list_namespaced_pod(NAMESPACE).items
    assert eventually(lambda: len(listed()) == 1, "one pod is left", 30)


def test_an_invalid_object_is_refused_with_its_field(api: Any) -> None:
    body: Any = {"metadata": {"name": "Wrong_Name"}, "data": {}}
    with pytest.raises(client.ApiException) as refusal:
        client.CoreV1Api(api).create_namespaced_config_map(NAMESPACE, body)
    assert refusal.value.status == 422
    assert "metadata.name" in str(refusal.value.body)


def test_deleted_with_its_pods(api: Any, talker: str) -> None:
    client.AppsV1Api(api).delete_namespaced_deployment("talker", NAMESPACE)
    listed = lambda: client.CoreV1Api(api).list_namespaced_pod(NAMESPACE).items
    assert eventually(lambda: not listed(), "no pod is left", 30)
