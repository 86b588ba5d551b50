"""Archives for the tests, honest and otherwise: built by hand, so that each can be wrong in exactly one place."""

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from typing import Any

from apps.images.manifests import this_platform


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def tar(files: Mapping[str, bytes | str | tarfile.TarInfo]) -> bytes:
    """A tar of files (bytes), symbolic links (str) and members given whole."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in files.items():
            member = content if isinstance(content, tarfile.TarInfo) else tarfile.TarInfo(name)
            if isinstance(content, str):
                member.type, member.linkname = tarfile.SYMTYPE, content
            data = content if isinstance(content, bytes) else b""
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def layer(**files: str) -> bytes:
    return tar({name: text.encode() for name, text in files.items()})


def config(*layers: bytes, **more: Any) -> bytes:
    """The configuration of an image with these uncompressed layers."""
    document = {
        "architecture": this_platform().architecture,
        "os": "linux",
        "created": "2026-01-02T03:04:05.678Z",
        "config": {"Cmd": ["sh"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{sha(each)}" for each in layers]},
    }
    return json.dumps(document | more).encode()


def docker_files(*layers: bytes, tags: tuple[str, ...] = ("shop/web:1",)) -> dict[str, bytes | str | tarfile.TarInfo]:
    """The files of a docker-archive."""
    document = config(*layers)
    names = [f"{sha(each)}/layer.tar" for each in layers]
    manifest = [{"Config": f"{sha(document)}.json", "RepoTags": list(tags), "Layers": names}]
    files: dict[str, bytes | str | tarfile.TarInfo] = dict(zip(names, layers, strict=True))
    return files | {f"{sha(document)}.json": document, "manifest.json": json.dumps(manifest).encode()}


def docker_archive(*layers: bytes, tags: tuple[str, ...] = ("shop/web:1",)) -> bytes:
    return tar(docker_files(*layers, tags=tags))


def descriptor(data: bytes, media_type: str, **more: Any) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": f"sha256:{sha(data)}", "size": len(data)} | more


def oci_documents(*layers: bytes) -> tuple[bytes, dict[str, bytes]]:
    """The manifest of an image with gzipped layers, and all its blobs by digest."""
    document = config(*layers)
    packed = [gzip.compress(each, mtime=0) for each in layers]
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": descriptor(document, "application/vnd.oci.image.config.v1+json"),
            "layers": [descriptor(each, "application/vnd.oci.image.layer.v1.tar+gzip") for each in packed],
        }
    ).encode()
    return manifest, {f"sha256:{sha(each)}": each for each in (manifest, document, *packed)}


def oci_index(manifest: bytes, name: str = "docker.io/shop/web:1", **more: Any) -> bytes:
    entry = descriptor(manifest, "application/vnd.oci.image.manifest.v1+json", **more)
    if name:
        entry["annotations"] = {"io.containerd.image.name": name}
    return json.dumps({"schemaVersion": 2, "manifests": [entry]}).encode()


def oci_files(*layers: bytes, name: str = "docker.io/shop/web:1") -> dict[str, bytes | str | tarfile.TarInfo]:
    """The files of an OCI archive."""
    manifest, blobs = oci_documents(*layers)
    files: dict[str, bytes | str | tarfile.TarInfo] = {"oci-layout": b'{"imageLayoutVersion": "1.0.0"}'}
    files["index.json"] = oci_index(manifest, name)
    return files | {f"blobs/{digest.replace(':', '/')}": data for digest, data in blobs.items()}


def oci_archive(*layers: bytes, name: str = "docker.io/shop/web:1") -> bytes:
    return tar(oci_files(*layers, name=name))
