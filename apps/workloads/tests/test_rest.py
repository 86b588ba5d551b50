"""/rest/v1/: deploying and changing workloads with plain HTTP, over the real server."""

import subprocess

import pytest

from tests.servers import ApiServer, api_server

__all__ = ["api_server"]

DEPLOY = {
    "name": "web",
    "image": "nginx",
    "replicas": 2,
    "ports": [{"port": 80, "publish": True}],
    "env": {"A": "b"},
    "cpu": "100m",
    "memory": "64Mi",
}


@pytest.fixture
def namespace(api_server: ApiServer) -> str:
    return api_server.namespace()


def test_one_post_makes_deployment_and_service(api_server: ApiServer, namespace: str) -> None:
    with api_server.client("alice") as client:
        answer = client.post(f"/rest/v1/namespaces/{namespace}/workloads", json=DEPLOY)
        assert answer.status_code == 201, answer.text
        assert (answer.json()["replicas"], answer.json()["services"][0]["type"]) == (2, "NodePort")
        assert answer.json()["services"][0]["ports"][0]["nodePort"] >= 30000
        stored = client.get(f"/apis/apps/v1/namespaces/{namespace}/deployments/web").json()
        listed = client.get(f"/rest/v1/namespaces/{namespace}/workloads").json()["items"]
    container = stored["spec"]["template"]["spec"]["containers"][0]
    assert container["env"] == [{"name": "A", "value": "b"}]
    assert container["resources"]["limits"] == {"cpu": "100m", "memory": "64Mi"}
    assert [entry["name"] for entry in listed] == ["web"]


def test_ports_that_are_not_published_stay_inside(api_server: ApiServer, namespace: str) -> None:
    mixed = {**DEPLOY, "ports": [{"port": 80, "publish": True}, {"port": 9000}]}
    with api_server.client("alice") as client:
        services = client.post(f"/rest/v1/namespaces/{namespace}/workloads", json=mixed).json()["services"]
    assert [(entry["name"], entry["type"]) for entry in services] == [
        ("web", "ClusterIP"),
        ("web-published", "NodePort"),
    ]
    assert [port["port"] for port in services[1]["ports"]] == [80]


def test_a_mistake_leaves_nothing_half_made(api_server: ApiServer, namespace: str) -> None:
    with api_server.client("alice") as client:
        client.post(
            f"/api/v1/namespaces/{namespace}/services",
            json={"metadata": {"name": "web"}, "spec": {"ports": [{"port": 80}]}},
        ).raise_for_status()
        answer = client.post(f"/rest/v1/namespaces/{namespace}/workloads", json=DEPLOY)
        assert (answer.status_code, answer.json()["message"]) == (409, 'services "web" already exists')
        assert client.get(f"/rest/v1/namespaces/{namespace}/workloads").json()["items"] == []


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": "Web_1"}, "metadata.name"),
        ({"cpu": "lots"}, "cpu"),
        ({"ports": [{"port": 99999}]}, "port"),
        ({"replicas": -1}, "replicas"),
        ({"image": ""}, "image"),
    ],
)
def test_wrong_values_are_named(api_server: ApiServer, namespace: str, change: dict[str, object], field: str) -> None:
    with api_server.client("alice") as client:
        answer = client.post(f"/rest/v1/namespaces/{namespace}/workloads", json={**DEPLOY, **change})
    assert answer.status_code in (400, 422)
    assert field in answer.json()["message"]


def test_the_verbs_change_the_deployment(api_server: ApiServer, namespace: str) -> None:
    base = f"/rest/v1/namespaces/{namespace}/deployments/web"
    with api_server.client("alice") as client:
        client.post(f"/rest/v1/namespaces/{namespace}/workloads", json=DEPLOY).raise_for_status()
        assert client.post(f"{base}/scale", json={"replicas": 5}).json()["replicas"] == 5
        assert client.post(f"{base}/image", json={"image": "nginx:2"}).json()["images"] == ["nginx:2"]
        assert client.post(f"{base}/pause").json()["paused"] is True
        assert "resume it first" in client.post(f"{base}/restart").json()["message"]
        assert client.post(f"{base}/resume").json()["paused"] is False
        client.post(f"{base}/restart").raise_for_status()
        stored = client.get(f"/apis/apps/v1/namespaces/{namespace}/deployments/web").json()
        assert "kubectl.kubernetes.io/restartedAt" in stored["spec"]["template"]["metadata"]["annotations"]
        assert "no earlier revision" in client.post(f"{base}/roll_back").json()["message"]
        assert client.get(f"{base}/revisions").json() == {"items": []}
        assert client.delete(base).json() == {"deleted": f"{namespace}/web"}
        assert client.post(f"{base}/scale", json={"replicas": 1}).status_code == 404


