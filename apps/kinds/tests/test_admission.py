"""What admission does with every kind: metadata, generation, status, unknown fields, copies."""

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.kinds.admission import admit_update, unknown_fields
from apps.kinds.registry import KINDS, by_kind, by_resource
from apps.kinds.schema import Map, Struct
from apps.kinds.status import BadRequest, Conflict, Invalid
from apps.kinds.tests.examples import NOW, admit, created, deployment, manifest_objects, pod, problems, service, updated


def test_every_example_manifest_is_admitted_and_an_update_with_itself_changes_nothing() -> None:
    objects = manifest_objects()
    assert len(objects) == 17
    for obj in objects:
        stored = created(obj)
        assert updated(stored, stored) == stored


def test_the_object_that_comes_in_is_not_changed() -> None:
    for obj in manifest_objects():
        before = copy.deepcopy(obj)
        admit(obj)
        assert obj == before


def test_metadata_is_written_by_the_server() -> None:
    given_metadata = {"name": "x", "uid": "mine", "resourceVersion": "7", "generation": 9, "creationTimestamp": None}
    metadata = created({**pod(), "metadata": given_metadata})["metadata"]
    assert metadata == {
        "name": "x",
        "namespace": "default",
        "uid": "uid-1",
        "creationTimestamp": "2026-01-01T12:00:00Z",
        "generation": 1,
    }


def test_a_name_is_generated_from_its_prefix() -> None:
    assert created({**pod(), "metadata": {"generateName": "web-"}})["metadata"]["name"] == "web-x7k2p"
    name = created({**pod(), "metadata": {"generateName": "w" * 80 + "-"}})["metadata"]["name"]
    assert len(name) == 63


def test_a_name_or_its_prefix_is_required() -> None:
    assert problems({**pod(), "metadata": {}}) == ["metadata.name: Required value: name or generateName is required"]


@pytest.mark.parametrize("name", ["Web", "web_1", "-web", "web-", "a..b", "a/b", "a\x00b", "ü", "a" * 254, "a b"])
def test_a_bad_name_is_refused(name: str) -> None:
    assert problems({**pod(), "metadata": {"name": name}})[0].startswith("metadata.name: Invalid value: ")


def test_a_service_is_named_as_a_dns_label() -> None:
    assert "a DNS-1035 label must consist of" in problems({**service(), "metadata": {"name": "1web"}})[0]


def test_labels_are_checked() -> None:
    bad = {**pod(), "metadata": {"name": "x", "labels": {"a b": "c", "d": "no spaces"}}}
    assert [problem.split(": ")[0] for problem in problems(bad)] == ["metadata.labels", "metadata.labels[d]"]


def test_another_namespace_than_the_request_is_a_bad_request() -> None:
    with pytest.raises(BadRequest, match="does not match the namespace sent on the request"):
        admit({**pod(), "metadata": {"name": "x", "namespace": "other"}})


@pytest.mark.parametrize("change", [{"kind": "Deployment"}, {"apiVersion": "apps/v1"}, {"kind": 3}])
def test_a_body_of_another_kind_is_a_bad_request(change: dict[str, Any]) -> None:
    with pytest.raises(BadRequest, match="must be"):
        admit_update(by_kind("Pod"), {**pod(), **change}, created(pod()), now=NOW)


def test_the_status_that_comes_with_a_new_object_is_dropped() -> None:
    assert created({**deployment(), "status": {"replicas": 7}})["status"] == {}
    assert created({**pod(), "status": {"phase": "Running"}})["status"] == {
        "phase": "Pending",
        "qosClass": "BestEffort",
    }


def test_a_node_registers_itself_with_its_status() -> None:
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"}, "status": {"capacity": {"cpu": 2}}}
    assert created(node)["status"] == {"capacity": {"cpu": "2"}}


