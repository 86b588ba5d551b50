"""The environment of a container."""

import pytest

from nodeworker.agent.logic.environment import (
    ConfigurationError,
    References,
    Surroundings,
    container_environment,
    expand,
    service_variables,
)

POD = {
    "metadata": {"name": "web", "namespace": "shop", "uid": "u1", "annotations": {"note": "hi"}},
    "spec": {"containers": [{"name": "main", "resources": {"limits": {"cpu": "1500m", "memory": "64Mi"}}}]},
}
REFERENCES = References({"settings": {"colour": "blue", "1bad name": "x"}, "absent": None}, {"keys": {"k": b"s"}})
SURROUNDINGS = Surroundings("n1", "192.0.2.1", "10.211.0.2", {"cpu": "4", "memory": "1Gi"})


def environment(*env, env_from=(), services=None):
    container = {**POD["spec"]["containers"][0], "env": list(env), "envFrom": list(env_from)}
    return dict(container_environment(POD, container, REFERENCES, SURROUNDINGS, services or {}))


def from_source(**source):
    return {"name": "X", "valueFrom": source}


def test_variables_refer_to_those_before_them():
    assert environment({"name": "A", "value": "1"}, {"name": "B", "value": "$(A)-$(C)-$$(A)"})["B"] == "1-$(C)-$(A)"


def test_keys_of_config_maps_and_secrets():
    assert environment(from_source(configMapKeyRef={"name": "settings", "key": "colour"})) == {"X": "blue"}
    assert environment(from_source(secretKeyRef={"name": "keys", "key": "k"})) == {"X": "s"}


@pytest.mark.parametrize(
    ("name", "sentence"),
    [("absent", 'configmap "absent" not found'), ("settings", "couldn't find key size in configmap settings")],
)
def test_what_is_missing_is_told_unless_optional(name, sentence):
    asked = {"name": name, "key": "size"}
    with pytest.raises(ConfigurationError, match=sentence):
        environment(from_source(configMapKeyRef=asked))
    assert environment(from_source(configMapKeyRef={**asked, "optional": True})) == {}


def test_whole_config_maps_with_a_prefix_leave_out_bad_names():
    assert environment(env_from=[{"prefix": "S_", "configMapRef": {"name": "settings"}}]) == {"S_colour": "blue"}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("metadata.name", "web"),
        ("metadata.annotations['note']", "hi"),
        ("spec.nodeName", "n1"),
        ("status.podIP", "10.211.0.2"),
        ("status.hostIP", "192.0.2.1"),
    ],
)
def test_fields_of_the_pod(path, value):
    assert environment(from_source(fieldRef={"fieldPath": path})) == {"X": value}


def test_resources_round_up_and_fall_back_to_the_node():
    assert environment(from_source(resourceFieldRef={"resource": "limits.cpu"})) == {"X": "2"}
    in_mega = {"resource": "limits.memory", "divisor": "1Mi"}
    assert environment(from_source(resourceFieldRef=in_mega)) == {"X": "64"}


def test_services_of_the_namespace_and_the_api():
    def service(namespace, service_name, address, **port):
        return {
            "metadata": {"namespace": namespace, "name": service_name},
            "spec": {"clusterIP": address, "ports": [port]},
        }

    services = [
        service("default", "kubernetes", "10.96.0.1", port=443, name="https"),
        service("shop", "my-db", "10.96.0.7", port=5432),
        service("other", "far", "10.96.0.8", port=1),
        service("shop", "headless", "None", port=1),
    ]
    found = service_variables("shop", services)
    assert (found["MY_DB_SERVICE_HOST"], found["MY_DB_PORT_5432_TCP_ADDR"]) == ("10.96.0.7", "10.96.0.7")
    assert found["KUBERNETES_SERVICE_PORT_HTTPS"] == "443"
    assert not any(name.startswith(("FAR", "HEADLESS")) for name in found)
    assert set(service_variables("shop", services, links=False)) == {
        name for name in found if name.startswith("KUBERNETES")
    }


def test_own_variables_win_over_services():
    assert environment({"name": "A", "value": "own"}, services={"A": "service"}) == {"A": "own"}


def test_a_name_that_is_not_known_stays():
    assert expand("$(NOPE) $x", {}) == "$(NOPE) $x"
