"""Open a layer blob as the plain tar stream that it holds: gzip, zstd or not compressed, told by its first bytes.

Called by nodeworker.images.unpack. (apps.images.compression is its twin: neither side may import the other.)
"""

from typing import BinaryIO, Protocol

import zstandard
from isal import igzip, igzip_lib

GZIP_MAGIC, ZSTD_MAGIC = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
# zstd's own limit for frames that a decompressor must accept without being asked is 8 MiB; --long=27 is what people
# use.
MAX_ZSTD_WINDOW = 1 << 27
DECOMPRESSION_ERRORS: tuple[type[Exception], ...] = (
    EOFError,
    igzip.BadGzipFile,
    zstandard.ZstdError,
    igzip_lib.IsalError,
)  # type: ignore[assignment]


class Readable(Protocol):
    """Anything with read(size)."""

    def read(self, size: int, /) -> bytes: ...


def open_layer(blob: BinaryIO) -> Readable:
    """Return a stream of the blob's uncompressed bytes; reading it never needs more memory than what was asked for."""
    magic = blob.read(4)
    blob.seek(0)
    if magic.startswith(GZIP_MAGIC):
        stream: Readable = igzip.GzipFile(fileobj=blob, mode="rb")  # type: ignore[no-untyped-call]
        return stream
    if magic == ZSTD_MAGIC:
        return zstandard.ZstdDecompressor(max_window_size=MAX_ZSTD_WINDOW).stream_reader(blob, read_across_frames=True)
    return blob
