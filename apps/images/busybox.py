"""The image `busybox:latest`, made from Debian's busybox-static when an instance has no image at all.

Called by `manage.py make_busybox` (the launcher, at every start). It takes the way of every other import: an archive
as docker save would write it, made in memory, imported.
"""

import hashlib
import io
import subprocess
import tarfile
from pathlib import Path

import msgspec

from apps.images.archives import Imported, import_archive
from apps.images.blobs import BlobStore
from apps.images.manifests import this_platform
from apps.images.models import Image
from apps.images.progress import Progress

BINARY = Path("/bin/busybox")
REFERENCE = "busybox:latest"
_DIRECTORIES = {"bin": 0o755, "dev": 0o755, "etc": 0o755, "home": 0o755, "proc": 0o755, "root": 0o700, "run": 0o755}
_DIRECTORIES |= {"sys": 0o755, "tmp": 0o1777, "usr": 0o755, "usr/bin": 0o755, "usr/sbin": 0o755, "sbin": 0o755}
_DIRECTORIES |= {"var": 0o755, "var/log": 0o755, "var/tmp": 0o1777, "var/www": 0o755}
_FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nwww-data:x:33:33:www-data:/var/www:/bin/false\n"
    "nobody:x:65534:65534:nobody:/home:/bin/false\n",
    "etc/group": "root:x:0:\nwww-data:x:33:\nnogroup:x:65534:\n",
    "etc/nsswitch.conf": "hosts: files dns\n",
}


def make_busybox(blobs: BlobStore, *, binary: Path = BINARY) -> Imported:
    """Make and import the image; raise FileNotFoundError when busybox-static is not installed."""
    archive = io.BytesIO(_archive(binary.read_bytes(), _applets(binary)))
    return import_archive(blobs, archive, _ignore)[0]


def make_first_image(blobs: BlobStore) -> Imported | None:
    """Make it when there is no image at all; return None when there is one."""
    return None if Image.objects.exists() else make_busybox(blobs)


def _ignore(_progress: Progress) -> None:
    """Nobody watches."""


def _applets(binary: Path) -> list[str]:
    answer = subprocess.run([binary, "--list-full"], capture_output=True, text=True, check=True, timeout=20)
    return sorted({line.strip() for line in answer.stdout.splitlines() if line.strip()} - {"bin/busybox"})


def _archive(busybox: bytes, applets: list[str]) -> bytes:
    """Return a docker-archive of one image with one layer. The same binary gives the same bytes: times are zero."""
    layer = _layer(busybox, applets)
    digest = hashlib.sha256(layer).hexdigest()
    config = msgspec.json.encode(
        {
            "architecture": this_platform().architecture,
            "os": "linux",
            "created": "1970-01-01T00:00:00Z",
            "config": {
                "Cmd": ["sh"],
                "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
                "WorkingDir": "/",
            },
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
            "history": [{"created_by": "busybox-static of Debian"}],
        }
    )
    name = hashlib.sha256(config).hexdigest()
    manifest = [{"Config": f"{name}.json", "RepoTags": [REFERENCE], "Layers": [f"{digest}/layer.tar"]}]
    return _tar({f"{digest}/layer.tar": layer, f"{name}.json": config, "manifest.json": msgspec.json.encode(manifest)})


def _layer(busybox: bytes, applets: list[str]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, mode in _DIRECTORIES.items():
            _add(tar, name, mode, tarfile.DIRTYPE)
        _add(tar, "bin/busybox", 0o755, tarfile.REGTYPE, busybox)
        for name in applets:
            _add(tar, name, 0o777, tarfile.SYMTYPE, link="/bin/busybox")
        for name, text in _FILES.items():
            _add(tar, name, 0o644, tarfile.REGTYPE, text.encode())
    return buffer.getvalue()


def _add(tar: tarfile.TarFile, name: str, mode: int, kind: bytes, data: bytes = b"", link: str = "") -> None:
    member = tarfile.TarInfo(name)
    member.mode, member.type, member.size, member.linkname = mode, kind, len(data), link
    tar.addfile(member, io.BytesIO(data))


def _tar(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, data in files.items():
            _add(tar, name, 0o644, tarfile.REGTYPE, data)
    return buffer.getvalue()
