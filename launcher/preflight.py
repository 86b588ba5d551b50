"""The table that `up` begins with: what this machine must have, what is wrong and what to do about it.

Standard library only: it runs before the Python environment exists. A `fail` row stops `up`; a `warn` row does not.
"""

import ipaddress
import os
import platform
import shutil
import socket
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

OLDEST_KERNEL = (5, 12)
LEAST_DISK = 3_000_000_000
LEAST_MEMORY = 900_000_000
ARCHITECTURES = ("x86_64", "aarch64")
PACKAGES = {"nft": "nftables", "ip": "iproute2", "busybox": "busybox-static", "venv": "python3-venv"}


class Row(NamedTuple):
    """One line of the table: state is ok, warn or fail."""

    state: str
    subject: str
    sentence: str


def machine_rows(home: Path) -> list[Row]:
    """Return what can be said of the machine before anything is installed."""
    checks = (_root, _architecture, _kernel, _cgroups, _overlay, _memory)
    return [check() for check in checks] + [_disk(home), *_forwarding()]


def missing_packages(needed: Iterable[str] = PACKAGES) -> list[str]:
    """Return the Debian packages of what `up` needs and cannot find."""
    return [PACKAGES[what] for what in needed if not _present(what)]


def network_rows(addresses: Iterable[tuple[str, str, str]], ranges: Iterable[tuple[str, str, str]]) -> Iterator[Row]:
    """Check each (name, asked, default): what was asked for must be free, for a default the next free one is taken."""
    for name, asked, default in addresses:
        if not _well_formed(asked or default):
            yield Row("fail", name, f"{asked!r} is no address; write ADDRESS:PORT, for example {default}")
        elif port_is_free(asked or default):
            yield Row("ok", name, asked or default)
        elif asked:
            yield Row("fail", name, f"{asked} is taken; choose another port")
        else:
            yield Row("warn", name, f"{default} is taken; the next free port is used")
    for name, asked, default in ranges:
        yield _range_row(name, asked, default)


def _range_row(name: str, asked: str, default: str) -> Row:
    try:
        other = overlapping_route(asked or default)
    except ValueError as error:
        return Row("fail", name, f"{asked}: {error}; write a range such as {default}")
    if not other:
        return Row("ok", name, asked or default)
    if asked:
        return Row("fail", name, f"{asked} overlaps the route {other} of this machine; choose another range")
    return Row("warn", name, f"{default} overlaps the route {other} of this machine; another range is used")


def _well_formed(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return port.isdigit() and 0 < int(port) < 65536


def port_is_free(address: str) -> bool:
    """Whether `host:port` can be bound now."""
    host, _, port = address.rpartition(":")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host.strip("[]"), int(port)))
        except OSError:
            return False
    return True


def overlapping_route(cidr: str, routes: Path = Path("/proc/net/route")) -> str:
    """Return the first route of this machine that overlaps `cidr`, default routes apart; empty if none does.

    /proc/net/route lists little-endian hexadecimal addresses (proc(5)); it holds the `unreachable` routes too, on
    the pseudo device `*`, which are another instance's reservation and count as well.
    """
    wanted = ipaddress.ip_network(cidr)
    for line in routes.read_text().splitlines()[1:]:
        fields = line.split()
        destination, mask = (int.from_bytes(bytes.fromhex(fields[i]), "little") for i in (1, 7))
        network = ipaddress.IPv4Network((destination, mask.bit_count()))
        if network.prefixlen and network.overlaps(wanted):
            return str(network)
    return ""


def _root() -> Row:
    if os.geteuid() == 0:
        return Row("ok", "user", "root")
    return Row("fail", "user", "not root; namespaces, mounts and network rules need it: run with sudo")


def _architecture() -> Row:
    machine = platform.machine()
    if machine in ARCHITECTURES:
        return Row("ok", "architecture", machine)
    return Row("fail", "architecture", f"{machine} is not supported; {' or '.join(ARCHITECTURES)} is")


def _kernel() -> Row:
    release = platform.release()
    version = tuple(int(part) for part in release.split("-")[0].split(".")[:2] if part.isdigit())
    if version >= OLDEST_KERNEL:
        return Row("ok", "kernel", release)
    oldest = ".".join(map(str, OLDEST_KERNEL))
    return Row("fail", "kernel", f"{release} is too old; Gantry needs {oldest} or newer (mount_setattr, openat2)")


def _cgroups() -> Row:
    mounts = Path("/proc/self/mounts").read_text().splitlines()
    types = {fields[1]: fields[2] for fields in (line.split() for line in mounts)}
    if types.get("/sys/fs/cgroup") == "cgroup2":
        return Row("ok", "cgroups", "version 2")
    missing = [name for name in ("cpu", "memory", "pids") if not _has_v1_controller(mounts, name)]
    if not missing:
        return Row("ok", "cgroups", "version 1")
    return Row("fail", "cgroups", f"no controller for {', '.join(missing)}; mount cgroup2 on /sys/fs/cgroup")


def _has_v1_controller(mounts: list[str], name: str) -> bool:
    return any(fields[2] == "cgroup" and name in fields[3].split(",") for fields in map(str.split, mounts))


def _overlay() -> Row:
    if "overlay" in Path("/proc/filesystems").read_text().split():
        return Row("ok", "overlayfs", "available")
    if subprocess.run(["modprobe", "overlay"], capture_output=True, check=False).returncode == 0:
        return Row("ok", "overlayfs", "loaded")
    return Row("fail", "overlayfs", "the kernel has none; load the module: modprobe overlay")


def _memory() -> Row:
    fields = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
    available = int(fields["MemAvailable"].split()[0]) * 1024
    sentence = f"{available / 1e9:.1f} GB available"
    return Row("ok", "memory", sentence) if available >= LEAST_MEMORY else Row("warn", "memory", f"only {sentence}")


def _disk(home: Path) -> Row:
    place = next(path for path in (home, *home.parents) if path.exists())
    free = shutil.disk_usage(place).free
    sentence = f"{free / 1e9:.1f} GB free under {place}"
    if free >= LEAST_DISK:
        return Row("ok", "disk", sentence)
    return Row("fail", "disk", f"only {sentence}; Gantry needs {LEAST_DISK / 1e9:.0f} GB")


def _forwarding() -> Iterator[Row]:
    enabled = Path("/proc/sys/net/ipv4/ip_forward").read_text().strip() == "1"
    yield Row("ok", "forwarding", "on" if enabled else "off; up turns it on (net.ipv4.ip_forward)")
    if _forward_policy_drops():
        yield Row("warn", "firewall", "the FORWARD policy is DROP (Docker, ufw); up adds accept rules for its bridge")
    elif shutil.which("ufw") and _succeeds(["ufw", "status"], "Status: active"):
        yield Row("warn", "firewall", "ufw is active; pods reach servers on this host only when ufw allows it")


def _forward_policy_drops() -> bool:
    for command in (["iptables", "-S", "FORWARD"], ["nft", "list", "chain", "ip", "filter", "FORWARD"]):
        if shutil.which(command[0]) and (_succeeds(command, "-P FORWARD DROP") or _succeeds(command, "policy drop")):
            return True
    return False


def _succeeds(command: list[str], text: str) -> bool:
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    return answer.returncode == 0 and text in answer.stdout


def _present(what: str) -> bool:
    if what == "venv":
        return _imports_venv()
    return shutil.which(what, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin:/bin") is not None


def _imports_venv() -> bool:
    try:
        import ensurepip  # noqa: F401 - Debian splits it off into python3-venv
    except ImportError:
        return False
    return True
