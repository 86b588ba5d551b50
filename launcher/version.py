"""What code an instance runs: a digest of the checkout's sources, so that `up` after `git pull` knows to restart."""

import hashlib
from pathlib import Path

from launcher.environment import CHECKOUT

SOURCES = ("apps", "dashboard", "nodeworker", "launcher", "templates", "requirements", "frontend/src")


def source_digest() -> str:
    """Return a digest of everything that the processes of an instance load."""
    digest = hashlib.sha256()
    for folder in SOURCES:
        for path in sorted((CHECKOUT / folder).rglob("*")):
            if path.is_file() and path.suffix in (".py", ".html", ".txt", ".ts", ".tsx", ".css"):
                digest.update(str(path.relative_to(CHECKOUT)).encode())
                digest.update(path.read_bytes())
    return digest.hexdigest()


def running_version(home: Path) -> str:
    """Return the digest that was stored when the instance was last started; empty if never."""
    path = home / "run" / "version"
    return path.read_text() if path.exists() else ""


def record_version(home: Path, digest: str) -> None:
    """Store the digest of the code that is being started."""
    (home / "run" / "version").write_text(digest)
