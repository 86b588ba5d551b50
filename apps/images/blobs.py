"""The content-addressed store: HOME/blobs/sha256/<hex>, each file complete and verified, or not there.

Called by archives.py and registry.py (write), rest.py (read), catalog.py (remove). A blob arrives in
HOME/blobs/incoming under a random name, is hashed while it arrives, brought to the disk and renamed. Whoever writes
blobs that no row mentions yet holds the store's lock shared; the garbage collection takes it alone. So a blob found
present stays until its image is recorded.
"""

import contextlib
import errno
import fcntl
import hashlib
import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from django.conf import settings

from apps.images.errors import ImageNotFound, InvalidImage, NoSpace

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def is_digest(text: str) -> bool:
    """Tell whether `text` is a digest that this store can hold: it becomes a file name, so nothing else passes."""
    return _DIGEST.fullmatch(text) is not None


def digest_of(data: bytes) -> str:
    """Return the digest of `data`."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


@contextlib.contextmanager
def disk_errors(doing: str) -> Iterator[None]:
    """Turn a full disk into a sentence."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        message = f"the disk that holds {blobs_root()} is full ({doing}): free some space on it, then try again"
        raise NoSpace(message) from error


def blobs_root() -> Path:
    """Return HOME/blobs."""
    return Path(settings.GANTRY_HOME) / "blobs"


class BlobStore:
    """The folder HOME/blobs."""

    def __init__(self, root: Path | None = None) -> None:
        self.root = root or blobs_root()
        self._final = self.root / "sha256"
        self._incoming = self.root / "incoming"
        for folder in (self.root, self._final, self._incoming):
            folder.mkdir(parents=True, exist_ok=True)

    def path(self, digest: str) -> Path:
        """Return where the blob is, or would be."""
        if not is_digest(digest):
            raise InvalidImage(f"{digest[:100]!r} is not a digest: write sha256: and 64 characters of 0-9 and a-f")
        return self._final / digest.removeprefix("sha256:")

    def has(self, digest: str) -> bool:
        """Tell whether the blob is here."""
        return self.path(digest).is_file()

    def open(self, digest: str) -> BinaryIO:
        """Open the blob for reading."""
        try:
            return self.path(digest).open("rb")
        except FileNotFoundError as error:
            raise ImageNotFound(f"the blob {digest} is not here") from error

    def read(self, digest: str, most: int) -> bytes:
        """Return a small blob (a manifest, a configuration)."""
        with self.open(digest) as file:
            return file.read(most)

    def writer(self) -> "BlobWriter":
        """Return a blob that begins to arrive; use it in a `with`."""
        return BlobWriter(self._incoming, self)

    def put(self, data: bytes) -> str:
        """Store a small blob; return its digest."""
        digest = digest_of(data)
        if not self.has(digest):
            with self.writer() as writer:
                writer.write(data)
                writer.commit()
        return digest

    def remove(self, digest: str) -> None:
        """Remove a blob; a reader that has it open keeps it."""
        self.path(digest).unlink(missing_ok=True)

    def digests(self) -> list[str]:
        """Return all blobs."""
        return [f"sha256:{path.name}" for path in self._final.iterdir() if is_digest(f"sha256:{path.name}")]

    @contextlib.contextmanager
    def adding(self) -> Iterator[None]:
        """Hold the store so that nothing is collected: from the first blob of an image until its row is committed."""
        with self._lock(fcntl.LOCK_SH):
            yield

    @contextlib.contextmanager
    def alone(self) -> Iterator[bool]:
        """Hold the store alone if nobody adds to it now; tells whether that worked."""
        try:
            with self._lock(fcntl.LOCK_EX | fcntl.LOCK_NB):
                yield True
        except BlockingIOError:
            yield False

    def remove_abandoned(self) -> None:
        """Remove what a killed process left half-written; whoever still writes holds a lock on his file."""
        for path in self._incoming.iterdir():
            with contextlib.suppress(OSError), path.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _lock(self, how: int) -> Iterator[None]:
        descriptor = os.open(self.root / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, how)
            yield
        finally:
            os.close(descriptor)


class BlobWriter:
    """A blob that arrives. Leaving the `with` without `commit` removes it."""

    def __init__(self, folder: Path, store: BlobStore) -> None:
        self._store = store
        self._path = folder / secrets.token_hex(16)
        self._hash = hashlib.sha256()
        self.size = 0

    def __enter__(self) -> Self:
        with disk_errors("creating a blob"):
            self._file = self._path.open("x+b", buffering=0)
        fcntl.flock(self._file, fcntl.LOCK_EX)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._path.unlink(missing_ok=True)
        self._file.close()

    @property
    def digest(self) -> str:
        """The digest of what has arrived so far."""
        return f"sha256:{self._hash.hexdigest()}"

    def write(self, data: bytes | memoryview) -> None:
        """Append to the blob."""
        view = memoryview(data)
        self._hash.update(view)
        self.size += len(view)
        with disk_errors("storing a layer"):
            while view:
                view = view[self._file.write(view) :]

    def restart(self) -> None:
        """Begin anew: the sender did."""
        self._file.seek(0)
        self._file.truncate()
        self._hash = hashlib.sha256()
        self.size = 0

    def reader(self) -> BinaryIO:
        """Return the bytes so far as a file of its own."""
        return self._path.open("rb")

    def commit(self, digest: str = "", size: int = -1) -> str:
        """Publish the blob under its digest, if it is what was announced; return the digest."""
        if size >= 0 and self.size != size:
            raise InvalidImage(f"{self.size} bytes arrived of a blob that was announced with {size}")
        if digest and digest != self.digest:
            raise InvalidImage(f"a blob has the digest {self.digest}, but {digest} was announced")
        final = self._store.path(self.digest)
        with disk_errors("storing a layer"):
            os.fsync(self._file.fileno())
        self._path.chmod(0o600)
        self._path.replace(final)
        return self.digest


def sync_blobs(store: BlobStore) -> None:
    """Bring the names of new blobs to the disk; once for an image, before its row is committed."""
    descriptor = os.open(store.root / "sha256", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
