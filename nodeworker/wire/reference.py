"""Image references by Docker's rule: `nginx` means docker.io/library/nginx:latest.

Called by admission (imagePullPolicy by tag, bad names refused), apps.images (what to pull) and nodeworker.images.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

DEFAULT_REGISTRY = "docker.io"
DEFAULT_TAG = "latest"

_DOMAIN_PART = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_REGISTRY = re.compile(rf"(?:{_DOMAIN_PART}(?:\.{_DOMAIN_PART})*|\[[0-9a-fA-F:]+\])(?::[0-9]{{1,5}})?")
_COMPONENT = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}")
_LONGEST_NAME = 255


class InvalidReference(ValueError):  # noqa: N818  (ReferenceError is a builtin of another meaning)
    """The text names no image; the message says what would be right."""


@dataclass(frozen=True, slots=True)
class Reference:
    """Where an image is found: registry, repository and a tag, a digest, or both."""

    registry: str
    repository: str
    tag: str | None = None
    digest: str | None = None

    def __str__(self) -> str:
        return f"{self.registry}/{self.repository}{self._version()}"

    def familiar(self) -> str:
        """Return the short form that people type: nginx:latest instead of docker.io/library/nginx:latest."""
        if self.registry != DEFAULT_REGISTRY:
            return str(self)
        return self.repository.removeprefix("library/") + self._version()

    def name(self) -> str:
        """Return registry and repository without tag and digest."""
        return f"{self.registry}/{self.repository}"

    def _version(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return tag + digest


@lru_cache(maxsize=1024)
def parse_reference(text: str) -> Reference:
    """Read `text` as `docker pull` reads it; raise InvalidReference with a sentence otherwise."""
    if not text:
        raise InvalidReference("an image reference must not be empty: write for example nginx or nginx:1.25")
    if len(text) > 1024:
        raise InvalidReference("an image reference must be no more than 1024 characters long")
    name, digest = _split_digest(text)
    name, tag = _split_tag(name)
    registry, repository = _split_registry(name)
    _check_repository(text, repository)
    if len(f"{registry}/{repository}") > _LONGEST_NAME:
        raise InvalidReference(f"the repository name must be no more than {_LONGEST_NAME} characters long")
    if tag is None and digest is None:
        tag = DEFAULT_TAG
    return Reference(registry, repository, tag, digest)


def _split_digest(text: str) -> tuple[str, str | None]:
    name, at, digest = text.partition("@")
    if not at:
        return name, None
    if not _DIGEST.fullmatch(digest):
        raise InvalidReference(f"invalid digest {digest!r}: write sha256: and 64 characters of 0-9 and a-f")
    return name, digest


def _split_tag(name: str) -> tuple[str, str | None]:
    colon = name.rfind(":")
    if colon < 0 or "/" in name[colon:]:  # the colon before a slash belongs to a port
        return name, None
    tag = name[colon + 1 :]
    if not _TAG.fullmatch(tag):
        raise InvalidReference(
            f"invalid tag {tag!r}: use at most 128 letters, digits, '_', '.' and '-', not starting with '.' or '-'"
        )
    return name[:colon], tag


def _split_registry(name: str) -> tuple[str, str]:
    first, slash, rest = name.partition("/")
    is_registry = bool(slash) and ("." in first or ":" in first or first == "localhost" or first != first.lower())
    if not is_registry:
        return DEFAULT_REGISTRY, name if slash else f"library/{name}"
    if not _REGISTRY.fullmatch(first):
        raise InvalidReference(f"invalid registry {first!r}: write a host name, optionally with a port, as host:5000")
    if first in ("docker.io", "index.docker.io"):
        return DEFAULT_REGISTRY, rest if "/" in rest else f"library/{rest}"
    return first, rest


def _check_repository(text: str, repository: str) -> None:
    if repository != repository.lower():
        raise InvalidReference(f"invalid image reference {text!r}: the repository name must be lowercase")
    if re.fullmatch(r"library/[0-9a-f]{64}", repository):
        raise InvalidReference(f"invalid image reference {text!r}: 64 hexadecimal characters are an id, not a name")
    for component in repository.split("/"):
        if not _COMPONENT.fullmatch(component):
            raise InvalidReference(
                f"invalid image reference {text!r}: use lowercase letters and digits, separated by '.', '_', '-' or '/'"
            )
