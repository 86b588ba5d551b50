"""`./gantry up`: from whatever state the home is in to a running instance, and the lines that say where it is."""

import argparse
import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from launcher import control, systemd
from launcher.configuration import configure
from launcher.environment import CHECKOUT
from launcher.errors import LauncherError
from launcher.prepare import prepare, use_django
from launcher.processes import supervisor_environment
from launcher.terminal import mark, step, table
from launcher.version import record_version, running_version, source_digest
from nodeworker.wire.instance import Instance, instance_id


def up(arguments: argparse.Namespace) -> None:
    """Start the instance, or upgrade it, or say that it runs already."""
    if os.geteuid() != 0:
        raise LauncherError("must run as root: it makes namespaces, mounts and network rules; use sudo")
    home: Path = arguments.home
    home.mkdir(mode=0o711, parents=True, exist_ok=True)
    with home_lock(home), machine_lock():
        digest = source_digest()
        unit = unit_of(home, arguments)
        if control.is_running(home):
            if running_version(home) == digest and not _asks_for_change(arguments):
                control.await_ready(home)
                use_django(home)
                print(f"Gantry runs already ({home}).")
                _where(home, Instance.load(home))
                return
            with step("The running processes end; pods go on"):
                control.stop(home, unit)
        instance = configure(home, arguments)
        table([("ok", "pods", instance.pod_cidr), ("ok", "services", instance.service_cidr)])
        prepare(home, instance)
        record_version(home, digest)
        if arguments.foreground:
            _foreground(home)
        if unit:
            systemd.install(unit, home)
        with step("Processes started"):
            control.start(home, unit)
        _where(home, instance)


@contextmanager
def home_lock(home: Path) -> Iterator[None]:
    """Only one launcher command changes a home at a time; a second one is told so."""
    (home / "run").mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(home / "run" / "launcher.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise LauncherError(f"another gantry command is at work on {home}; wait for it") from None
    try:
        yield
    finally:
        os.close(descriptor)


@contextmanager
def machine_lock() -> Iterator[None]:
    """Two instances that start at the same time must not choose the same free port or range.

    The lock is on a directory that every machine has (flock(2) takes any descriptor), so that nothing is left behind.
    """
    descriptor = os.open("/run/lock" if Path("/run/lock").is_dir() else "/run", os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def unit_of(home: Path, arguments: argparse.Namespace) -> str:
    """Return the systemd unit of this home, empty where there is no systemd or it is not wanted."""
    if not systemd.available() or getattr(arguments, "no_systemd", False):
        return ""
    return systemd.unit_name(home, instance_id(home))


def sign_in_link(home: Path, instance: Instance) -> str:
    """Return a new one-time link to the console (15 minutes)."""
    from django.urls import reverse

    from apps.access.tokens import administrator, make_link

    return console_address(instance) + reverse("access:signin-link", args=[make_link(administrator())])


def console_address(instance: Instance) -> str:
    """Return the console's address as a browser on this machine writes it."""
    if instance.public_url:
        return instance.public_url.rstrip("/")
    host, _, port = instance.listen.rpartition(":")
    loopback = host in ("127.0.0.1", "[::1]", "localhost")
    shown = instance.address if host in ("0.0.0.0", "[::]") else host
    return f"{'http' if loopback else 'https'}://{shown}:{port}"


def _foreground(home: Path) -> None:
    print(f"Console: {console_address(Instance.load(home))}   sign-in link: ./gantry signin   end: Ctrl-C", flush=True)
    os.chdir(CHECKOUT)
    os.execve(
        sys.executable,
        [sys.executable, "-m", "launcher.supervisor", "--home", str(home)],
        supervisor_environment(home),
    )


def _asks_for_change(arguments: argparse.Namespace) -> bool:
    return any((arguments.listen, arguments.api_listen, arguments.pod_cidr, arguments.service_cidr))


def _where(home: Path, instance: Instance) -> None:
    address = console_address(instance)
    print(f"\n{mark('ok')} Gantry is up.\n")
    print(f"  Console     {address}")
    print(f"  Sign in     {sign_in_link(home, instance)}   (once, within 15 minutes)")
    print(f"  kubectl     export KUBECONFIG={home}/admin.kubeconfig && kubectl get nodes")
    if os.environ.get("SSH_CONNECTION") and address.startswith("http://127.0.0.1"):
        port = address.rpartition(":")[2]
        user = os.environ.get("SUDO_USER") or os.environ.get("USER", "root")
        server = os.environ["SSH_CONNECTION"].split()[2]
        print(f"  From afar   ssh -L {port}:127.0.0.1:{port} {user}@{server}   then open the link in your browser")
    print(f"  More        {CHECKOUT}/gantry status | logs | signin | down\n")
