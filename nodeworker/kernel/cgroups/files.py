"""Reading and writing control files, with the file's name in every error."""

from __future__ import annotations

import os
from pathlib import Path


def write(path: Path, value: str) -> None:
    """One write(2): the kernel takes a value whole or not at all."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, value.encode())
    except OSError as error:
        raise OSError(error.errno, f"cannot write {value!r}: {error.strerror}", str(path)) from error
    finally:
        os.close(descriptor)


def read(path: Path) -> str:
    """The file's text; empty when it is not there."""
    try:
        return path.read_text()
    except FileNotFoundError:
        return ""