def test_generation_counts_changes_of_the_specification_only() -> None:
    old = created(deployment())
    scaled = updated({**old, "spec": {**old["spec"], "replicas": 5}}, old)
    labelled = updated({**scaled, "metadata": {**scaled["metadata"], "labels": {"a": "b"}}}, scaled)
    seen = updated({**labelled, "status": {"replicas": 5}}, labelled, "status")
    assert [o["metadata"]["generation"] for o in (old, scaled, labelled, seen)] == [1, 2, 2, 2]


def test_an_update_leaves_the_status_and_a_status_update_leaves_the_rest() -> None:
    old = created(deployment())
    both = {**old, "spec": {**old["spec"], "replicas": 5}, "status": {"replicas": 3}}
    assert updated(both, old)["status"] == {}
    seen = updated({**both, "metadata": {**old["metadata"], "labels": {"a": "b"}}}, old, "status")
    assert (seen["spec"], seen["metadata"], seen["status"]) == (old["spec"], old["metadata"], {"replicas": 3})


def test_what_only_the_server_writes_cannot_be_changed() -> None:
    old = created(pod())
    for name, value in (("name", "y"), ("uid", "other"), ("creationTimestamp", "2020-01-01T00:00:00Z")):
        with pytest.raises(Invalid, match=f"metadata.{name}: Invalid value: .*: field is immutable"):
            updated({**old, "metadata": {**old["metadata"], name: value}}, old)


def test_an_update_without_the_servers_fields_keeps_them() -> None:
    old = created(pod())
    assert updated({**old, "metadata": {"name": "x"}}, old)["metadata"] == old["metadata"]


def test_an_unknown_field_is_named_with_its_path_and_a_suggestion() -> None:
    wrong = deployment()
    wrong["spec"]["template"]["spec"]["containers"][0]["imagee"] = "x"
    wrong["specc"] = {}
    assert unknown_fields(by_kind("Deployment"), wrong) == [
        'unknown field "spec.template.spec.containers[0].imagee", did you mean "image"?',
        'unknown field "specc", did you mean "spec"?',
    ]
    assert "imagee" not in str(created(wrong))


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ({"replicas": "three"}, 'spec.replicas: Invalid value: "three": must be an integer, not a string'),
        ({"replicas": True}, "spec.replicas: Invalid value: true: must be an integer, not true or false"),
        ({"replicas": 1.5}, "spec.replicas: Invalid value: 1.5: must be an integer, not a number"),
        ({"replicas": 2**31}, "spec.replicas: Invalid value: 2147483648: must be an integer of 32 bits"),
        ({"paused": "yes"}, 'spec.paused: Invalid value: "yes": must be true or false, not a string'),
        ({"selector": []}, "spec.selector: Invalid value: []: must be an object, not a list"),
        ({"replicas": -1}, "spec.replicas: Invalid value: -1: must be greater than or equal to 0"),
    ],
)
def test_a_wrong_type_is_told_with_what_would_be_right(spec: dict[str, Any], sentence: str) -> None:
    assert sentence in problems(deployment(**spec))


def test_an_invalid_object_is_told_as_kubernetes_tells_it() -> None:
    with pytest.raises(Invalid) as caught:
        admit(deployment(replicas=-1))
    status = caught.value.status
    assert status["message"] == (
        'Deployment.apps "x" is invalid: spec.replicas: Invalid value: -1: must be greater than or equal to 0'
    )
    assert (status["code"], status["reason"]) == (422, "Invalid")
    assert status["details"] == {
        "name": "x",
        "kind": "Deployment",
        "group": "apps",
        "causes": [
            {
                "reason": "FieldValueInvalid",
                "message": "Invalid value: -1: must be greater than or equal to 0",
                "field": "spec.replicas",
            }
        ],
    }


def test_null_is_absent() -> None:
    assert created(deployment(replicas=None))["spec"]["replicas"] == 1


