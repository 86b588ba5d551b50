"""The node's images: names resolved through the API, layers unpacked once, overlay's lower directories handed out."""

from nodeworker.images.store import ImageStore
from nodeworker.images.types import ImageError, Progress, ReadyImage

__all__ = ["ImageError", "ImageStore", "Progress", "ReadyImage"]
