"""The static checks of `./gantry check`, as tests, so that CI and a developer see the same."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent


def run(*command: str, **variables: str) -> None:
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT), **variables}
    done = subprocess.run(command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def tracked_files() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=CHECKOUT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [CHECKOUT / name for name in listed.stdout.split("\0") if name]


def test_every_file_is_formatted() -> None:
    run(str(BIN / "ruff"), "format", "--check", "--quiet", ".")


def test_lint_finds_nothing() -> None:
    run(str(BIN / "ruff"), "check", "--quiet", ".")


@pytest.mark.timeout(400)
def test_types_are_strict_and_right() -> None:
    run(str(BIN / "mypy"), "apps", "dashboard", "launcher", "nodeworker", "tests", "manage.py")


def test_imports_point_down_only() -> None:
    run(str(BIN / "lint-imports"))


def test_no_migration_is_missing() -> None:
    settings = "dashboard.settings.test"
    run(sys.executable, "manage.py", "makemigrations", "--check", "--dry-run", DJANGO_SETTINGS_MODULE=settings)


def test_no_committed_file_names_a_package_index() -> None:
    # Put together here, so that this file does not name them either.
    hosts = [
        ".".join(parts)
        for parts in (("pypi", "org"), ("npmjs", "org"), ("pythonhosted", "org"), ("deb", "debian", "org"))
    ]
    pattern = re.compile("|".join(map(re.escape, hosts)))
    found = [
        str(path) for path in tracked_files() if path.is_file() and pattern.search(path.read_text(errors="replace"))
    ]
    assert found == []


def test_every_module_says_what_it_is_for() -> None:
    silent = [
        str(path.relative_to(CHECKOUT))
        for path in tracked_files()
        if path.suffix == ".py"
        and "migrations" not in path.parts
        and path.exists()
        and path.read_text().strip()
        and not path.read_text().removeprefix("#!/usr/bin/env python\n").startswith(('"""', 'r"""'))
    ]
    assert silent == []
