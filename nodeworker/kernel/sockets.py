"""Unix sockets between processes of one user: private paths, checked peers, messages with descriptors."""

from __future__ import annotations

import json
import os
import socket
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

MESSAGE_LIMIT = 192 * 1024
# Made once: json.dumps would build an encoder for every message.
encode = json.JSONEncoder(separators=(",", ":")).encode


def listen(path: Path, backlog: int = 128) -> socket.socket:
    """A SOCK_SEQPACKET listener at a path in a 0700 directory; an abstract name would be reachable from containers
    with the host's network (CVE-2020-15257)."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
    path.unlink(missing_ok=True)
    with _short(path) as name:
        listener.bind(name)
    path.chmod(0o600)
    listener.listen(backlog)
    return listener


def connect(path: Path, timeout: float | None = None) -> socket.socket:
    """Connect to such a listener."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
    connection.settimeout(timeout)
    try:
        with _short(path) as name:
            connection.connect(name)
    except OSError:
        connection.close()
        raise
    return connection


class _short:  # noqa: N801 - reads as a function
    """A name of at most 107 bytes for a socket whose path may be longer: through a descriptor of its directory."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = -1

    def __enter__(self) -> str:
        if len(os.fsencode(self._path)) < 108:
            return str(self._path)
        self._descriptor = os.open(self._path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        return f"/proc/self/fd/{self._descriptor}/{self._path.name}"

    def __exit__(self, *exception: object) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)


def peer(connection: socket.socket) -> tuple[int, int]:
    """(pid, uid) of the process at the other end."""
    pid, uid, _gid = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return pid, uid


def send(connection: socket.socket, message: dict[str, Any], descriptors: Sequence[int] = ()) -> None:
    """One message as JSON, with descriptors."""
    data = encode(message).encode()
    if descriptors:
        socket.send_fds(connection, [data], list(descriptors))
    else:
        connection.sendall(data)


def receive(connection: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """One message and its descriptors (close-on-exec); EOFError when the other end has gone."""
    data, descriptors, _flags, _address = socket.recv_fds(connection, MESSAGE_LIMIT, 8, socket.MSG_CMSG_CLOEXEC)
    if not data:
        raise EOFError("the other end closed the connection")
    return json.loads(data.decode()), descriptors
