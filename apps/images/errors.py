"""What can go wrong with an image, as one sentence for people and one word for programs.

ImageError
├── ImageNotFound    404  no such image here
├── ImageInUse       409  a pod still uses it
├── InvalidName      400  InvalidImageName
├── InvalidImage     400  archive, manifest or layer that cannot be trusted
├── PullFailed       502  ErrImagePull: the registry, or the way to it
└── NoSpace          507  the disk is full
"""


class ImageError(Exception):
    """`reason` is what the kubelet writes into a waiting container's state, or a word of the same kind."""

    reason = "ImageError"
    status = 400

    def __init__(self, message: str, reason: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason or self.reason


class ImageNotFound(ImageError):  # noqa: N818
    """No image of that name or digest is stored here."""

    reason = "NotFound"
    status = 404


class ImageInUse(ImageError):  # noqa: N818
    """The image may not be removed now."""

    reason = "InUse"
    status = 409


class InvalidName(ImageError):  # noqa: N818
    """The text is not an image reference."""

    reason = "InvalidImageName"


class InvalidImage(ImageError):  # noqa: N818
    """The bytes are not an image, or not the one they claim to be."""

    reason = "InvalidImage"


class PullFailed(ImageError):  # noqa: N818
    """A registry did not give the image."""

    reason = "ErrImagePull"
    status = 502


class NoSpace(ImageError):  # noqa: N818
    """The disk that holds the blobs is full."""

    reason = "NoSpace"
    status = 507
