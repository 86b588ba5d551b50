"""Which representation a client wants (Accept) and which one it sent (Content-Type). Pure."""

from dataclasses import dataclass
from functools import lru_cache

from apps.api.errors import not_acceptable
from apps.kinds.status import UnsupportedMediaType

JSON = "application/json"
YAML = "application/yaml"
PROTOBUF = "application/vnd.kubernetes.protobuf"
YAML_TYPES = frozenset({YAML, "application/x-yaml", "text/yaml", "text/x-yaml"})

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_MERGE_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"


@dataclass(frozen=True)
class Wanted:
    """The chosen media type and transformation: "" (the object), "Table" or "PartialObjectMetadata"."""

    media_type: str = JSON
    shape: str = ""


@lru_cache(maxsize=256)
def negotiate(accept: str) -> Wanted:
    """Return the first alternative of an Accept header that this server can produce."""
    if not accept:
        return Wanted()
    for alternative in accept.split(","):
        media_type, parameters = _parameters(alternative)
        if media_type in ("*/*", "application/*"):
            return Wanted()
        shape = parameters.get("as", "")
        if media_type == JSON or media_type in YAML_TYPES:
            if not shape:
                return Wanted(JSON if media_type == JSON else YAML)
            if media_type == JSON and _can_produce(shape, parameters):
                return Wanted(JSON, shape.removesuffix("List"))
    raise not_acceptable([JSON, YAML])


def _can_produce(shape: str, parameters: dict[str, str]) -> bool:
    return (
        shape in ("Table", "PartialObjectMetadata", "PartialObjectMetadataList")
        and parameters.get("g") == "meta.k8s.io"
        and parameters.get("v") == "v1"
    )


def _parameters(text: str) -> tuple[str, dict[str, str]]:
    first, *rest = text.split(";")
    pairs = (part.partition("=") for part in rest)
    return first.strip().lower(), {name.strip(): value.strip() for name, _, value in pairs}


@lru_cache(maxsize=64)
def body_format(content_type: str) -> str:
    """Return JSON or YAML for a Content-Type; none at all is JSON (kubectl 1.20 sends none)."""
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type in ("", JSON):
        return JSON
    if media_type in YAML_TYPES:
        return YAML
    if media_type == PROTOBUF:
        raise UnsupportedMediaType(
            "protobuf bodies are not supported: send the object as application/json or application/yaml"
            " (kubectl apply -f does, kubectl create with a generator does not)"
        )
    raise UnsupportedMediaType(
        f'the body of the request was in an unknown format ("{media_type}") - '
        f"accepted media types include: {JSON}, {YAML}"
    )


@lru_cache(maxsize=64)
def patch_format(content_type: str) -> str:
    """Return which of the three patches a Content-Type names."""
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type in (JSON_PATCH, MERGE_PATCH, STRATEGIC_MERGE_PATCH):
        return media_type
    if media_type.startswith("application/apply-patch"):
        raise UnsupportedMediaType(
            "server-side apply is not supported: use kubectl apply without --server-side, or send one of "
            f"{JSON_PATCH}, {MERGE_PATCH}, {STRATEGIC_MERGE_PATCH}"
        )
    raise UnsupportedMediaType(
        f'the body of the request was in an unknown format ("{media_type}") - accepted media types include: '
        f"{JSON_PATCH}, {MERGE_PATCH}, {STRATEGIC_MERGE_PATCH}"
    )
