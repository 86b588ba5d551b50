"""Reading and writing control files, with the file's name in every error."""

from __future__ import annotations

import os

Name = str | os.PathLike[str]


def write(path: Name, value: str) -> None:
    """One write(2): the kernel takes a value whole or not at all."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, value.encode())
    except OSError as error:
        raise OSError(error.errno, f"cannot write {value!r}: {error.strerror}", os.fspath(path)) from error
    finally:
        os.close(descriptor)


def read(path: Name) -> str:
    """The file's text; empty when it is not there."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return ""
    found = b""
    try:
        while part := os.read(descriptor, 65536):
            found += part
    finally:
        os.close(descriptor)
    return found.decode()
