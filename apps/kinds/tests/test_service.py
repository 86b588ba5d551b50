"""Defaults and rules of services and endpoint slices."""

from typing import Any

import pytest

from apps.kinds.tests.examples import admit, created, problems, service, update_problems, updated


def test_a_service_has_the_defaults_of_kubernetes() -> None:
    assert created(service(selector={"a": "b"}))["spec"] == {
        "ports": [{"port": 80, "protocol": "TCP", "targetPort": 80}],
        "selector": {"a": "b"},
        "type": "ClusterIP",
        "sessionAffinity": "None",
        "internalTrafficPolicy": "Cluster",
        "ipFamilies": ["IPv4"],
        "ipFamilyPolicy": "SingleStack",
    }
    assert created(service(type="NodePort"))["spec"]["externalTrafficPolicy"] == "Cluster"
    sticky = created(service(sessionAffinity="ClientIP"))["spec"]
    assert sticky["sessionAffinityConfig"] == {"clientIP": {"timeoutSeconds": 10800}}


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ({"ports": None}, "spec.ports: Required value"),
        ({"ports": [{"port": 80}, {"port": 81}]}, "spec.ports[0].name: Required value"),
        ({"ports": [{"port": 80, "name": "a"}, {"port": 81, "name": "a"}]}, 'spec.ports[1].name: Duplicate value: "a"'),
        (
            {"ports": [{"port": 80, "name": "a"}, {"port": 80, "name": "b"}]},
            'spec.ports[1]: Duplicate value: {"port":80,"protocol":"TCP"}',
        ),
        ({"ports": [{"name": "a"}]}, "spec.ports[0].port: Required value"),
        ({"ports": [{"port": 70000}]}, "spec.ports[0].port: Invalid value: 70000: must be between 1 and 65535"),
        (
            {"type": "NodePort", "ports": [{"port": 80, "nodePort": 80}]},
            "spec.ports[0].nodePort: Invalid value: 80: provided port is not in the valid range. The range of valid",
        ),
        (
            {"ports": [{"port": 80, "nodePort": 30000}]},
            "spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'",
        ),
        ({"type": "NodePort", "clusterIP": "None"}, 'spec.clusterIPs[0]: Invalid value: "None": may not be set to'),
        ({"type": "ExternalName"}, "spec.externalName: Required value"),
        ({"type": "Public"}, 'spec.type: Unsupported value: "Public": supported values: "ClusterIP", "ExternalName"'),
        ({"clusterIP": "10.96"}, 'spec.clusterIP: Invalid value: "10.96": must be a valid IP address'),
        ({"selector": {"a": "b c"}}, 'spec.selector[a]: Invalid value: "b c": a valid label must be'),
    ],
)
def test_a_bad_service_is_refused(spec: dict[str, Any], sentence: str) -> None:
    told = problems(service(**spec))
    assert any(problem.startswith(sentence) for problem in told), told


def test_a_headless_service_needs_no_port() -> None:
    assert created(service(clusterIP="None", ports=None))["spec"]["clusterIPs"] == ["None"]


def test_what_was_allocated_is_kept_when_an_update_is_silent() -> None:
    old = created(service(type="NodePort", clusterIP="10.96.0.9", ports=[{"port": 80, "nodePort": 30080}]))
    new = updated({**service(type="NodePort"), "metadata": {"name": "x"}}, old)
    assert (new["spec"]["clusterIP"], new["spec"]["ports"][0]["nodePort"]) == ("10.96.0.9", 30080)


def test_the_cluster_address_never_changes() -> None:
    old = created(service(clusterIP="10.96.0.9"))
    other = {**old, "spec": {**old["spec"], "clusterIP": "10.96.0.10", "clusterIPs": ["10.96.0.10"]}}
    told = update_problems(other, old)
    assert told == ['spec.clusterIPs[0]: Invalid value: ["10.96.0.10"]: may not change once set']


def test_a_load_balancer_is_accepted_with_a_warning() -> None:
    assert admit(service(type="LoadBalancer")).warnings[0].startswith("spec.type: LoadBalancer is treated as NodePort")


def endpoint_slice(**fields: Any) -> dict[str, Any]:
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": "web-1"},
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["10.244.0.5"]}],
        "ports": [{"port": 80}],
        **fields,
    }


def test_an_endpoint_slice_counts_generations_by_its_content() -> None:
    old = created(endpoint_slice())
    assert updated(old, old)["metadata"]["generation"] == 1
    assert updated({**old, "endpoints": []}, old)["metadata"]["generation"] == 2


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"addressType": None}, "addressType: Required value"),
        ({"endpoints": [{"addresses": []}]}, "endpoints[0].addresses: Required value"),
        ({"endpoints": [{"addresses": ["x"]}]}, 'endpoints[0].addresses[0]: Invalid value: "x": must be a valid IP'),
        (
            {"endpoints": [{"addresses": ["10.0.0.1"]}] * 1001},
            "endpoints: Too many: 1001: must have at most 1000 items",
        ),
    ],
)
def test_a_bad_endpoint_slice_is_refused(fields: dict[str, Any], sentence: str) -> None:
    told = problems(endpoint_slice(**fields))
    assert told[0].startswith(sentence), told
