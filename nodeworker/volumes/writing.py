"""Files of a volume, replaced all at once: a reader sees the old set or the new one, never a mixture.

As the kubelet does it: the files live in a directory `..<time>`, `..data` is a link to it that is replaced by rename,
and each visible name is a link through `..data`.
"""

import contextlib
import os
import shutil
import tempfile
from pathlib import Path

from nodeworker.volumes.payload import Files

CURRENT = "..data"


def write_files(directory: Path, files: Files, group: int | None = None) -> bool:
    """Bring the volume's directory to `files`; False when it holds them already."""
    if _holds(directory, files):
        return False
    fresh = Path(tempfile.mkdtemp(prefix="..", dir=directory))
    fresh.chmod(0o755)
    for name, (content, mode) in files.items():
        path = fresh / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        if group is not None:
            os.chown(path, -1, group)
            mode |= 0o040
        path.chmod(mode)
    old = _target(directory)
    link = directory / f"{CURRENT}_new"
    link.unlink(missing_ok=True)
    link.symlink_to(fresh.name)
    link.replace(directory / CURRENT)
    _show(directory, files)
    if old is not None:
        shutil.rmtree(old, ignore_errors=True)
    return True


def _holds(directory: Path, files: Files) -> bool:
    target = _target(directory)
    if target is None:
        return False
    present = {str(path.relative_to(target)) for path in target.rglob("*") if not path.is_dir()}
    if present != set(files):
        return False
    return all((target / name).read_bytes() == content for name, (content, _mode) in files.items())


def _target(directory: Path) -> Path | None:
    with contextlib.suppress(OSError):
        return directory / os.readlink(directory / CURRENT)  # noqa: PTH115 - the link's own text
    return None


def _show(directory: Path, files: Files) -> None:
    """Links for the first part of each path; links of files that are gone are removed."""
    visible = {name.split("/", 1)[0] for name in files}
    for name in visible:
        link = directory / name
        if not link.is_symlink():
            link.symlink_to(f"{CURRENT}/{name}")
    for entry in directory.iterdir():
        if entry.is_symlink() and not entry.name.startswith("..") and entry.name not in visible:
            entry.unlink()
