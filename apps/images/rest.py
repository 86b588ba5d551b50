"""Images under /rest/v1: resolve, pull, import, list, remove, and the blobs for the nodes.

Nodes ask `resolve`, `pull` and `blobs`; the launcher and the console the rest. Each view checks nothing itself: who
may do what is decided by apps.access (resource `images`), what it means by resolve.py, pull.py, archives.py and
catalog.py.
"""

import re
from collections.abc import AsyncIterator
from typing import Any

from django.http import HttpResponse, HttpResponseBase, HttpResponseNotModified, StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser, JSONParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.images.archives import import_archive
from apps.images.blobs import BlobStore
from apps.images.catalog import parse_name, remove
from apps.images.errors import ImageError, InvalidName
from apps.images.models import Image
from apps.images.progress import Report
from apps.images.pull import pull
from apps.images.resolve import describe, resolve
from apps.images.streams import NDJSON, lines, pieces
from apps.kinds.status import status_object
from nodeworker.wire.reference import parse_reference

_RANGE = re.compile(r"bytes=(\d{1,15})-(\d{0,15})")
_REFERENCE = OpenApiParameter("reference", str, description="an image, as nginx or localhost:5000/shop/web:1.2")


class ImageView(APIView):
    """What all views here share: the resource they guard, and ImageError as an answer."""

    resource = "images"
    subresource = ""

    def handle_exception(self, exc: Exception) -> Response:
        """Turn an ImageError into its sentence; everything else is the base's."""
        if isinstance(exc, ImageError):
            status = status_object(exc.status, exc.reason, exc.message)
            response = Response(status, status=exc.status)
            response.exception = True
            return response
        return super().handle_exception(exc)


class ImagesView(ImageView):
    """The images here: list them, remove one."""

    @extend_schema(responses=OpenApiTypes.OBJECT, summary="List the images")
    def get(self, request: Request) -> Response:
        images = Image.objects.prefetch_related("names", "image_layers__layer", "on_nodes")
        return Response({"items": [_summary(image) for image in images]})

    @extend_schema(
        parameters=[_REFERENCE, OpenApiParameter("force", bool, description="also while a pod uses it")],
        responses=OpenApiTypes.OBJECT,
        summary="Remove a name, and the image when it was its last one",
    )
    def delete(self, request: Request) -> Response:
        force = request.query_params.get("force", "") in ("1", "true", "True")
        return Response({"removed": remove(BlobStore(), _reference(request), force=force)})


class ResolveView(ImageView):
    """What a name means here, with everything that a node needs to unpack it."""

    @extend_schema(
        parameters=[_REFERENCE, OpenApiParameter("policy", str, enum=["IfNotPresent", "Always", "Never"])],
        responses=OpenApiTypes.OBJECT,
        summary="Resolve a name; 404 when it would have to be pulled",
    )
    def get(self, request: Request) -> Response:
        return Response(resolve(BlobStore(), _reference(request), request.query_params.get("policy", "IfNotPresent")))


class PullView(ImageView):
    """Pull an image from a registry."""

    subresource = "pull"
    parser_classes = [JSONParser]

    @extend_schema(
        request={"application/json": {"type": "object", "properties": {"reference": {"type": "string"}}}},
        responses={(200, NDJSON): OpenApiTypes.STR},
        summary="Pull an image; the answer is a line of JSON for each step, the last one `done` or `error`",
    )
    def post(self, request: Request) -> HttpResponseBase:
        data = request.data
        reference = data.get("reference") if isinstance(data, dict) else None
        if not isinstance(reference, str):
            raise InvalidName('the body must be {"reference": "<image>"}')
        name = parse_name(reference)
        blobs = BlobStore()

        def work(report: Report) -> dict[str, Any]:
            return describe(blobs, name, pull(blobs, str(name), report))

        return ndjson(lines(work))


class _AnyBody(BaseParser):
    media_type = "*/*"

    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> Any:
        return None


class _AnyAnswer(BaseContentNegotiation):
    """An archive's media type and the client's `Accept` choose nothing here."""

    def select_parser(self, request: Any, parsers: Any) -> Any:
        return parsers[0]

    def select_renderer(self, request: Any, renderers: Any, format_suffix: str | None = None) -> Any:
        return renderers[0], renderers[0].media_type


