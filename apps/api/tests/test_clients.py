"""What people do all day, by Debian's kubectl, a newer one and the Python package, unchanged."""

import json
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client as kubernetes
from kubernetes import watch
from kubernetes.client.exceptions import ApiException

from tests.clients import Kubectl, debian_kubectl, newer_kubectl
from tests.servers import ApiServer

DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
spec:
  replicas: 3
  selector:
    matchLabels: {app: web}
  template:
    metadata:
      labels: {app: web}
    spec:
      containers:
      - name: nginx
        image: nginx:1.7.9
        ports: [{containerPort: 80}]
"""


@pytest.fixture(params=["debian", "newer"])
def kubectl(request: pytest.FixtureRequest, api_server: ApiServer, namespace: str) -> Kubectl:
    binary: Path = debian_kubectl() if request.param == "debian" else newer_kubectl()
    plain = api_server.kubectl("alice", binary)
    return Kubectl(plain.binary, plain.kubeconfig, plain.cache_dir, (f"--namespace={namespace}",))


def replicas(kubectl: Kubectl) -> str:
    return kubectl.run("get", "deployment", "web", "-o", "jsonpath={.spec.replicas}").stdout


def test_a_manifest_is_applied_and_applied_again(kubectl: Kubectl) -> None:
    assert kubectl.run("apply", "-f", "-", stdin=DEPLOYMENT).stdout == "deployment.apps/web created\n"
    assert kubectl.run("apply", "-f", "-", stdin=DEPLOYMENT).stdout == "deployment.apps/web unchanged\n"
    changed = DEPLOYMENT.replace("replicas: 3", "replicas: 5")
    assert kubectl.run("apply", "-f", "-", stdin=changed).stdout == "deployment.apps/web configured\n"
    assert replicas(kubectl) == "5"


def test_it_is_printed_described_and_explained(kubectl: Kubectl) -> None:
    kubectl.run("apply", "-f", "-", stdin=DEPLOYMENT)
    printed = kubectl.run("get", "deployments").stdout.splitlines()
    assert printed[0].split() == ["NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE"]
    assert printed[1].split()[:2] == ["web", "0/3"]
    assert ["Image:", "nginx:1.7.9"] in [
        line.split() for line in kubectl.run("describe", "deployment", "web").stdout.splitlines()
    ]
    assert "replicas" in kubectl.run("explain", "deployment.spec").stdout


def test_it_is_scaled_patched_and_deleted(kubectl: Kubectl) -> None:
    kubectl.run("apply", "-f", "-", stdin=DEPLOYMENT)
    kubectl.run("scale", "deployment", "web", "--replicas=2")
    assert replicas(kubectl) == "2"
    kubectl.run(
        "patch", "deployment", "web", "--type=json", "-p", '[{"op":"replace","path":"/spec/replicas","value":4}]'
    )
    assert replicas(kubectl) == "4"
    kubectl.run("set", "image", "deployment/web", "nginx=nginx:latest")
    image = kubectl.run("get", "deployment", "web", "-o", "jsonpath={.spec.template.spec.containers[0].image}")
    assert image.stdout == "nginx:latest"
    kubectl.run("rollout", "restart", "deployment", "web")
    kubectl.run("delete", "deployment", "web", "--cascade=false" if "1.20" in _version(kubectl) else "--cascade=orphan")
    missing = kubectl.run("get", "deployment", "web", check=False)
    assert 'Error from server (NotFound): deployments.apps "web" not found' in missing.stderr


def _version(kubectl: Kubectl) -> str:
    version: str = json.loads(kubectl.run("version", "--client", "-o", "json").stdout)["clientVersion"]["gitVersion"]
    return version


def test_get_w_shows_what_happens(kubectl: Kubectl) -> None:
    kubectl.run("apply", "-f", "-", stdin=DEPLOYMENT)
    following = kubectl.start("get", "deployments", "-w")
    assert following.stdout is not None
    assert [following.stdout.readline().split()[0] for _ in range(2)] == ["NAME", "web"]
    kubectl.run("scale", "deployment", "web", "--replicas=7")
    assert following.stdout.readline().split()[:2] == ["web", "0/7"]
    following.kill()
    following.wait()


def test_wrong_manifests_are_answered_with_the_field(kubectl: Kubectl) -> None:
    wrong = {
        "replicas: 3": ("replicas: many", "replicas"),
        "name: web\n": ("name: Web_1\n", "metadata.name"),
        "containerPort: 80": ("containerPort: 99999", "spec.template.spec.containers[0].ports[0].containerPort"),
        "image: nginx:1.7.9": ("image: nginx\n        resources: {limits: {memory: lots}}", "resources.limits[memory]"),
    }
    for right, (mistake, field) in wrong.items():
        done = kubectl.run(
            "create", "--validate=false", "-f", "-", stdin=DEPLOYMENT.replace(right, mistake, 1), check=False
        )
        assert done.returncode == 1
        assert field in done.stderr, done.stderr
    assert kubectl.run("get", "deployments", "-o", "name").stdout == ""


def test_an_unknown_field_is_refused_before_it_is_stored(kubectl: Kubectl) -> None:
    done = kubectl.run("apply", "-f", "-", stdin=DEPLOYMENT.replace("image:", "imagee: x\n        image:"), check=False)
    assert done.returncode == 1
    assert "imagee" in done.stderr


def test_can_i_knows_roles(api_server: ApiServer, namespace: str) -> None:
    for user, answer in (("alice", "yes\n"), ("bob", "no\n"), ("charlie", "no\n")):
        done = api_server.kubectl(user).run("auth", "can-i", "create", "pods", "-n", namespace, check=False)
        assert done.stdout == answer


@pytest.fixture
def api(api_server: ApiServer) -> kubernetes.ApiClient:
    configuration = kubernetes.Configuration()
    configuration.host = api_server.url
    configuration.ssl_ca_cert = str(api_server.home / "pki" / "ca.crt")
    configuration.api_key = {"authorization": f"Bearer {api_server.tokens['alice']}"}
    return kubernetes.ApiClient(configuration)


def test_the_python_package_creates_lists_patches_and_deletes(api: kubernetes.ApiClient, namespace: str) -> None:
    core: Any = kubernetes.CoreV1Api(api)
    spec: Any = {"containers": [{"name": "a", "image": "busybox"}]}
    for name in ("a", "b"):
        core.create_namespaced_pod(namespace, {"metadata": {"name": name, "labels": {"n": name}}, "spec": spec})
    assert [pod.metadata.name for pod in core.list_namespaced_pod(namespace, label_selector="n in (b)").items] == ["b"]
    patched = core.patch_namespaced_pod("a", namespace, {"metadata": {"annotations": {"x": "y"}}})
    assert patched.metadata.annotations == {"x": "y"}
    core.delete_namespaced_pod("a", namespace)
    with pytest.raises(ApiException) as missing:
        core.read_namespaced_pod("a", namespace)
    assert json.loads(missing.value.body or "")["message"] == 'pods "a" not found'


def test_the_python_package_scales_and_watches_from_a_revision(api: kubernetes.ApiClient, namespace: str) -> None:
    apps: Any = kubernetes.AppsV1Api(api)
    template: Any = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "a", "image": "busybox"}]}}
    spec = {"replicas": 1, "selector": {"matchLabels": {"a": "b"}}, "template": template}
    created = apps.create_namespaced_deployment(namespace, {"metadata": {"name": "web"}, "spec": spec})
    scale = apps.read_namespaced_deployment_scale("web", namespace)
    scale.spec.replicas = 6
    apps.replace_namespaced_deployment_scale("web", namespace, scale)
    follow = watch.Watch()
    options = {"resource_version": created.metadata.resource_version, "timeout_seconds": 10}
    for event in follow.stream(apps.list_namespaced_deployment, namespace, **options):
        assert (event["type"], event["object"].spec.replicas) == ("MODIFIED", 6)
        follow.stop()
