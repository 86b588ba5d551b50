"""The real server over TLS: who may come in, and what the protocol answers."""

import gzip
import json
from typing import Any

import httpx2
import pytest

from tests.servers import ApiServer

POD = {"metadata": {"name": "web"}, "spec": {"containers": [{"name": "web", "image": "nginx"}]}}
MERGE = {"content-type": "application/merge-patch+json"}


def names(answer: httpx2.Response) -> list[str]:
    return [item["metadata"]["name"] for item in answer.json()["items"]]


def make_config_maps(server: ApiServer, namespace: str, count: int, data: str = "") -> None:
    with server.client() as client:
        for number in range(count):
            body = {"metadata": {"name": f"c{number:03}", "labels": {"odd": str(number % 2)}}, "data": {"a": data}}
            client.post(f"/api/v1/namespaces/{namespace}/configmaps", json=body).raise_for_status()


def test_health_and_version_need_no_credentials(api_server: ApiServer) -> None:
    with api_server.client("") as client:
        assert [client.get(path).text for path in ("/livez", "/readyz", "/healthz")] == ["ok", "ok", "ok"]
        assert client.get("/version").json()["major"] == "1"


@pytest.mark.parametrize("path", ["/api", "/api/v1/pods", "/openapi/v2", "/apis/nothing"])
def test_without_credentials_everything_else_is_401(api_server: ApiServer, path: str) -> None:
    with api_server.client("") as client:
        answer = client.get(path)
    assert (answer.status_code, answer.json()["reason"]) == (401, "Unauthorized")


def test_a_wrong_token_is_401(api_server: ApiServer) -> None:
    with api_server.client("") as client:
        assert client.get("/api", headers={"authorization": "Bearer gantry_wrong"}).status_code == 401


@pytest.mark.parametrize("path", ["/api/v1/nothing", "/apis/nothing", "/api/v9", "/apis/apps/v1/pods", "/openapi/v9"])
def test_unknown_paths_are_a_status_404(api_server: ApiServer, path: str) -> None:
    with api_server.client() as client:
        answer = client.get(path)
    assert (answer.status_code, answer.json()["kind"], answer.json()["reason"]) == (404, "Status", "NotFound")


def test_denied_is_403_in_the_words_of_kubernetes(api_server: ApiServer, namespace: str) -> None:
    with api_server.client("bob") as client:
        answer = client.post(f"/api/v1/namespaces/{namespace}/pods", json=POD)
    assert answer.status_code == 403
    expected = (
        f'pods is forbidden: User "bob" cannot create resource "pods" in API group "" in the namespace "{namespace}"'
    )
    assert answer.json()["message"] == expected


def test_charlie_sees_nothing(api_server: ApiServer, namespace: str) -> None:
    with api_server.client("charlie") as client:
        assert client.get(f"/api/v1/namespaces/{namespace}/pods").status_code == 403
        assert client.get("/api/v1").status_code == 200


def test_a_node_comes_in_by_its_certificate_and_sees_its_own_pods_only(api_server: ApiServer) -> None:
    with httpx2.Client(base_url=api_server.url, verify=api_server.node_tls(), trust_env=False) as client:
        assert client.get("/api/v1/pods").status_code == 403
        assert client.get("/api/v1/pods?fieldSelector=spec.nodeName%3Dn2").status_code == 403
        assert client.get("/api/v1/pods?fieldSelector=spec.nodeName%3Dn1").status_code == 200
        assert client.get("/api/v1/secrets").status_code == 403
        assert client.post("/api/v1/nodes", json={"metadata": {"name": "n2"}}).status_code == 403


def test_a_certificate_counts_on_the_api_only(api_server: ApiServer) -> None:
    with httpx2.Client(base_url=api_server.console, trust_env=False) as client:
        assert client.get("/api/v1/pods").status_code == 401


