"""The OpenAPI documents that describe the kinds. Called by the API's /openapi/v2 and /openapi/v3."""

from typing import Any


def openapi_v2() -> dict[str, Any]:
    """Return the swagger document."""
    return {"swagger": "2.0", "info": {"title": "Gantry", "version": "v1"}, "paths": {}, "definitions": {}}


def openapi_v2_protobuf() -> bytes:
    """Return the same document in gnostic's protobuf form, which every kubectl asks for."""
    return b"\x0a\x032.0"


def openapi_v3(group_version: str) -> dict[str, Any]:
    """Return the OpenAPI 3 document of one group version ("v1", "apps/v1")."""
    return {"openapi": "3.0.0", "info": {"title": "Gantry", "version": "v1"}, "paths": {}}
