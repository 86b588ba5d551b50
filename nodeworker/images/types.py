"""What the agent and the image store say to each other; imported by both, imports nothing of either."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol


class ImageError(Exception):
    """An image cannot be had. `reason` is the kubelet's word for a waiting container, the text is one sentence for
    people.

    Reasons: InvalidImageName (never retried), ErrImagePull (retried with back-off), ErrImageNeverPull (retried: it
    may be imported).
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


@dataclass(frozen=True, slots=True)
class ReadyImage:
    """An image that is unpacked here: everything that a container needs of it."""

    reference: str
    digest: str
    config: dict[str, Any]
    """The image's configuration document: architecture, config.Entrypoint, config.Env, rootfs ..."""
    lower_directories: list[Path]
    """Overlay's order: the uppermost layer first."""


@dataclass(frozen=True, slots=True)
class Progress:
    """One step of getting an image, for an event or a page."""

    status: str
    layer: str = ""
    current: int = 0
    total: int = 0


class Response(Protocol):
    """The part of http.client.HTTPResponse that is used here."""

    status: int

    def read(self, amt: int | None = None, /) -> bytes: ...
    def readline(self, limit: int = -1, /) -> bytes: ...
    def getheader(self, name: str, default: str, /) -> str: ...


class ApiClient(Protocol):
    """The node's way to the API: mutual TLS, connections kept alive, safe to use from several threads.

    `request` raises OSError when the API cannot be reached; the response must be read to its end or closed inside
    the `with`.
    """

    def request(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        timeout: float = 30.0,
    ) -> AbstractContextManager[Response]: ...


ReportProgress = Callable[[Progress], None]


def ignore_progress(_progress: Progress) -> None:
    """The default of whoever does not want to know."""
