"""Make the images that the tests deploy, from Debian packages: no Docker, no registry, only apt and dpkg-deb.

Run it (`python tests/images/make_images.py [FOLDER]`) or call `make_images()`: it leaves nginx-1.7.9.tar,
nginx-latest.tar and debian-latest.tar, archives as docker save writes them, and does nothing when they are there.
The packages are not installed but read: each file of each .deb goes straight into a layer, no maintainer script
runs. The three images share the lowest layer, the two of nginx the second as well; they differ in their page, which
names the tag.
"""

import fcntl
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

CACHE = Path(__file__).resolve().parents[1] / ".cache"
BASE = ("base-files", "base-passwd", "bash", "coreutils", "dash", "findutils", "grep", "hostname", "procps", "sed")
NGINX = ("nginx",)
# What packages ask for only to be installed, which does not happen here.
_NOT_NEEDED = frozenset(
    {"awk", "cdebconf", "debconf", "debconf-2.0", "dpkg", "gcc-12-base", "init-system-helpers", "install-info"}
    | {"iproute2", "lsb-base", "mawk", "perl", "perl-base", "usr-is-merged", "usrmerge"}
)
_NOT_WANTED = re.compile(
    r"usr/share/(doc|man|info|locale|lintian|bug|menu)/.|usr/lib/[^/]+/gconv/.|usr/share/zoneinfo/."
)
_MERGED = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_SITE = """server {
    listen 80 default_server;
    root /usr/share/nginx/html;
    location / { try_files $uri $uri/ =404; }
}
"""


@dataclass(frozen=True)
class Layer:
    """A layer on the disk."""

    path: Path
    digest: str


