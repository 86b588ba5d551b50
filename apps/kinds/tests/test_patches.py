"""The three kinds of patches, with the examples of their specifications and of Kubernetes' documentation."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.kinds.patches import apply_json_patch, apply_merge_patch, apply_strategic_merge_patch
from apps.kinds.registry import by_kind
from apps.kinds.status import ApiError, BadRequest
from apps.kinds.tests.examples import created, deployment, manifest_objects, pod

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=10,
)
OBJECTS = st.dictionaries(st.text(max_size=3), JSON, max_size=4)


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [  # the table of RFC 7386, appendix A, for patches that are objects
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_merge_patches_follow_rfc_7386(target: Any, patch: Any, result: Any) -> None:
    assert apply_merge_patch(target, patch) == result


@given(OBJECTS)
def test_an_empty_merge_patch_changes_nothing(obj: dict[str, Any]) -> None:
    assert apply_merge_patch(obj, {}) == obj


@given(OBJECTS, OBJECTS)
def test_a_merge_patch_applied_twice_is_applied_once(obj: dict[str, Any], patch: dict[str, Any]) -> None:
    before = copy.deepcopy(obj)
    once = apply_merge_patch(obj, patch)
    assert apply_merge_patch(once, patch) == once
    assert obj == before


def test_a_json_patch_is_applied() -> None:
    operations = [
        {"op": "test", "path": "/spec/replicas", "value": 1},
        {"op": "replace", "path": "/spec/replicas", "value": 3},
        {"op": "add", "path": "/metadata/labels", "value": {"a": "b"}},
        {"op": "remove", "path": "/spec/paused"},
    ]
    obj = {"metadata": {}, "spec": {"replicas": 1, "paused": True}}
    assert apply_json_patch(obj, operations) == {"metadata": {"labels": {"a": "b"}}, "spec": {"replicas": 3}}
    assert obj["spec"] == {"replicas": 1, "paused": True}


@pytest.mark.parametrize(
    ("patch", "code"),
    [
        ({}, 400),
        (["x"], 400),
        ([{"op": "remove", "path": "/absent"}], 422),
        ([{"op": "test", "path": "/spec", "value": 3}], 422),
        ([{"op": "jump", "path": "/spec"}], 422),
        ([{"path": "/spec"}], 422),
        ([{"op": "replace", "path": "", "value": 1}], 422),
        ([{"op": "add", "path": "spec", "value": 1}], 422),
        ([{"op": "add", "path": 3, "value": 1}], 422),
        ([{"op": "move", "from": "/spec", "path": "/spec/a"}], 422),
        ([{"op": "remove", "path": "/spec"}] * 10_001, 400),
    ],
)
def test_a_json_patch_that_does_not_fit_is_refused(patch: Any, code: int) -> None:
    with pytest.raises(ApiError) as caught:
        apply_json_patch({"spec": {"list": []}}, patch)
    assert caught.value.code == code


def test_copies_of_copies_do_not_fill_the_memory() -> None:
    double = [{"op": "copy", "from": "", "path": f"/{index}"} for index in range(40)]
    with pytest.raises(ApiError, match="copies more than an object may hold"):
        apply_json_patch({"x": "y" * 100}, double)


def strategic(kind: str, obj: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    return apply_strategic_merge_patch(by_kind(kind), obj, patch)


def template(**spec: Any) -> dict[str, Any]:
    return {"spec": {"template": {"spec": spec}}}


DEMO = template(
    containers=[{"name": "patch-demo-ctr", "image": "nginx"}],
    tolerations=[{"effect": "NoSchedule", "key": "dedicated", "value": "test-team"}],
)


def test_containers_merge_by_name_as_the_documentation_shows() -> None:
    patch = template(containers=[{"name": "patch-demo-ctr-2", "image": "redis"}])
    names = [c["name"] for c in strategic("Deployment", DEMO, patch)["spec"]["template"]["spec"]["containers"]]
    assert names == ["patch-demo-ctr-2", "patch-demo-ctr"]


def test_tolerations_are_replaced_as_the_documentation_shows() -> None:
    toleration = {"effect": "NoSchedule", "key": "disktype", "value": "ssd"}
    patched = strategic("Deployment", DEMO, template(tolerations=[toleration]))
    assert patched["spec"]["template"]["spec"]["tolerations"] == [toleration]


def test_retain_keys_drops_the_rest_as_the_documentation_shows() -> None:
    rolling = {"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "30%"}}}}
    patch = {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}
    assert strategic("Deployment", rolling, patch) == {"spec": {"strategy": {"type": "Recreate"}}}


def spec(containers: Any, **more: Any) -> dict[str, Any]:
    return {"spec": {"containers": containers, **more}}


A, B, C = {"name": "a", "image": "1"}, {"name": "b", "image": "1"}, {"name": "c", "image": "1"}


@pytest.mark.parametrize(
    ("patch", "names"),
    [
        (spec([{"name": "b", "image": "2"}]), "abc"),
        (spec([{"name": "d", "image": "1"}]), "dabc"),
        (spec([{"name": "b", "$patch": "delete"}]), "ac"),
        (spec([{"name": "x", "image": "1"}, {"$patch": "replace"}]), "x"),
        (
            spec([{"name": "c"}], **{"$setElementOrder/containers": [{"name": "c"}, {"name": "b"}, {"name": "a"}]}),
            "cba",
        ),
        ({"spec": {"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}]}}, "bac"),
        (
            spec([{"name": "d"}], **{"$setElementOrder/containers": [{"name": "d"}, {"name": "a"}, {"name": "b"}]}),
            "dabc",
        ),
        (spec([{"name": "c", "image": "2"}, {"name": "a", "image": "2"}]), "bca"),
        (spec(None), ""),
        ({"spec": {"$patch": "delete"}}, ""),
    ],
)
def test_lists_merge_delete_replace_and_order(patch: dict[str, Any], names: str) -> None:
    patched = strategic("Pod", spec([A, B, C]), patch)
    found = "".join(container["name"] for container in patched["spec"].get("containers", []))
    assert found == names


def test_fields_of_a_merged_item_are_kept_and_null_removes_them() -> None:
    patched = strategic("Pod", spec([{**A, "command": ["x"]}]), spec([{"name": "a", "image": "2", "command": None}]))
    assert patched == spec([{"name": "a", "image": "2"}])


def test_a_list_without_strategy_is_replaced() -> None:
    patched = strategic("Pod", spec([{**A, "args": ["1", "2"]}]), spec([{"name": "a", "args": ["3"]}]))
    assert patched["spec"]["containers"][0]["args"] == ["3"]


def test_primitive_lists_merge_and_delete() -> None:
    obj = {"metadata": {"finalizers": ["a.b/c", "a.b/d"]}}
    assert strategic("Pod", obj, {"metadata": {"finalizers": ["a.b/e"]}})["metadata"]["finalizers"] == [
        "a.b/e",
        "a.b/c",
        "a.b/d",
    ]
    gone = {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a.b/c"]}}
    assert strategic("Pod", obj, gone)["metadata"]["finalizers"] == ["a.b/d"]


def test_labels_and_data_merge_as_maps() -> None:
    obj = {"metadata": {"labels": {"a": "1", "b": "2"}}}
    patched = strategic("Pod", obj, {"metadata": {"labels": {"a": None, "c": "3"}}})
    assert patched == {"metadata": {"labels": {"b": "2", "c": "3"}}}


def test_conditions_of_a_status_merge_by_type() -> None:
    obj = {"status": {"conditions": [{"type": "Ready", "status": "False"}, {"type": "Initialized", "status": "True"}]}}
    patch = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    conditions = strategic("Pod", obj, patch)["status"]["conditions"]
    assert {c["type"]: c["status"] for c in conditions} == {"Ready": "True", "Initialized": "True"}


@pytest.mark.parametrize(
    "patch",
    [
        [],
        spec([{"image": "2"}]),
        spec(["a"]),
        {"spec": {"$patch": "explode"}},
        {"spec": {"$retainKeys": "type"}},
        spec([A], **{"$setElementOrder/containers": "abc"}),
        {"metadata": {"$deleteFromPrimitiveList/finalizers": "a"}},
    ],
)
def test_a_bad_strategic_patch_is_a_bad_request(patch: Any) -> None:
    with pytest.raises(BadRequest):
        strategic("Pod", spec([A]), patch)


def test_a_patch_nested_too_deep_is_refused() -> None:
    deep: Any = 1
    for _ in range(5000):
        deep = {"a": deep}
    for apply in (apply_merge_patch, lambda obj, patch: strategic("Pod", obj, patch)):
        with pytest.raises(BadRequest, match="nested more than"):
            apply({}, deep)


def test_a_strategic_patch_with_an_objects_own_copy_changes_nothing() -> None:
    for obj in manifest_objects():
        stored = created(obj)
        assert strategic(obj["kind"], stored, stored) == stored


def test_the_result_shares_no_change_with_the_object() -> None:
    obj = created(deployment())
    before = copy.deepcopy(obj)
    strategic("Deployment", obj, template(containers=[{"name": "c", "image": "other"}], nodeName=None))
    assert obj == before
    assert created(pod())["spec"]["containers"][0]["image"] == "nginx:1.25"


@given(OBJECTS)
def test_no_patch_breaks_the_strategic_merge(patch: dict[str, Any]) -> None:
    for place in (
        patch,
        {"spec": patch},
        {"spec": {"containers": [patch]}},
        {"metadata": patch},
        {"metadata": {"finalizers": [patch, patch]}},
    ):
        try:
            strategic("Pod", spec([A, B]), place)
        except BadRequest as error:
            assert error.message