def test_create_get_update_delete(api_server: ApiServer, namespace: str) -> None:
    pods = f"/api/v1/namespaces/{namespace}/pods"
    with api_server.client("alice") as client:
        created = client.post(pods, json=POD)
        assert (created.status_code, created.json()["status"]["phase"]) == (201, "Pending")
        assert client.post(pods, json=POD).json()["reason"] == "AlreadyExists"
        pod = client.get(f"{pods}/web").json()
        pod["metadata"]["labels"] = {"a": "b"}
        updated = client.put(f"{pods}/web", json=pod)
        assert updated.json()["metadata"]["labels"] == {"a": "b"}
        assert client.put(f"{pods}/web", json=pod).json()["reason"] == "Conflict"
        assert client.delete(f"{pods}/web").json()["metadata"]["uid"] == pod["metadata"]["uid"]
        assert client.get(f"{pods}/web").json()["message"] == 'pods "web" not found'


def test_the_actor_and_the_request_are_kept_with_the_revision(api_server: ApiServer, namespace: str) -> None:
    with api_server.client("alice") as client:
        answer = client.post(f"/api/v1/namespaces/{namespace}/pods", json=POD)
    assert len(answer.headers["audit-id"]) == 16


def test_selectors_choose_what_is_listed(api_server: ApiServer, namespace: str) -> None:
    make_config_maps(api_server, namespace, 4)
    base = f"/api/v1/namespaces/{namespace}/configmaps"
    with api_server.client("bob") as client:
        assert names(client.get(base, params={"labelSelector": "odd=1"})) == ["c001", "c003"]
        assert names(client.get(base, params={"labelSelector": "odd notin (1)"})) == ["c000", "c002"]
        assert names(client.get(base, params={"fieldSelector": "metadata.name=c002"})) == ["c002"]
        assert client.get(base, params={"labelSelector": "odd in ("}).status_code == 400


def test_pages_join_to_the_whole(api_server: ApiServer, namespace: str) -> None:
    make_config_maps(api_server, namespace, 5)
    found: list[str] = []
    params: dict[str, Any] = {"limit": 2}
    with api_server.client() as client:
        for remaining in (3, 1, None):
            page = client.get(f"/api/v1/namespaces/{namespace}/configmaps", params=params)
            found += names(page)
            assert page.json()["metadata"].get("remainingItemCount") == remaining
            params["continue"] = page.json()["metadata"].get("continue")
    assert found == [f"c{number:03}" for number in range(5)]


def test_a_list_of_a_revision_that_is_not_there_yet_is_refused(api_server: ApiServer) -> None:
    with api_server.client() as client:
        answer = client.get("/api/v1/pods?resourceVersion=999999999&resourceVersionMatch=NotOlderThan")
    assert (answer.status_code, answer.json()["reason"]) == (504, "Timeout")
    assert answer.json()["details"]["causes"][0]["reason"] == "ResourceVersionTooLarge"


def test_big_answers_are_compressed_when_asked(api_server: ApiServer, namespace: str) -> None:
    make_config_maps(api_server, namespace, 3, "x" * 100_000)
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    with api_server.client() as client, client.stream("GET", path, headers={"accept-encoding": "gzip"}) as answer:
        raw = b"".join(answer.iter_raw())
    assert answer.headers["content-encoding"] == "gzip"
    assert len(raw) < 20_000
    assert len(json.loads(gzip.decompress(raw))["items"]) == 3


def test_the_three_patches(api_server: ApiServer, namespace: str) -> None:
    url = f"/api/v1/namespaces/{namespace}/pods/web"
    patches: list[tuple[str, Any]] = [
        ("merge-patch+json", {"metadata": {"labels": {"a": "1", "b": "2"}}}),
        ("json-patch+json", [{"op": "remove", "path": "/metadata/labels/b"}]),
        ("strategic-merge-patch+json", {"spec": {"containers": [{"name": "web", "image": "nginx:2"}]}}),
    ]
    with api_server.client("alice") as client:
        client.post(f"/api/v1/namespaces/{namespace}/pods", json=POD).raise_for_status()
        for media_type, patch in patches:
            headers = {"content-type": f"application/{media_type}"}
            answer = client.patch(url, content=json.dumps(patch), headers=headers)
            assert answer.status_code == 200, answer.text
    assert answer.json()["metadata"]["labels"] == {"a": "1"}
    assert answer.json()["spec"]["containers"][0]["image"] == "nginx:2"


