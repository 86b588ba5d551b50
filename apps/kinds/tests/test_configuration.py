"""ConfigMaps, Secrets, nodes, events: keys, sizes, immutability, taints."""

import base64
from typing import Any

import pytest

from apps.kinds.tests.examples import created, problems, update_problems, updated


def config_map(**fields: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, **fields}


def secret(**fields: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x"}, **fields}


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("obj", "sentence"),
    [
        (config_map(data={"a/b": "c"}), 'data: Invalid value: "a/b": a valid config key must consist of'),
        (config_map(data={"..": "c"}), 'data: Invalid value: "..": must not be'),
        (config_map(data={"a": 3}), "data[a]: Invalid value: 3: must be a string, not a number"),
        (config_map(data={"a": ""}, binaryData={"a": ""}), 'data[a]: Invalid value: "a": duplicate of key present in'),
        (config_map(data={"a": "x" * 2**20 + "x"}), "data: Too long: may not be more than 1048576 bytes"),
        (config_map(binaryData={"a": "not base64"}), 'binaryData[a]: Invalid value: "not base64": must be base64'),
        (secret(data={"a": "plain!"}), 'data[a]: Invalid value: "plain!": must be base64 (plain text goes into'),
        (secret(data={"a": encoded("x" * 2**20 + "xyz")}), "data: Too long: may not be more than 1048576 bytes"),
        (secret(type="kubernetes.io/tls"), "data[tls.crt]: Required value"),
        (
            secret(type="kubernetes.io/dockerconfigjson", data={".dockerconfigjson": encoded("[")}),
            'data[.dockerconfigjson]: Invalid value: "<secret contents redacted>": must be a JSON object',
        ),
    ],
)
def test_bad_configuration_is_refused(obj: dict[str, Any], sentence: str) -> None:
    told = problems(obj)
    assert told[0].startswith(sentence), told


def test_the_plain_text_of_a_secret_is_moved_into_its_data() -> None:
    stored = created(secret(data={"a": encoded("old")}, stringData={"a": "new", "b": "é"}))
    assert stored["data"] == {"a": encoded("new"), "b": encoded("é")}
    assert "stringData" not in stored
    assert stored["type"] == "Opaque"


def test_an_immutable_object_keeps_its_data_and_its_mark() -> None:
    for make in (config_map, secret):
        old = created(make(immutable=True, data={"a": "YQ=="}))
        assert update_problems({**old, "data": {}, "immutable": False}, old) == [
            "immutable: Forbidden: field is immutable when `immutable` is set",
            "data: Forbidden: field is immutable when `immutable` is set",
        ]
        assert updated({**old, "metadata": {**old["metadata"], "labels": {"a": "b"}}}, old)["data"] == old["data"]


def test_the_type_of_a_secret_never_changes() -> None:
    old = created(secret())
    assert update_problems({**old, "type": "other"}, old) == ['type: Invalid value: "other": field is immutable']


def test_a_taint_is_unique_by_key_and_effect() -> None:
    taint = {"key": "a", "effect": "NoSchedule"}
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"}, "spec": {"taints": [taint, taint]}}
    assert problems(node) == ['spec.taints[1]: Duplicate value: {"key":"a","effect":"NoSchedule"}']


def test_an_event_lives_beside_what_it_tells_of() -> None:
    event = {"apiVersion": "v1", "kind": "Event", "metadata": {"name": "e"}, "involvedObject": {"namespace": "other"}}
    assert problems(event) == ['involvedObject.namespace: Invalid value: "other": does not match event.namespace']
    assert problems({**event, "involvedObject": {"kind": "Node", "name": "n1"}}) == []


def test_a_lease_keeps_its_micro_times() -> None:
    spec = {"holderIdentity": "n1", "leaseDurationSeconds": 40, "renewTime": "2026-01-01T12:00:00.123456Z"}
    lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "n1"}, "spec": spec}
    assert created(lease)["spec"] == spec
    assert problems({**lease, "spec": {**spec, "renewTime": "now"}})[0].startswith("spec.renewTime: Invalid value: ")
