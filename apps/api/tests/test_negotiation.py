"""Accept and Content-Type, as the clients that people have send them."""

import pytest

from apps.api.negotiation import (
    JSON,
    JSON_PATCH,
    STRATEGIC_MERGE_PATCH,
    YAML,
    Wanted,
    body_format,
    negotiate,
    patch_format,
)
from apps.kinds.status import NotAcceptable, UnsupportedMediaType

KUBECTL_TABLE = (
    "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json"
)
AGGREGATED = (
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,"
    "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json"
)


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        ("", Wanted(JSON, "")),
        ("*/*", Wanted(JSON, "")),
        (KUBECTL_TABLE, Wanted(JSON, "Table")),
        (AGGREGATED, Wanted(JSON, "")),
        ("application/vnd.kubernetes.protobuf, application/json", Wanted(JSON, "")),
        ("application/yaml", Wanted(YAML, "")),
        ("application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1", Wanted(JSON, "PartialObjectMetadata")),
    ],
)
def test_the_first_alternative_that_can_be_produced_is_chosen(accept: str, wanted: Wanted) -> None:
    assert negotiate(accept) == wanted


def test_a_client_that_takes_protobuf_only_is_told_what_there_is() -> None:
    with pytest.raises(NotAcceptable, match="application/json, application/yaml"):
        negotiate("application/vnd.kubernetes.protobuf")


def test_a_body_without_content_type_is_json() -> None:
    assert body_format("") == JSON


def test_a_protobuf_body_is_refused_with_a_sentence() -> None:
    with pytest.raises(UnsupportedMediaType, match="protobuf bodies are not supported: send the object as"):
        body_format("application/vnd.kubernetes.protobuf")


def test_server_side_apply_is_refused_with_a_sentence() -> None:
    with pytest.raises(UnsupportedMediaType, match="server-side apply is not supported: use kubectl apply without"):
        patch_format("application/apply-patch+yaml")


def test_patches_are_known_with_and_without_parameters() -> None:
    assert patch_format("application/json-patch+json") == JSON_PATCH
    assert patch_format("application/strategic-merge-patch+json; charset=utf-8") == STRATEGIC_MERGE_PATCH
