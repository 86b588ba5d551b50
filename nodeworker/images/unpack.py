"""Unpack one layer: the parent's call, and the process that does it.

Called by nodeworker.images.layers. The work is done by a process of its own: it keeps the node's threads free, it
can be killed, and it makes the target its root directory before it reads the first byte, so that even a mistake in
extract.py could not leave it. Everything is imported before; afterwards `sys.path` is empty, so that nothing can be
imported from the layer.
"""

import contextlib
import ctypes
import errno
import hashlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

from nodeworker.images.compression import DECOMPRESSION_ERRORS, Readable, open_layer
from nodeworker.images.extract import LayerWriter, Written
from nodeworker.wire.tar import READ_SIZE, TarError, TarReader

_PROJECT = Path(__file__).resolve().parents[2]
_PROGRAM = "import sys; sys.path.insert(0, sys.argv[1]); from nodeworker.images.unpack import main; main()"
_PR_SET_PDEATHSIG = 1
_REPORT_EVERY = 16 << 20
# Honest layers compress three- to twentyfold; a layer of zeros a thousandfold. Small ones may do what they like.
_SMALL, _RATIO = 1 << 30, 200


class UnpackError(Exception):
    """The layer cannot be unpacked; the text says why.

    `temporary`: the same layer may do another time (disk full).
    """

    def __init__(self, message: str, *, temporary: bool = False) -> None:
        super().__init__(message)
        self.temporary = temporary


def unpack(blob: BinaryIO, target: Path, diff_id: str, report: Callable[[int], None]) -> Written:
    """Unpack the layer in `blob` into the empty directory `target` and check that its content is `diff_id`.

    `report` is told how many bytes of the blob are done. On failure the directory holds rubbish: the caller removes
    it.
    """
    descriptor = os.open(target, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        command = [sys.executable, "-I", "-c", _PROGRAM, str(_PROJECT), str(descriptor), diff_id]
        with subprocess.Popen(command, stdin=blob, stdout=subprocess.PIPE, pass_fds=[descriptor]) as child:
            return _follow(child, report)
    finally:
        os.close(descriptor)


def _follow(child: "subprocess.Popen[bytes]", report: Callable[[int], None]) -> Written:
    assert child.stdout is not None
    for line in child.stdout:
        message: dict[str, Any] = json.loads(line)
        if "done" in message:
            return Written(**message["done"])
        if "error" in message:
            raise UnpackError(message["error"], temporary=message["temporary"])
        report(message["read"])
    code = child.wait()
    raise UnpackError(f"the process that unpacks it ended unexpectedly (code {code})", temporary=True)


def main() -> None:
    """The child: descriptor 0 is the blob, argv[2] the target directory's descriptor, argv[3] the diff id."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    with contextlib.suppress(OSError):
        os.nice(5)
    target, diff_id = int(sys.argv[2]), sys.argv[3]
    say = os.fdopen(os.dup(1), "w", buffering=1)
    blob = open(0, "rb", closefd=False)  # noqa: SIM115
    os.umask(0)
    os.fchdir(target)
    os.chroot(".")
    sys.path.clear()
    sys.path_importer_cache.clear()
    try:
        message: dict[str, Any] = {"done": asdict(_unpack(blob, target, diff_id, say.write))}
    except TarError as error:
        message = {"error": str(error), "temporary": False}
    except DECOMPRESSION_ERRORS as error:
        message = {"error": f"its compressed data is damaged: {error}", "temporary": False}
    except OSError as error:
        message = {"error": _os_error(error), "temporary": True}
    except Exception as error:
        message = {"error": f"unpacking failed: {error!r}", "temporary": False}
    say.write(json.dumps(message) + "\n")
    say.flush()
    os._exit(0)


def _os_error(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "the disk that holds the node's images is full"
    return f"unpacking failed: {error}"


def _unpack(blob: BinaryIO, target: int, diff_id: str, say: Callable[[str], object]) -> Written:
    size = os.fstat(0).st_size
    stream = _ReadAhead(open_layer(blob), lambda: _report(blob, say))
    reader = TarReader(stream.read)
    written = LayerWriter(target, reader, max(_SMALL, _RATIO * size)).write_all()
    reader.drain()
    if stream.digest() != diff_id:
        raise TarError(f"its content has the digest {stream.digest()}, but the image says {diff_id}")
    return written


def _report(blob: BinaryIO, say: Callable[[str], object]) -> None:
    with contextlib.suppress(ValueError):
        say(json.dumps({"read": blob.tell()}) + "\n")


class _ReadAhead:
    """Decompresses and hashes in a thread of its own, a few pieces ahead of the writer: two cores work on one layer."""

    def __init__(self, source: Readable, report: Callable[[], None]) -> None:
        self._source = source
        self._report = report
        self._hash = hashlib.sha256()
        self._pieces: queue.Queue[bytes | BaseException] = queue.Queue(maxsize=4)
        self._ended = False
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        unreported = 0
        try:
            while piece := self._source.read(READ_SIZE):
                self._hash.update(piece)
                self._pieces.put(piece)
                unreported += len(piece)
                if unreported >= _REPORT_EVERY:
                    self._report()
                    unreported = 0
            self._pieces.put(b"")
        except BaseException as error:
            self._pieces.put(error)

    def read(self, _size: int) -> bytes:
        """Return the next piece, whatever its size; empty at the end."""
        if self._ended:
            return b""
        piece = self._pieces.get()
        if isinstance(piece, BaseException):
            raise piece
        self._ended = not piece
        return piece

    def digest(self) -> str:
        """Return the digest of everything; to be asked for after the end."""
        return f"sha256:{self._hash.hexdigest()}"


if __name__ == "__main__":
    main()
