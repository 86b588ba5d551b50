"""/openapi/v2 and /openapi/v3, built once from the descriptions of the kinds; kubectl reads v2 before it applies."""

import hashlib
from functools import cache

from apps.api.asgi import Send
from apps.api.errors import path_not_found
from apps.api.request import Request
from apps.api.responses import encode, send_bytes, send_json
from apps.kinds import openapi
from apps.kinds.registry import KINDS

# kubectl fails on a Content-Type with "@" in it, although it asks with one.
PROTOBUF_TYPE = b"application/com.github.proto-openapi.spec.v2.v1.0+protobuf"


@cache
def _v2() -> bytes:
    return encode(openapi.openapi_v2())


@cache
def _v2_protobuf() -> bytes:
    return openapi.openapi_v2_protobuf()


@cache
def _v3(group_version: str) -> bytes:
    return encode(openapi.openapi_v3(group_version))


@cache
def _v3_paths() -> bytes:
    paths = {}
    for group_version in sorted({kind.api_version for kind in KINDS}):
        path = f"apis/{group_version}" if "/" in group_version else f"api/{group_version}"
        digest = hashlib.sha256(_v3(group_version)).hexdigest()[:32].upper()
        paths[path] = {"serverRelativeURL": f"/openapi/v3/{path}?hash={digest}"}
    return encode({"paths": paths})


async def get_openapi(request: Request, send: Send, parts: list[str]) -> None:
    """Answer /openapi/v2, /openapi/v3 or /openapi/v3/apis/<group>/<version>."""
    if parts == ["openapi", "v2"]:
        if b"com.github.proto-openapi" in request.headers.get(b"accept", b""):
            await send_bytes(request, send, _v2_protobuf(), PROTOBUF_TYPE)
        else:
            await send_json(request, send, _v2())
    elif parts == ["openapi", "v3"]:
        await send_json(request, send, _v3_paths())
    elif parts[:2] == ["openapi", "v3"] and (group_version := _group_version(parts[2:])):
        await send_json(request, send, _v3(group_version))
    else:
        raise path_not_found()


def _group_version(parts: list[str]) -> str:
    known = {kind.api_version for kind in KINDS}
    named = "/".join(parts[1:])
    return named if parts and parts[0] in ("api", "apis") and named in known else ""
