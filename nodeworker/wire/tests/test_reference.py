"""Image references follow Docker's rule for short names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodeworker.wire.reference import InvalidReference, Reference, parse_reference

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("text", "full", "familiar"),
    [
        ("nginx", "docker.io/library/nginx:latest", "nginx:latest"),
        ("nginx:1.7.9", "docker.io/library/nginx:1.7.9", "nginx:1.7.9"),
        ("user/app", "docker.io/user/app:latest", "user/app:latest"),
        ("library/nginx", "docker.io/library/nginx:latest", "nginx:latest"),
        ("docker.io/nginx", "docker.io/library/nginx:latest", "nginx:latest"),
        ("index.docker.io/library/nginx", "docker.io/library/nginx:latest", "nginx:latest"),
        ("localhost/x", "localhost/x:latest", "localhost/x:latest"),
        ("localhost:5000/x", "localhost:5000/x:latest", "localhost:5000/x:latest"),
        ("host:5000/a/b:tag", "host:5000/a/b:tag", "host:5000/a/b:tag"),
        ("k8s.gcr.io/busybox", "k8s.gcr.io/busybox:latest", "k8s.gcr.io/busybox:latest"),
        (f"nginx@{DIGEST}", f"docker.io/library/nginx@{DIGEST}", f"nginx@{DIGEST}"),
        (f"host:1/x:t@{DIGEST}", f"host:1/x:t@{DIGEST}", f"host:1/x:t@{DIGEST}"),
        ("my__app-x/y.z", "docker.io/my__app-x/y.z:latest", "my__app-x/y.z:latest"),
    ],
)
def test_a_reference_is_read_as_docker_reads_it(text: str, full: str, familiar: str) -> None:
    reference = parse_reference(text)
    assert (str(reference), reference.familiar()) == (full, familiar)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "must not be empty"),
        ("Nginx", "must be lowercase"),
        ("user/App", "must be lowercase"),
        ("nginx:", "invalid tag"),
        ("nginx:-x", "invalid tag"),
        ("nginx@sha256:abc", "invalid digest"),
        ("a//b", "use lowercase letters"),
        ("nginx latest", "use lowercase letters"),
        ("-x", "use lowercase letters"),
        ("abcdef01" * 8, "an id, not a name"),
        ("x" * 300, "no more than 255"),
        ("http://host/x", "invalid"),
        ("host_name:5000/x", "invalid registry"),
    ],
)
def test_a_bad_reference_is_refused_with_a_sentence(text: str, sentence: str) -> None:
    with pytest.raises(InvalidReference, match=sentence):
        parse_reference(text)


NAMES = st.from_regex(r"[a-z0-9]{1,8}([._-][a-z0-9]{1,8}){0,2}", fullmatch=True)


@given(
    st.sampled_from(["docker.io", "localhost:5000", "registry.example.com"]),
    st.lists(NAMES, min_size=2, max_size=3),
    st.none() | st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}", fullmatch=True),
    st.booleans(),
)
def test_what_is_written_is_read_back(registry: str, path: list[str], tag: str | None, digest: bool) -> None:
    reference = Reference(registry, "/".join(path), tag or (None if digest else "latest"), DIGEST if digest else None)
    assert parse_reference(str(reference)) == reference


def test_the_familiar_form_names_the_same_image() -> None:
    for text in ("nginx", "user/app:1", "localhost:5000/x", f"host.example/x@{DIGEST}"):
        reference = parse_reference(text)
        assert parse_reference(reference.familiar()) == reference
