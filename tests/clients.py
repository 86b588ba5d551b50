"""Real clients for tests: Debian's kubectl (1.20), a newer one where the machine has it, the Python package.

Debian's package is downloaded with apt and unpacked once into tests/.cache, because another package may own
/usr/bin/kubectl; nothing is installed.
"""

import fcntl
import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

CACHE = Path(__file__).parent / ".cache" / "kubectl"


def debian_kubectl() -> Path:
    """Return Debian's kubectl; the test is skipped where apt cannot download it."""
    binary = CACHE / "usr" / "bin" / "kubectl"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not binary.exists():
            _download()
    if not binary.exists():
        pytest.skip("Debian's package kubernetes-client cannot be downloaded here")
    return binary


def _download() -> None:
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        return
    subprocess.run(["apt-get", "download", "kubernetes-client"], cwd=CACHE, capture_output=True, check=False)
    for package in CACHE.glob("kubernetes-client_*.deb"):
        subprocess.run(["dpkg", "-x", str(package), str(CACHE)], check=True, capture_output=True)
        package.unlink()


kubectl_binary = debian_kubectl


def newer_kubectl() -> Path:
    """Return the kubectl in PATH; the test is skipped where there is none or where it is Debian's."""
    found = shutil.which("kubectl")
    if found is None:
        pytest.skip("no kubectl in PATH")
    if client_minor(Path(found)) < 31:
        pytest.skip("the kubectl in PATH is older than 1.31: it has no WebSocket exec")
    return Path(found)


@cache
def client_minor(binary: Path) -> int:
    """Return the minor version of a kubectl."""
    done = subprocess.run(
        [str(binary), "version", "--client", "-o", "yaml"], capture_output=True, text=True, check=True, timeout=30
    )
    return int("".join(c for c in yaml.safe_load(done.stdout)["clientVersion"]["minor"] if c.isdigit()))


@dataclass(frozen=True)
class Kubectl:
    """One kubectl with its own cache, speaking to one server."""

    binary: Path
    kubeconfig: Path
    cache_dir: Path
    options: Sequence[str] = field(default=())

    def command(self, *arguments: str) -> list[str]:
        return [
            *(str(self.binary), f"--kubeconfig={self.kubeconfig}", f"--cache-dir={self.cache_dir}", *self.options),
            *arguments,
        ]

    def run(self, *arguments: str, stdin: str | None = None, check: bool = True) -> "subprocess.CompletedProcess[str]":
        """Run to the end; a failure that was not expected shows both outputs."""
        done = subprocess.run(
            self.command(*arguments),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env=_environment(),
        )
        if check and done.returncode != 0:
            pytest.fail(f"kubectl {' '.join(arguments)}: exit code {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    def start(self, *arguments: str, **options: Any) -> "subprocess.Popen[str]":
        """Start one that goes on (get -w, logs -f); the caller ends it."""
        return subprocess.Popen(
            self.command(*arguments),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=_environment(),
            **options,
        )


def _environment() -> dict[str, str]:
    """No proxy and no plug-ins of the machine that runs the tests."""
    kept = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    return kept | {"KUBECONFIG": "/nonexistent", "HOME": str(CACHE)}
