"""The unpacked layers of this node: one directory each, named by what it unpacks to, complete or not there.

Called by nodeworker.images.store. A layer is unpacked into a directory of another name and renamed when its content
is verified. A file beside it says what it is and in which boot of the machine it was written: until a background
sync has brought it to the disk it counts only for that boot, so a power failure never leaves a layer of empty files
in use.
"""

import base64
import ctypes
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Collection
from concurrent.futures import Future
from pathlib import Path
from typing import BinaryIO

import msgspec

from nodeworker.images.files import read_json, write_json
from nodeworker.images.unpack import unpack

_PARTIAL = "partial-"
_libc = ctypes.CDLL(None, use_errno=True)


class LayerRecord(msgspec.Struct, frozen=True):
    """The contents of <name>.json. `boot` is empty once the layer is safe on the disk."""

    diff_id: str
    bytes: int
    entries: int
    boot: str = ""


def directory_name(diff_id: str) -> str:
    """Return the directory's name: 26 characters, so that 127 of them fit into overlay's one page of options."""
    return base64.b32encode(bytes.fromhex(diff_id.removeprefix("sha256:"))[:16]).decode().rstrip("=").lower()


def boot_id() -> str:
    """Return the kernel's name of this boot."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


class Layers:
    """The folder HOME/node/layers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()
        self._at_work: dict[str, Future[Path]] = {}
        self._boot = boot_id()
        folder.mkdir(parents=True, exist_ok=True)
        # Layers hold setuid programs of any image: nobody else of this machine may reach them.
        folder.chmod(0o700)
        self._records = self._load()

    def path(self, diff_id: str) -> Path | None:
        """Return the layer's directory, or None when it is not here."""
        with self._lock:
            return self.folder / directory_name(diff_id) if diff_id in self._records else None

    def size(self, diff_id: str) -> int:
        """Return how many bytes the layer unpacked to."""
        record = self._records.get(diff_id)
        return record.bytes if record else 0

    def ensure(self, diff_id: str, fetch: Callable[[], BinaryIO], report: Callable[[int], None]) -> Path:
        """Return the layer's directory; whoever asks first unpacks what `fetch` gives, the others wait for that."""
        with self._lock:
            if diff_id in self._records:
                return self.folder / directory_name(diff_id)
            waiting = self._at_work.get(diff_id)
            if waiting is None:
                mine = self._at_work[diff_id] = Future()
        if waiting is not None:
            return waiting.result()
        try:
            path = self._unpack(diff_id, fetch, report)
        except BaseException as error:
            with self._lock:
                del self._at_work[diff_id]
            mine.set_exception(error)
            raise
        with self._lock:
            del self._at_work[diff_id]
        mine.set_result(path)
        return path

    def sync(self) -> None:
        """Bring the layers of this boot to the disk and record it; called in the background after an image is ready."""
        with self._lock:
            fresh = {diff_id: record for diff_id, record in self._records.items() if record.boot}
        if not fresh:
            return
        descriptor = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            if _libc.syncfs(descriptor) != 0:
                return
        finally:
            os.close(descriptor)
        with self._lock:
            for diff_id, record in fresh.items():
                if diff_id in self._records:
                    self._record(msgspec.structs.replace(record, boot=""))

    def set_aside_all_but(self, keep: Collection[str]) -> list[Path]:
        """Make the layers disappear whose diff id is not in `keep`.

        The slow removal of what is returned comes after.
        """
        with self._lock:
            gone = [diff_id for diff_id in self._records if diff_id not in keep]
            return [self._set_aside(diff_id) for diff_id in gone]

    def remove(self, doomed: list[Path]) -> None:
        """Remove what was set aside."""
        for path in doomed:
            shutil.rmtree(path, ignore_errors=True)

    def _unpack(self, diff_id: str, fetch: Callable[[], BinaryIO], report: Callable[[int], None]) -> Path:
        partial = Path(tempfile.mkdtemp(prefix=_PARTIAL, dir=self.folder))
        try:
            partial.chmod(0o755)
            with fetch() as blob:
                written = unpack(blob, partial, diff_id, report)
            final = self.folder / directory_name(diff_id)
            with self._lock:
                self._record(LayerRecord(diff_id, written.bytes, written.entries, self._boot))
                partial.rename(final)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        return final

    def _record(self, record: LayerRecord) -> None:
        write_json(self._record_path(record.diff_id), record)
        self._records[record.diff_id] = record

    def _record_path(self, diff_id: str) -> Path:
        return self.folder / f"{directory_name(diff_id)}.json"

    def _set_aside(self, diff_id: str) -> Path:
        """Make the layer disappear at once; the slow removal follows without the lock."""
        del self._records[diff_id]
        path = self.folder / directory_name(diff_id)
        doomed = Path(tempfile.mkdtemp(prefix=_PARTIAL, dir=self.folder))
        self._record_path(diff_id).unlink(missing_ok=True)
        path.rename(doomed / "layer")
        return doomed

    def _load(self) -> dict[str, LayerRecord]:
        records: dict[str, LayerRecord] = {}
        for path in self.folder.glob("*.json"):
            record = read_json(path, LayerRecord)
            directory = path.with_suffix("")
            if record and directory.is_dir() and record.boot in ("", self._boot):
                records[record.diff_id] = record
        kept = {directory_name(diff_id) for diff_id in records}
        for path in self.folder.iterdir():
            if path.name.removesuffix(".json") in kept:
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
        return records
