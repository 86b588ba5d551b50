"""Addresses to resources."""

import pytest

from apps.api import discovery
from apps.api.routing import find_route


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("api/v1/pods", ("Pod", "", "", "")),
        ("api/v1/namespaces/shop/pods", ("Pod", "shop", "", "")),
        ("api/v1/namespaces/shop/pods/web", ("Pod", "shop", "web", "")),
        ("api/v1/namespaces/shop/pods/web/log", ("Pod", "shop", "web", "log")),
        ("apis/apps/v1/namespaces/shop/deployments/web/scale", ("Deployment", "shop", "web", "scale")),
        ("api/v1/namespaces", ("Namespace", "", "", "")),
        ("api/v1/namespaces/shop", ("Namespace", "", "shop", "")),
        ("api/v1/namespaces/shop/status", ("Namespace", "", "shop", "status")),
        ("api/v1/nodes/n1/status", ("Node", "", "n1", "status")),
    ],
)
def test_a_path_names_a_resource(path: str, expected: tuple[str, str, str, str]) -> None:
    route = find_route(path)
    assert route is not None
    assert (route.kind.kind, route.namespace, route.name, route.subresource) == expected


@pytest.mark.parametrize(
    "path",
    [
        "api",
        "api/v1",
        "api/v2/pods",
        "apis/apps/v1/pods",
        "api/v1/pods/web",
        "api/v1/namespaces/shop/nodes",
        "api/v1/namespaces/shop/pods/web/log/more",
        "api/v1/namespaces//pods",
        "api/v1/nonsense",
    ],
)
def test_other_paths_name_nothing(path: str) -> None:
    assert find_route(path) is None


def test_discovery_lists_every_kind_with_its_names_and_subresources() -> None:
    core = discovery.resource_list("", "v1")
    assert core is not None
    pods = next(entry for entry in core["resources"] if entry["name"] == "pods")
    assert (pods["kind"], pods["namespaced"], pods["shortNames"]) == ("Pod", True, ["po"])
    assert {"pods/log", "pods/exec", "pods/status", "pods/binding"} <= {entry["name"] for entry in core["resources"]}


def test_the_scale_of_a_deployment_is_of_another_group() -> None:
    apps = discovery.resource_list("apps", "v1")
    assert apps is not None
    scale = next(entry for entry in apps["resources"] if entry["name"] == "deployments/scale")
    assert (scale["group"], scale["version"], scale["kind"]) == ("autoscaling", "v1", "Scale")


def test_groups_and_versions_agree_with_their_lists() -> None:
    for group in discovery.api_group_list()["groups"]:
        for version in group["versions"]:
            assert discovery.resource_list(group["name"], version["version"]) is not None