def test_a_roll_back_takes_the_template_of_the_replica_set(api_server: ApiServer, namespace: str) -> None:
    with api_server.client() as client:
        client.post(f"/rest/v1/namespaces/{namespace}/workloads", json=DEPLOY).raise_for_status()
        deployment = client.get(f"/apis/apps/v1/namespaces/{namespace}/deployments/web").json()
        for number, image in ((1, "nginx:1"), (2, "nginx")):
            replica_set = _replica_set(deployment, number, image)
            client.post(f"/apis/apps/v1/namespaces/{namespace}/replicasets", json=replica_set).raise_for_status()
        base = f"/rest/v1/namespaces/{namespace}/deployments/web"
        revisions = client.get(f"{base}/revisions").json()["items"]
        assert [(entry["number"], entry["current"]) for entry in revisions] == [(2, True), (1, False)]
        assert client.post(f"{base}/roll_back").json()["images"] == ["nginx:1"]
        assert client.post(f"{base}/roll_back", json={"revision": 2}).json()["images"] == ["nginx"]
        assert "there are: 2, 1" in client.post(f"{base}/roll_back", json={"revision": 7}).json()["message"]
        template = client.get(f"/apis/apps/v1/namespaces/{namespace}/deployments/web").json()["spec"]["template"]
    assert template["metadata"]["labels"] == {"app": "web"}


def _replica_set(deployment: dict[str, object], number: int, image: str) -> dict[str, object]:
    labels = {"app": "web", "pod-template-hash": f"h{number}"}
    owner = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "controller": True}
    owner["uid"] = deployment["metadata"]["uid"]  # type: ignore[index]
    return {
        "metadata": {
            "name": f"web-h{number}",
            "labels": labels,
            "annotations": {"deployment.kubernetes.io/revision": str(number)},
            "ownerReferences": [owner],
        },
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "web", "image": image}]}},
        },
    }


def test_a_viewer_may_look_and_not_change(api_server: ApiServer, namespace: str) -> None:
    with api_server.client("bob") as client:
        assert client.get(f"/rest/v1/namespaces/{namespace}/workloads").status_code == 200
        answer = client.post(f"/rest/v1/namespaces/{namespace}/workloads", json=DEPLOY)
    assert (answer.status_code, answer.json()["reason"]) == (403, "Forbidden")


def test_a_pod_tells_its_placement_and_its_steps(api_server: ApiServer, namespace: str) -> None:
    pod = {"metadata": {"name": "web"}, "spec": {"containers": [{"name": "web", "image": "nginx"}]}}
    with api_server.client("alice") as client:
        client.post(f"/api/v1/namespaces/{namespace}/pods", json=pod).raise_for_status()
        for tab in ("placement", "steps"):
            assert client.get(f"/rest/v1/namespaces/{namespace}/pods/web/{tab}").json() == {"items": []}
            assert client.get(f"/rest/v1/namespaces/{namespace}/pods/none/{tab}").status_code == 404


def test_two_curl_lines_deploy_and_scale(api_server: ApiServer, namespace: str) -> None:
    """The lines of docs/api.md."""
    base = f"{api_server.url}/rest/v1/namespaces/{namespace}"
    curl = ["curl", "-sS", "--noproxy", "*", "--cacert", str(api_server.home / "pki" / "ca.crt"), "--json"]
    token = ["-H", f"Authorization: Bearer {api_server.tokens['alice']}"]
    body = '{"name": "web", "image": "nginx", "replicas": 2, "ports": [{"port": 80, "publish": true}]}'
    for data, path in ((body, "workloads"), ('{"replicas": 5}', "deployments/web/scale")):
        done = subprocess.run([*curl, data, *token, f"{base}/{path}"], capture_output=True, text=True, check=True)
    assert '"replicas":5' in done.stdout.replace(" ", "")


def test_the_schema_and_its_page_are_served(api_server: ApiServer) -> None:
    with api_server.client("bob") as client:
        schema = client.get("/rest/v1/schema", headers={"accept": "application/json"}).json()
        page = client.get("/rest/v1/docs")
    assert "/rest/v1/namespaces/{namespace}/workloads" in schema["paths"]
    assert "<script>" not in page.text
    assert "script-src 'self'" in page.headers["content-security-policy"]
    with api_server.client("") as client:
        assert client.get("/rest/v1/schema").status_code == 401