def test_a_patch_for_an_old_version_is_a_conflict(api_server: ApiServer, namespace: str) -> None:
    with api_server.client("alice") as client:
        client.post(f"/api/v1/namespaces/{namespace}/pods", json=POD).raise_for_status()
        patch = {"metadata": {"resourceVersion": "1", "labels": {"a": "b"}}}
        answer = client.patch(f"/api/v1/namespaces/{namespace}/pods/web", json=patch, headers=MERGE)
    assert answer.json()["reason"] == "Conflict"


@pytest.mark.parametrize(
    ("media_type", "sentence"),
    [
        ("application/apply-patch+yaml", "server-side apply is not supported"),
        ("application/vnd.kubernetes.protobuf", "accepted media types include"),
    ],
)
def test_what_is_not_spoken_is_415(api_server: ApiServer, namespace: str, media_type: str, sentence: str) -> None:
    with api_server.client() as client:
        url = f"/api/v1/namespaces/{namespace}/pods/web"
        answer = client.patch(url, content=b"k8s\x00", headers={"content-type": media_type})
    assert answer.status_code == 415
    assert sentence in answer.json()["message"]


def test_unknown_fields_warn_or_are_refused(api_server: ApiServer, namespace: str) -> None:
    pods = f"/api/v1/namespaces/{namespace}/pods"
    wrong = {**POD, "spec": {"containers": [{"name": "web", "image": "nginx", "imagee": "x"}]}}
    with api_server.client() as client:
        strict = client.post(pods, json=wrong, params={"fieldValidation": "Strict"})
        assert strict.status_code == 400
        assert 'strict decoding error: unknown field "spec.containers[0].imagee"' in strict.json()["message"]
        warned = client.post(pods, json=wrong, params={"dryRun": "All"})
        assert 'unknown field \\"spec.containers[0].imagee\\"' in warned.headers["warning"]
        ignored = client.post(pods, json=wrong, params={"dryRun": "All", "fieldValidation": "Ignore"})
        assert "warning" not in ignored.headers


def test_a_dry_run_answers_and_leaves_nothing(api_server: ApiServer, namespace: str) -> None:
    pods = f"/api/v1/namespaces/{namespace}/pods"
    with api_server.client() as client:
        before = client.get(pods).json()["metadata"]["resourceVersion"]
        assert client.post(pods, json=POD, params={"dryRun": "All"}).status_code == 201
        after = client.get(pods)
    assert (after.json()["items"], after.json()["metadata"]["resourceVersion"]) == ([], before)


def test_yaml_goes_in_and_out(api_server: ApiServer, namespace: str) -> None:
    body = "metadata:\n  name: yaml\ndata:\n  day: '2024-01-01'\n"
    url = f"/api/v1/namespaces/{namespace}/configmaps"
    with api_server.client() as client:
        assert client.post(url, content=body, headers={"content-type": "application/yaml"}).status_code == 201
        answer = client.get(f"{url}/yaml", headers={"accept": "application/yaml"})
    assert "day: '2024-01-01'" in answer.text


def test_a_body_without_content_type_is_json(api_server: ApiServer, namespace: str) -> None:
    with api_server.client() as client:
        body = json.dumps({"metadata": {"name": "plain"}}).encode()
        assert client.post(f"/api/v1/namespaces/{namespace}/configmaps", content=body).status_code == 201


def test_a_body_of_more_than_three_mebibytes_is_413(api_server: ApiServer, namespace: str) -> None:
    with api_server.client() as client:
        answer = client.post(f"/api/v1/namespaces/{namespace}/configmaps", content=b"x" * (3 * 1024 * 1024 + 1))
    assert answer.status_code == 413


def test_the_namespace_of_body_and_address_must_agree(api_server: ApiServer, namespace: str) -> None:
    with api_server.client() as client:
        other = {**POD, "metadata": {"name": "web", "namespace": "default"}}
        answer = client.post(f"/api/v1/namespaces/{namespace}/pods", json=other)
    assert "does not match the namespace sent on the request" in answer.json()["message"]


