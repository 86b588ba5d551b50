"""What bodies are read as, and what they may not do."""

from typing import Any

import msgspec
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from apps.api.bodies import decode_json, decode_json_strictly, decode_object, decode_yaml
from apps.kinds.status import BadRequest

PLAIN: Any = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.text(st.characters(min_codepoint=32, max_codepoint=126)),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abcdef", min_size=1), inner, max_size=4),
    max_leaves=20,
)


@given(PLAIN)
def test_yaml_and_json_say_the_same(data: Any) -> None:
    assert decode_yaml(yaml.safe_dump(data).encode()) == data
    assert decode_json(msgspec.json.encode(data)) == data
    assert decode_json_strictly(msgspec.json.encode(data)) == (data, [])


def test_yaml_keeps_times_and_base_sixty_as_text() -> None:
    assert decode_yaml(b"a: 2024-01-01\nb: 12:30:45\nc: 1_000\n") == {"a": "2024-01-01", "b": "12:30:45", "c": "1_000"}


def test_yaml_numbers_and_booleans_are_those_of_json() -> None:
    assert decode_yaml(b"a: 3\nb: 1.5\nc: true\nd: ~\ne: 1e3\n") == {
        "a": 3,
        "b": 1.5,
        "c": True,
        "d": None,
        "e": 1000.0,
    }


def test_a_billion_laughs_are_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    with pytest.raises(BadRequest, match="aliases expand"):
        decode_yaml("\n".join(lines).encode())


def test_an_alias_inside_its_own_anchor_is_refused() -> None:
    with pytest.raises(BadRequest, match="inside its own anchor"):
        decode_yaml(b"a: &a [*a]")


def test_a_few_aliases_are_fine() -> None:
    assert decode_yaml(b"a: &a {x: 1}\nb: *a\n") == {"a": {"x": 1}, "b": {"x": 1}}


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"a":' * 5000 + b"1" + b"}" * 5000, b"[" * 150 + b"]" * 150])
def test_deep_bodies_are_refused(body: bytes) -> None:
    for decode in (decode_json, decode_json_strictly, decode_yaml):
        with pytest.raises(BadRequest):
            decode(body)


def test_python_objects_in_yaml_are_refused() -> None:
    with pytest.raises(BadRequest, match="not valid YAML"):
        decode_yaml(b"!!python/object/apply:os.system [id]")


def test_a_key_given_twice_is_named_by_its_path() -> None:
    body = b'{"spec": {"containers": [{"image": "a", "image": "b"}], "x": 1}, "kind": "Pod"}'
    assert decode_object(body, "application/json")[1] == ["spec.containers[0].image"]
    with pytest.raises(BadRequest, match='line 2: key "a" is given twice'):
        decode_yaml(b"a: 1\na: 2\n")


@pytest.mark.parametrize("body", [b"", b"{", b"nonsense", b"\xff\xfe", b'{"a": NaN}', b"[1]", b'"text"'])
def test_what_is_no_object_is_refused_with_a_sentence(body: bytes) -> None:
    with pytest.raises(BadRequest):
        decode_object(body, "application/json")
