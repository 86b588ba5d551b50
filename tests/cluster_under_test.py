"""A whole instance for tests: started by the launcher as a person would, in a home of its own, removed at the end.

Used by the fixtures of tests/conftest.py and by the benchmarks.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from nodeworker.wire.instance import Instance
from tests.clients import kubectl_binary

CHECKOUT = Path(__file__).resolve().parents[1]
T = TypeVar("T")


class CommandFailedError(AssertionError):
    """A command ended with an error; its output is the message."""


class Cluster:
    """One running instance and the commands that people use on it."""

    def __init__(self, home: Path, environment: Mapping[str, str] | None = None) -> None:
        self.home = home
        self.environment = {**os.environ, **(environment or {}), "PYTHONPATH": str(CHECKOUT), "NO_COLOR": "1"}
        self.environment.pop("GANTRY_HOME", None)
        self.environment.pop("DJANGO_SETTINGS_MODULE", None)

    @property
    def instance(self) -> Instance:
        """The instance's settings."""
        return Instance.load(self.home)

    @property
    def console(self) -> str:
        """The console's address."""
        return f"http://{self.instance.listen}"

    @property
    def api(self) -> str:
        """The API's address."""
        return f"https://{self.instance.api_listen}"

    @property
    def token(self) -> str:
        """The admin's token."""
        content = json.loads((self.home / "admin.kubeconfig").read_text())
        return str(content["users"][0]["user"]["token"])

    def gantry(self, *words: str, check: bool = True, timeout: float = 180, **options: Any) -> str:
        """Run `./gantry WORDS --home HOME` in the environment that runs the tests; return its output."""
        command = [sys.executable, "-m", "launcher", *words, "--home", str(self.home)]
        return _run(command, self.environment, check=check, timeout=timeout, **options)

    def up(self, *flags: str) -> str:
        """Start the instance."""
        return self.gantry("up", "--no-systemd", "--no-install", *flags)

    def kubectl(self, *words: str, check: bool = True, stdin: str | None = None, timeout: float = 120) -> str:
        """Run kubectl as the admin; return its output (standard error too when it fails)."""
        command = [str(kubectl_binary()), "--kubeconfig", str(self.home / "admin.kubeconfig")]
        command += ["--cache-dir", str(self.home / "kubectl-cache"), *words]
        return _run(command, self.environment, check=check, timeout=timeout, stdin=stdin)

    def get(self, kind: str, name: str = "", namespace: str = "default") -> Any:
        """Return an object, or the items of a list, as kubectl's JSON."""
        words = ["get", kind, *([name] if name else []), "-n", namespace, "-o", "json"]
        content = json.loads(self.kubectl(*words))
        return content if name else content["items"]

    def apply(self, manifest: str, namespace: str = "default") -> str:
        """`kubectl apply -f -`."""
        return self.kubectl("apply", "-n", namespace, "-f", "-", stdin=manifest)

    def pods(self, selector: str, namespace: str = "default") -> list[dict[str, Any]]:
        """Return the pods that match `selector` and are not being deleted."""
        listed = json.loads(self.kubectl("get", "pods", "-n", namespace, "-l", selector, "-o", "json"))["items"]
        return [pod for pod in listed if "deletionTimestamp" not in pod["metadata"]]


def eventually(look: Callable[[], T | None], what: str, timeout: float = 60.0, pause: float = 0.2) -> T:
    """Return the first result of `look` that is true; for what is seen only from outside, where nothing can wake us."""
    deadline = time.monotonic() + timeout
    last: T | None = None
    while time.monotonic() < deadline:
        last = look()
        if last:
            return last
        time.sleep(pause)
    raise AssertionError(f"not within {timeout:.0f} s: {what}; last seen: {last!r}")


def is_ready(pod: Mapping[str, Any]) -> bool:
    """Whether the pod's Ready condition is True."""
    conditions = pod.get("status", {}).get("conditions", [])
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def _run(
    command: list[str], environment: Mapping[str, str], *, check: bool, timeout: float, stdin: str | None = None
) -> str:
    done = subprocess.run(
        command,
        env=dict(environment),
        cwd=CHECKOUT,
        input=stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    if check and done.returncode:
        raise CommandFailedError(f"{' '.join(command[-12:])} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout if check else done.stdout + done.stderr
