"""Who a container's process runs as: "name", "uid", "name:group" against the image's own passwd and group files.

libc's look-up would load code from the container (CVE-2019-14271), so the two files are read here, as data: regular
files only, a bounded number of bytes, numbers within range (CVE-2024-40635).
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass

from nodeworker.kernel.paths import open_in_root
from nodeworker.runtime.errors import StartError

_LIMIT = 1024 * 1024
_HIGHEST_ID = 2**31 - 1
_NUMBER = re.compile(r"0|[1-9][0-9]{0,9}")


@dataclass(frozen=True, slots=True)
class User:
    """The identity that a process takes on."""

    uid: int
    gid: int
    groups: tuple[int, ...] = ()
    home: str = "/"


def _refuse(message: str) -> StartError:
    return StartError(message, "CreateContainerConfigError")


def check_id(value: int, what: str) -> int:
    """The number, if it is one that Linux gives to users and groups."""
    if not 0 <= value <= _HIGHEST_ID:
        raise _refuse(f"{what} {value} is out of range: it must lie between 0 and {_HIGHEST_ID}")
    return value


def _read(root: int, path: str) -> str:
    try:
        # Not blocking: a FIFO in the image's place for the file would hold us for ever.
        descriptor = open_in_root(root, path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except OSError as error:
        raise _refuse(f"{path} of the image cannot be read: {error.strerror}") from error
    with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise _refuse(f"{path} of the image is not a regular file")
        if status.st_size > _LIMIT:
            raise _refuse(f"{path} of the image is larger than {_LIMIT // 1024} KiB")
        return file.read(_LIMIT).decode(errors="replace")


def _entries(text: str, fields: int) -> Iterator[list[str]]:
    for line in text.splitlines():
        parts = line.split(":")
        if len(parts) >= fields and not line.startswith("#"):
            yield parts


def _number(text: str) -> int | None:
    return int(text) if _NUMBER.fullmatch(text) else None


def _find(text: str, fields: int, wanted: str) -> list[str] | None:
    """The entry of that name or, for a number, of that id."""
    number = _number(wanted)
    for entry in _entries(text, fields):
        if (entry[0] == wanted) if number is None else (_number(entry[2]) == number):
            return entry
    return None


def _group_id(text: str, wanted: str) -> int:
    number = _number(wanted)
    if number is not None:
        return check_id(number, "the group")
    entry = _find(text, 3, wanted)
    found = _number(entry[2]) if entry else None
    if found is None:
        raise _refuse(f'no group "{wanted}" in /etc/group of the image')
    return check_id(found, f'the id of group "{wanted}"')


def resolve_user(root: int, wanted: str, *, group: int | None = None, additional: tuple[int, ...] = ()) -> User:
    """The user of "user[:group]" (empty: root) in the file system of the descriptor `root`.

    `group` replaces the primary group; `additional` ids are added to those of the image's group file.
    """
    name, _, group_name = (wanted or "0").partition(":")
    number = _number(name)
    if number is None and re.fullmatch(r"[-+]?(0[xX])?[0-9]+", name):
        raise _refuse(f'the user "{name}" is neither a name nor a plain number between 0 and {_HIGHEST_ID}')
    if number is not None:
        check_id(number, "the user")
    entry = _find(_read(root, "/etc/passwd"), 4, name)
    if number is None:
        found = _number(entry[2]) if entry else None
        if found is None:
            raise _refuse(f'no user "{name}" in /etc/passwd of the image')
        number = check_id(found, f'the id of user "{name}"')
    groups: set[int] = set()
    if group_name:
        gid = _group_id(_read(root, "/etc/group"), group_name)
    else:
        gid = check_id(_number(entry[3]) or 0, "the group") if entry else 0
        if entry:
            groups = _memberships(_read(root, "/etc/group"), entry[0])
    if group is not None:
        gid = check_id(group, "the group")
    groups.update(check_id(value, "the supplementary group") for value in additional)
    home = entry[5] if entry and len(entry) > 5 and entry[5].startswith("/") else "/"
    return User(number, gid, tuple(sorted(groups)), home)


def _memberships(text: str, name: str) -> set[int]:
    found = set()
    for entry in _entries(text, 4):
        identifier = _number(entry[2])
        if identifier is not None and identifier <= _HIGHEST_ID and name in entry[3].split(","):
            found.add(identifier)
    return found
