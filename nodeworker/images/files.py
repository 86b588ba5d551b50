"""Small state files: read whole, replaced by rename, so that a reader sees the old one or the new one.

Called by nodeworker.images.layers and store.
"""

import os
import tempfile
from pathlib import Path
from typing import TypeVar

import msgspec

Record = TypeVar("Record")


def write_json(path: Path, record: object) -> None:
    """Replace `path` by the JSON of `record`."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.encode(record))
            file.flush()
            os.fsync(file.fileno())
        Path(name).rename(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def read_json(path: Path, kind: type[Record]) -> Record | None:
    """Return the record in `path`, or None when it is missing or not one."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return None