def make_images(folder: Path = CACHE / "images") -> list[Path]:
    """Return the archives, made now or before."""
    archives = [folder / f"{name}.tar" for name in ("nginx-1.7.9", "nginx-latest", "debian-latest")]
    recipe = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder):
        stamp = folder / "made-by"
        if all(path.exists() for path in archives) and stamp.exists() and stamp.read_text() == recipe:
            return archives
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            _make(Path(scratch), archives)
        stamp.write_text(recipe)
    return archives


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Let one of several test runs make the images; the others find them."""
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _make(scratch: Path, archives: list[Path]) -> None:
    base_names = _closure(BASE)
    nginx_names = [name for name in _closure(NGINX) if name not in base_names]
    packages = _download([*base_names, *nginx_names])
    base = _layer(scratch / "base.tar", [packages[name] for name in base_names], _base_files())
    nginx = _layer(scratch / "nginx.tar", [packages[name] for name in nginx_names], _nginx_files())
    for path, tag in ((archives[0], "nginx:1.7.9"), (archives[1], "nginx:latest")):
        page = _layer(scratch / f"{path.stem}.page.tar", [], _page_files(tag))
        config = {
            "Cmd": ["nginx", "-g", "daemon off;"],
            "ExposedPorts": {"80/tcp": {}},
            "StopSignal": "SIGQUIT",
            "Labels": {"org.opencontainers.image.ref.name": tag},
        }
        _archive(path, tag, [base, nginx, page], config)
    _archive(archives[2], "debian:latest", [base], {"Cmd": ["bash"]})


def _closure(seeds: Iterable[str]) -> list[str]:
    """Return the packages and all that they depend on, the first of each alternative."""
    found: dict[str, None] = {}
    waiting = list(seeds)
    while waiting:
        fields = {name: text for name, text in zip(waiting, _shown(waiting), strict=True) if text}
        found |= dict.fromkeys(fields)
        wanted = [name for text in fields.values() for name in _dependencies(text)]
        waiting = [name for name in dict.fromkeys(wanted) if name not in found and name not in _NOT_NEEDED]
    return list(found)


def _shown(names: list[str]) -> list[str]:
    """Return what apt knows of each package; nothing for a virtual one."""
    for attempt in (1, 2):
        command = ["apt-cache", "show", "--no-all-versions", *names]
        answer = subprocess.run(command, capture_output=True, text=True, check=False, env=_environment())
        stanzas = {stanza.split("\n", 1)[0].removeprefix("Package: "): stanza for stanza in answer.stdout.split("\n\n")}
        if any(name in stanzas for name in names) or attempt == 2:
            break
        subprocess.run(["apt-get", "-q", "update"], check=True, stdout=sys.stderr, env=_environment())
    return [stanzas.get(name, "").lstrip() for name in names]


def _dependencies(stanza: str) -> list[str]:
    lines = re.findall(r"^(?:Pre-)?Depends: (.*)$", stanza, re.MULTILINE)
    choices = [choice for line in lines for choice in line.split(",")]
    return [re.split(r"[\s(:|]", choice.strip())[0] for choice in choices]


def _download(names: list[str]) -> dict[str, Path]:
    """Fetch the packages; those fetched before, in the same version, are not fetched again by apt."""
    folder = CACHE / "debs"
    folder.mkdir(parents=True, exist_ok=True)
    versions = dict(re.findall(r"^Package: (.*)\n(?:.*\n)*?Version: (.*)$", "\n".join(_shown(names)), re.MULTILINE))
    paths = {name: _find(folder, name, versions[name]) for name in names}
    missing = [name for name, path in paths.items() if path is None]
    if missing:
        print(f"downloading {len(missing)} packages: {' '.join(missing)}", file=sys.stderr)
        # As root apt would fetch as the user _apt, who may not write here.
        command = ["apt-get", "-q", "download", "-o", "APT::Sandbox::User=root", *missing]
        subprocess.run(command, cwd=folder, check=True, stdout=sys.stderr, env=_environment())
    found = {name: _find(folder, name, versions[name]) for name in names}
    return {name: path for name, path in found.items() if path is not None}


def _find(folder: Path, name: str, version: str) -> Path | None:
    escaped = version.replace(":", "%3a")
    return next((path for path in folder.glob(f"{name}_{escaped}_*.deb")), None)


def _environment() -> dict[str, str]:
    return os.environ | {"LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}


def _layer(path: Path, packages: list[Path], files: dict[str, bytes | str | int]) -> Layer:
    """Write a layer: the packages' files, then `files` (text: a symbolic link, a number: a directory of that mode)."""
    written: set[str] = set()
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as layer:
        for name, content in files.items():
            if isinstance(content, str) and content in (f"usr/{name}",):
                _add(layer, written, name, content)  # bin -> usr/bin must come before what lies in it
        for package in packages:
            _add_package(layer, written, package)
        for name, content in files.items():
            _add(layer, written, name, content)
    with path.open("rb") as stream:
        return Layer(path, hashlib.file_digest(stream, "sha256").hexdigest())


def _add_package(layer: tarfile.TarFile, written: set[str], package: Path) -> None:
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        with tarfile.open(fileobj=process.stdout, mode="r|") as files:
            for member in files:
                member.name = _merged(member.name)
                if member.islnk():
                    member.linkname = _merged(member.linkname)
                if not member.name or member.name in written or _NOT_WANTED.match(member.name):
                    continue
                written.add(member.name)
                layer.addfile(member, files.extractfile(member) if member.isreg() else None)
    if process.returncode != 0:
        raise RuntimeError(f"dpkg-deb could not read {package}")


def _merged(name: str) -> str:
    """Return where a file lies on a system whose /bin is /usr/bin."""
    name = name.removeprefix("./").strip("/")
    top = name.partition("/")[0]
    return f"usr/{name}" if top in _MERGED else name if name != "." else ""


