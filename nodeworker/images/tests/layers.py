"""Layers for the tests: tar members written one by one, hostile ones too, and a way to unpack them."""

import hashlib
import io
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest

from nodeworker.images.unpack import unpack

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="unpacking makes devices and owners: it needs root")


def member(name: str, kind: bytes = tarfile.REGTYPE, *, link: str = "", **more: Any) -> tarfile.TarInfo:
    """A member; `more` sets mode, uid, pax_headers ..."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    info.mode = 0o755 if kind == tarfile.DIRTYPE else 0o644
    for key, value in more.items():
        setattr(info, key, value)
    return info


def file(name: str, text: str = "x", **more: Any) -> tuple[tarfile.TarInfo, bytes]:
    info = member(name, **more)
    info.size = len(text)
    return info, text.encode()


def directory(name: str, **more: Any) -> tarfile.TarInfo:
    return member(name, tarfile.DIRTYPE, **more)


def symlink(name: str, target: str) -> tarfile.TarInfo:
    return member(name, tarfile.SYMTYPE, link=target)


def hard_link(name: str, target: str) -> tarfile.TarInfo:
    return member(name, tarfile.LNKTYPE, link=target)


Member = tarfile.TarInfo | tuple[tarfile.TarInfo, bytes]


def tar(*members: Member) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for each in members:
            info, data = each if isinstance(each, tuple) else (each, b"")
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def raw_header(name: bytes, *, size: bytes = b"00000000000\0", kind: bytes = b"0") -> bytes:
    """A header block as no library writes it."""
    block = bytearray(512)
    block[: len(name)] = name
    block[100:108], block[108:116], block[116:124] = b"0000644\0", b"0000000\0", b"0000000\0"
    block[124:136], block[136:148], block[156:157] = size, b"00000000000\0", kind
    block[257:265] = b"ustar\00000"
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def sha(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def unpacked(folder: Path, content: bytes, *, packed: bytes | None = None, diff_id: str = "") -> Path:
    """Unpack a layer into a new directory below `folder` and return that."""
    target = folder / "root"
    target.mkdir()
    blob = folder / "blob"
    blob.write_bytes(content if packed is None else packed)
    with blob.open("rb") as stream:
        unpack(stream, target, diff_id or sha(content), lambda _: None)
    return target
