"""The first Python of every command: run by the machine's own interpreter, it prepares, then hands over to `.venv`.

`up` shows the preflight table and installs the Debian packages that it lacks; `test` and `check` install what the
tests need. Every command gets the locked environment. Standard library only.
"""

import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from launcher import environment, preflight
from launcher.errors import LauncherError
from launcher.terminal import table

DEFAULT_HOME = Path("/var/lib/gantry")


def main(arguments: list[str]) -> int:
    """Prepare what `arguments` needs and replace this process by the command itself; return only after a failure."""
    command = next((word for word in arguments if not word.startswith("-")), "")
    try:
        with _checkout_lock():
            _prepare(command, arguments)
    except LauncherError as error:
        print(f"gantry: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ngantry: interrupted; the same command goes on from here", file=sys.stderr)
        return 130
    os.environ["PYTHONPATH"] = str(environment.CHECKOUT)
    return os.execv(environment.PYTHON, [str(environment.PYTHON), "-m", "launcher", *arguments])


def _prepare(command: str, arguments: list[str]) -> None:
    install = {"yes": "--yes" in arguments, "allowed": "--no-install" not in arguments}
    if command == "up":
        _preflight(arguments, **install)
    if command == "test":
        packages = [*preflight.missing_packages(), *environment.debian_packages_missing(environment.TEST_PACKAGES)]
        environment.install_packages(packages, **install)
    environment.ensure_environment("development" if command in ("test", "check") else "runtime")
    if command in ("up", "test", "run", "build"):
        environment.ensure_frontend()
        environment.collect_static()


def _preflight(arguments: list[str], *, yes: bool, allowed: bool) -> None:
    print("Checking this machine")
    home = _home(arguments)
    rows = preflight.machine_rows(home)
    if not (home / "config.json").exists():
        rows += preflight.network_rows(
            [
                ("console", _flag(arguments, "--listen"), "127.0.0.1:8000"),
                ("API", _flag(arguments, "--api-listen"), "127.0.0.1:6443"),
            ],
            [
                ("pod range", _flag(arguments, "--pod-cidr"), "10.244.0.0/16"),
                ("service range", _flag(arguments, "--service-cidr"), "10.96.0.0/16"),
            ],
        )
    missing = preflight.missing_packages()
    if missing:
        rows.append(preflight.Row("warn", "packages", f"missing: {', '.join(missing)}"))
    table(rows)
    if any(row.state == "fail" for row in rows):
        raise LauncherError("this machine lacks what the ✗ lines name; put it right and start again")
    environment.install_packages(missing, yes=yes, allowed=allowed)


def _home(arguments: list[str]) -> Path:
    return Path(_flag(arguments, "--home") or os.environ.get("GANTRY_HOME") or DEFAULT_HOME)


def _flag(arguments: list[str], name: str) -> str:
    """Return the value of `--name VALUE` or `--name=VALUE`; argparse checks it later, with all the others."""
    for index, word in enumerate(arguments):
        if word == name and index + 1 < len(arguments):
            return arguments[index + 1]
        if word.startswith(f"{name}="):
            return word.partition("=")[2]
    return ""


@contextmanager
def _checkout_lock() -> Iterator[None]:
    """Only one command prepares a checkout at a time; the others wait and find it done."""
    try:
        descriptor = os.open(environment.CHECKOUT / ".gantry.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except PermissionError as error:
        raise LauncherError(f"cannot write to {environment.CHECKOUT}: run as its owner or as root") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
