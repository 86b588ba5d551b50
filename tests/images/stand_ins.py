"""Small images of the machine's busybox under names that manifests ask for. Used by tests/cluster/test_manifests.py."""

import hashlib
import io
import shutil
import subprocess
import tarfile
from collections.abc import Mapping
from pathlib import Path

from tests.images.make_images import Layer, _archive


def busybox_archive(folder: Path, tag: str, files: Mapping[str, str] | None = None) -> Path | None:
    """An archive as docker save writes it, with busybox and `files`; None where there is no busybox."""
    found = shutil.which("busybox")
    if found is None:
        return None
    stem = tag.replace("/", "-").replace(":", "-")
    path = folder / f"{stem}-layer.tar"
    with tarfile.open(path, "w") as layer:
        _add(layer, "bin/busybox", Path(found).read_bytes())
        for name in subprocess.run([found, "--list"], capture_output=True, text=True, check=True).stdout.split():
            if name != "busybox":
                link = tarfile.TarInfo(f"bin/{name}")
                link.type, link.linkname = tarfile.SYMTYPE, "busybox"
                layer.addfile(link)
        for name, text in (files or {}).items():
            _add(layer, name, text.encode())
    archive = folder / f"{stem}.tar"
    _archive(archive, tag, [Layer(path, hashlib.sha256(path.read_bytes()).hexdigest())], {"Cmd": ["sh"]})
    return archive


def _add(layer: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), 0o755
    layer.addfile(entry, io.BytesIO(content))