def test_scale_changes_the_replicas(api_server: ApiServer, namespace: str) -> None:
    url = f"/apis/apps/v1/namespaces/{namespace}/deployments"
    template = {"metadata": {"labels": {"a": "b"}}, "spec": POD["spec"]}
    spec = {"selector": {"matchLabels": {"a": "b"}}, "template": template}
    with api_server.client("alice") as client:
        client.post(url, json={"metadata": {"name": "web"}, "spec": spec}).raise_for_status()
        scale = client.get(f"{url}/web/scale").json()
        assert (scale["kind"], scale["spec"], scale["status"]["selector"]) == ("Scale", {"replicas": 1}, "a=b")
        assert client.put(f"{url}/web/scale", json={**scale, "spec": {"replicas": 4}}).json()["spec"]["replicas"] == 4
        assert client.put(f"{url}/web/scale", json=scale).json()["reason"] == "Conflict"
        patched = client.patch(f"{url}/web/scale", json={"spec": {"replicas": 2}}, headers=MERGE)
        assert patched.json()["spec"]["replicas"] == 2
        assert client.patch(f"{url}/web/scale", json={"spec": {"replicas": -1}}, headers=MERGE).status_code == 422
        assert client.get(f"{url}/web").json()["spec"]["replicas"] == 2


def test_deletecollection_takes_what_the_selector_chooses(api_server: ApiServer, namespace: str) -> None:
    make_config_maps(api_server, namespace, 4)
    url = f"/api/v1/namespaces/{namespace}/configmaps"
    with api_server.client() as client:
        assert names(client.delete(url, params={"labelSelector": "odd=0"})) == ["c000", "c002"]
        assert names(client.get(url)) == ["c001", "c003"]


def test_a_precondition_that_does_not_hold_is_a_conflict(api_server: ApiServer, namespace: str) -> None:
    make_config_maps(api_server, namespace, 1)
    url = f"/api/v1/namespaces/{namespace}/configmaps/c000"
    with api_server.client() as client:
        answer = client.request("DELETE", url, json={"preconditions": {"uid": "another"}})
        assert answer.json()["reason"] == "Conflict"
        done = client.delete(url).json()
    assert (done["kind"], done["status"], done["details"]["name"]) == ("Status", "Success", "c000")


def test_a_pod_is_bound_once(api_server: ApiServer, namespace: str, node: Any) -> None:
    pods = f"/api/v1/namespaces/{namespace}/pods"
    binding = {"target": {"kind": "Node", "name": "n1"}}
    with api_server.client() as client:
        client.post(pods, json=POD).raise_for_status()
        assert client.post(f"{pods}/web/binding", json=binding).status_code == 201
        assert 'already assigned to node "n1"' in client.post(f"{pods}/web/binding", json=binding).json()["message"]
        conditions = client.get(f"{pods}/web").json()["status"]["conditions"]
    assert ("PodScheduled", "True") in [(entry["type"], entry["status"]) for entry in conditions]


def test_tables_have_the_columns_of_kubectl(api_server: ApiServer, namespace: str) -> None:
    accept = {"accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
    with api_server.client() as client:
        client.post(f"/api/v1/namespaces/{namespace}/pods", json=POD).raise_for_status()
        table = client.get(f"/api/v1/namespaces/{namespace}/pods", headers=accept).json()
    columns = [column["name"] for column in table["columnDefinitions"] if column["priority"] == 0]
    assert columns == ["Name", "Ready", "Status", "Restarts", "Age"]
    assert table["rows"][0]["cells"][:3] == ["web", "0/1", "Pending"]
    assert table["rows"][0]["object"]["kind"] == "PartialObjectMetadata"


def test_openapi_is_a_document_in_both_forms(api_server: ApiServer) -> None:
    protobuf = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
    with api_server.client("charlie") as client:
        answer = client.get("/openapi/v2", headers={"accept": protobuf})
        assert answer.content[:5] == b"\x0a\x032.0"
        assert "@" not in answer.headers["content-type"]
        assert client.get("/openapi/v2").json()["swagger"] == "2.0"
        paths = client.get("/openapi/v3").json()["paths"]
        assert client.get(paths["apis/apps/v1"]["serverRelativeURL"]).json()["openapi"].startswith("3.")


def test_access_reviews_say_what_one_may_do(api_server: ApiServer) -> None:
    url = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    attributes = {"verb": "delete", "group": "apps", "resource": "deployments", "namespace": "default"}
    for user, allowed in (("alice", True), ("bob", False)):
        with api_server.client(user) as client:
            answer = client.post(url, json={"spec": {"resourceAttributes": attributes}}).json()
        assert answer["status"]["allowed"] is allowed