class ImportView(ImageView):
    """Import an archive that docker save, podman save or skopeo wrote.

    On a running instance apps.images.upload answers this address, as the archive arrives; here the whole body has
    arrived.
    """

    subresource = "import"
    parser_classes = [_AnyBody]
    content_negotiation_class = _AnyAnswer

    @extend_schema(
        parameters=[OpenApiParameter("name", str, description="a name in place of those in the archive")],
        request={"application/x-tar": OpenApiTypes.BINARY},
        responses={(200, NDJSON): OpenApiTypes.STR},
        summary="Import an archive; the answer is a line of JSON for each step, the last one `done` or `error`",
    )
    def post(self, request: Request) -> HttpResponseBase:
        body, name = request._request, request.query_params.get("name", "")
        return ndjson(lines(lambda report: import_images(body, report, name)))


class BlobView(ImageView):
    """The bytes of a manifest, a configuration or a layer, whole or from a place on."""

    resource = "blobs"
    content_negotiation_class = _AnyAnswer

    @extend_schema(responses={(200, "application/octet-stream"): OpenApiTypes.BINARY}, summary="Read a blob")
    def get(self, request: Request, digest: str) -> HttpResponseBase:
        file = BlobStore().open(digest)
        size = file.seek(0, 2)
        etag = f'"{digest}"'
        if request.headers.get("If-None-Match") == etag:
            file.close()
            return HttpResponseNotModified(headers={"ETag": etag})
        wanted = _range(request.headers.get("Range", ""), size)
        if wanted is None:
            file.close()
            return HttpResponse(status=416, headers={"Content-Range": f"bytes */{size}"})
        start, end = wanted
        response = StreamingHttpResponse(pieces(file, start, end), content_type="application/octet-stream")
        response.headers["Content-Length"] = str(end - start)
        response.headers["ETag"] = etag
        response.headers["Accept-Ranges"] = "bytes"
        # Compressing it again would cost more than it saves, and hide its length.
        response.headers["Content-Encoding"] = "identity"
        if (start, end) != (0, size):
            response.status_code = 206
            response.headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
        return response


def import_images(stream: Any, report: Report, name: str) -> dict[str, Any]:
    """Import an archive; return what the last line says."""
    imported = import_archive(BlobStore(), stream, report, name)
    return {
        "images": [
            {"digest": one.image.digest, "names": [parse_reference(each).familiar() for each in one.names]}
            for one in imported
        ]
    }


def ndjson(content: AsyncIterator[bytes]) -> StreamingHttpResponse:
    """Return a streaming answer of one JSON document a line, which no middleware may gather or compress."""
    response = StreamingHttpResponse(content, content_type=NDJSON)
    response.headers["Content-Encoding"] = "identity"
    response.headers["Cache-Control"] = "no-store"
    return response


def _reference(request: Request) -> str:
    reference = request.query_params.get("reference", "")
    if not reference:
        raise InvalidName("the parameter reference is missing: write ?reference=<image>")
    return str(reference)


def _range(header: str, size: int) -> tuple[int, int] | None:
    """Return the bytes that a Range header asks for, all without one; None when they lie beyond the end."""
    match = _RANGE.fullmatch(header.strip())
    if match is None:
        return 0, size
    start, last = int(match[1]), int(match[2]) if match[2] else size - 1
    if start >= size:
        return None
    return (start, min(last + 1, size)) if start <= last else (0, size)


def _summary(image: Image) -> dict[str, Any]:
    return {
        "digest": image.digest,
        "config_digest": image.config_digest,
        "names": [parse_reference(name.reference).familiar() for name in image.names.all()],
        "size": image.size,
        "created": image.created.isoformat() if image.created else None,
        "recorded": image.recorded.isoformat(),
        "architecture": image.architecture,
        "os": image.operating_system,
        "source": image.source,
        "layers": [
            {"digest": row.layer.digest, "diff_id": row.layer.diff_id, "size": row.layer.size}
            for row in image.image_layers.all()
        ],
        "nodes": sorted(row.node for row in image.on_nodes.all()),
    }