def test_what_is_not_acted_on_is_said() -> None:
    warnings = admit(pod(containers=[{"name": "c", "image": "x", "ports": [{"containerPort": 80, "hostPort": 80}]}]))
    assert warnings.warnings == [
        "spec.containers[0].ports[0].hostPort: accepted but not acted on in this version",
    ]


def test_a_bind_names_the_node_once_and_may_tell_it_in_the_status() -> None:
    old = created(pod())
    bound = {**old, "spec": {**old["spec"], "nodeName": "n1", "hostname": "no"}, "status": {"phase": "Pending"}}
    stored = updated(bound, old, "binding")
    assert stored["spec"] == {**old["spec"], "nodeName": "n1"}
    assert stored["metadata"] == old["metadata"]
    with pytest.raises(Conflict, match="already assigned"):
        updated(bound, stored, "binding")


def test_only_finalize_changes_the_finalizers_of_a_namespace() -> None:
    old = created({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}})
    assert old["spec"] == {"finalizers": ["kubernetes"]}
    assert old["metadata"]["labels"] == {"kubernetes.io/metadata.name": "shop"}
    assert updated({**old, "spec": {}}, old)["spec"] == old["spec"]
    assert updated({**old, "spec": {"finalizers": []}}, old, "finalize")["spec"] == {"finalizers": []}


def test_kinds_are_found_by_name_and_by_address() -> None:
    assert by_resource("apps", "v1", "deployments") is by_kind("Deployment")
    assert by_resource("apps", "v1", "pods") is None
    assert len({kind.kind for kind in KINDS}) == len(KINDS)
    assert (by_kind("Deployment").resource, by_kind("Pod").resource) == ("deployments.apps", "pods")


def test_every_status_field_of_every_kind_survives_a_status_update() -> None:
    for kind in KINDS:
        if "status" in kind.subresources:
            assert isinstance(kind.schema.fields["status"].type, Struct)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@st.composite
def damaged(draw: st.DrawFn) -> dict[str, Any]:
    """An example in which one place holds something else."""
    obj: dict[str, Any] = copy.deepcopy(draw(st.sampled_from(manifest_objects())))
    place: Any = obj
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        keys = [key for key in keys if key not in ("apiVersion", "kind")]
        if not keys:
            break
        key = draw(st.sampled_from(keys))
        if not isinstance(place[key], dict | list) or draw(st.integers(0, 3)) == 0:
            place[key] = draw(JSON)
            break
        place = place[key]
    return obj


@settings(max_examples=200, deadline=None)
@given(damaged())
def test_whatever_comes_in_is_admitted_or_refused_with_sentences(obj: dict[str, Any]) -> None:
    try:
        stored = created(obj)
    except (Invalid, BadRequest) as error:
        assert error.message
    else:
        assert updated(stored, stored) == stored


@settings(max_examples=100, deadline=None)
@given(damaged())
def test_defaulting_twice_is_defaulting_once(obj: dict[str, Any]) -> None:
    try:
        stored = created(obj)
    except (Invalid, BadRequest):
        return
    kind = by_kind(stored["kind"])
    assert kind.default(stored) == stored
    assert kind.validate(stored) == []


def test_no_description_says_a_key_twice() -> None:
    for kind in KINDS:
        _check_numbers(kind.schema, set())


def _check_numbers(schema: Any, seen: set[int]) -> None:
    if isinstance(schema, Map):
        return _check_numbers(schema.value, seen)
    if not isinstance(schema, Struct) or id(schema) in seen:
        return None
    seen.add(id(schema))
    numbers = [field.number for name, field in schema.fields.items() if name not in ("apiVersion", "kind")]
    # apiVersion and kind of an object are in protobuf's envelope; everywhere else numbers are the wire's own.
    if "metadata" in schema.fields:
        assert len(numbers) == len(set(numbers)), schema.definition
    for field in schema.fields.values():
        _check_numbers(getattr(field.type, "item", field.type), seen)
    return None