def _add(layer: tarfile.TarFile, written: set[str], name: str, content: bytes | str | int) -> None:
    if name in written:
        return
    written.add(name)
    member = tarfile.TarInfo(name)
    data: IO[bytes] | None = None
    if isinstance(content, int):
        member.type, member.mode = tarfile.DIRTYPE, content
    elif isinstance(content, str):
        member.type, member.linkname, member.mode = tarfile.SYMTYPE, content, 0o777
    else:
        member.size, member.mode, data = len(content), 0o644, io.BytesIO(content)
    layer.addfile(member, data)


def _base_files() -> dict[str, bytes | str | int]:
    files: dict[str, bytes | str | int] = {name: f"usr/{name}" for name in _MERGED}
    folders = dict.fromkeys(("dev", "etc", "home", "mnt", "proc", "run", "srv", "sys", "usr", "var", "var/log"), 493)
    files |= folders | {"root": 0o700, "tmp": 0o1777, "var/tmp": 0o1777, "run/lock": 0o1777}
    files |= {f"usr/{name}": 0o755 for name in _MERGED}
    # base-passwd's script would copy them.
    files["etc/passwd"] = _master("passwd")
    files["etc/group"] = _master("group")
    files["usr/bin/sh"] = "dash"
    files["etc/hostname"] = b"debian\n"
    files["etc/nsswitch.conf"] = b"passwd: files\ngroup: files\nhosts: files dns\n"
    return files


def _master(name: str) -> bytes:
    """Return Debian's first passwd or group: those of the package, which this machine may not have unpacked."""
    installed = Path("/usr/share/base-passwd") / f"{name}.master"
    return installed.read_bytes().replace(b":*:", b":x:")


def _nginx_files() -> dict[str, bytes | str | int]:
    return {
        "etc/nginx/sites-enabled": 0o755,
        "etc/nginx/sites-enabled/default": _SITE.encode(),
        "var/log/nginx": 0o755,
        # The container's own output: what `kubectl logs` shows.
        "var/log/nginx/access.log": "/dev/stdout",
        "var/log/nginx/error.log": "/dev/stderr",
    }


def _page_files(tag: str) -> dict[str, bytes | str | int]:
    page = f"<!doctype html><title>Welcome to nginx!</title><h1>Welcome to nginx!</h1><p>This is {tag}.</p>\n"
    folders: dict[str, bytes | str | int] = {"usr": 0o755, "usr/share": 0o755, "usr/share/nginx": 0o755}
    return folders | {"usr/share/nginx/html": 0o755, "usr/share/nginx/html/index.html": page.encode()}


def _archive(path: Path, tag: str, layers: list[Layer], config: Mapping[str, object]) -> None:
    """Write an archive as docker save does."""
    machine = subprocess.run(
        ["dpkg", "--print-architecture"], capture_output=True, text=True, check=True
    ).stdout.strip()
    document = json.dumps(
        {
            "architecture": machine,
            "os": "linux",
            "created": "2026-01-01T00:00:00Z",
            "config": {"Env": [f"PATH={_PATH}"], "WorkingDir": "/", **config},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer.digest}" for layer in layers]},
            "history": [{"created": "2026-01-01T00:00:00Z", "created_by": "packages of Debian"} for _ in layers],
        }
    ).encode()
    name = hashlib.sha256(document).hexdigest()
    manifest = [
        {"Config": f"{name}.json", "RepoTags": [tag], "Layers": [f"{each.digest}/layer.tar" for each in layers]}
    ]
    partial = path.with_suffix(".partial")
    with tarfile.open(partial, "w") as archive:
        for layer in layers:
            archive.add(layer.path, f"{layer.digest}/layer.tar")
        for member, data in ((f"{name}.json", document), ("manifest.json", json.dumps(manifest).encode())):
            info = tarfile.TarInfo(member)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    partial.replace(path)


def main() -> None:
    """Make them, and say where they are."""
    if shutil.which("dpkg-deb") is None:
        raise SystemExit("dpkg-deb is missing: this script needs a Debian machine")
    for path in make_images(*(Path(argument).resolve() for argument in sys.argv[1:2])):
        print(path)


if __name__ == "__main__":
    main()
