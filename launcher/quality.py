"""`./gantry check` and `./gantry test`: the same commands for a developer and for CI."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from launcher.environment import CHECKOUT, ENVIRONMENT
from launcher.terminal import step

BIN = ENVIRONMENT / "bin"


def test(arguments: list[str]) -> int:
    """Run pytest with `arguments`; its closing line is the last line."""
    chosen = arguments[1:] if arguments[:1] == ["--"] else arguments
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT), "PATH": f"{BIN}:{os.environ['PATH']}"}
    return subprocess.run([str(BIN / "pytest"), *chosen], cwd=CHECKOUT, env=environment, check=False).returncode


def check() -> int:
    """Run every static check and report all that fail, not only the first."""
    python = str(BIN / "python")
    build = {"DJANGO_SETTINGS_MODULE": "dashboard.settings.test"}
    checks: list[tuple[str, list[str], dict[str, str]]] = [
        ("format", [str(BIN / "ruff"), "format", "--check", "--quiet", "."], {}),
        ("lint", [str(BIN / "ruff"), "check", "--quiet", "."], {}),
        ("types", [str(BIN / "mypy"), *PACKAGES], {}),
        ("import contracts", [str(BIN / "lint-imports")], {}),
        ("migrations", [python, "manage.py", "makemigrations", "--check", "--dry-run"], build),
        ("marked strings", [python, "-m", "launcher.strings"], {}),
        *_compose(),
    ]
    failures = [title for title, command, extra in checks if not _passes(title, command, extra)]
    if failures:
        print(f"\n{len(failures)} of {len(checks)} checks failed: {', '.join(failures)}", file=sys.stderr)
    return 1 if failures else 0


PACKAGES = ("apps", "dashboard", "launcher", "nodeworker", "tests", "manage.py")


def _compose() -> list[tuple[str, list[str], dict[str, str]]]:
    """`docker compose config` where Docker's client has compose; it needs no engine."""
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode:
        print("  · docker-compose.yml: not checked, this machine has no `docker compose`")
        return []
    return [("docker-compose.yml", [docker, "compose", "-f", "docker-compose.yml", "config", "--quiet"], {})]


def _passes(title: str, command: list[str], extra: dict[str, str]) -> bool:
    try:
        with step(title):
            environment = {**os.environ, **extra, "PYTHONPATH": str(CHECKOUT)}
            done = subprocess.run(
                command, cwd=Path(CHECKOUT), env=environment, capture_output=True, text=True, check=False
            )
            if done.returncode:
                raise _FailedError(done.stdout + done.stderr)
    except _FailedError as failure:
        print(failure)
        return False
    return True


class _FailedError(Exception):
    """A check's output, shown after its line."""
