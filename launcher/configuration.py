"""An instance's settings: chosen at the first `up`, kept in HOME/config.json, changed by flags of a later `up`.

What the person named and is taken is an error; what nobody named is the next free port or range, and is said.
"""

import argparse
import base64
import ipaddress
import json
import os
import secrets
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from launcher.errors import LauncherError
from launcher.preflight import overlapping_route, port_is_free
from nodeworker.config import NodeConfig, save_config
from nodeworker.wire import instance as wire

FOLDERS = ("secrets", "pki", "run/hints", "blobs/sha256", "node", "log")
DEFAULT_PODS = "10.244.0.0/16"
DEFAULT_SERVICES = "10.96.0.0/16"


def configure(home: Path, arguments: argparse.Namespace) -> wire.Instance:
    """Return the instance of `home`, made or changed by `arguments`, and store it; nothing of it runs meanwhile."""
    for folder in FOLDERS:
        (home / folder).mkdir(mode=0o700, parents=True, exist_ok=True)
    home.chmod(0o711)
    old = wire.Instance.load(home) if (home / "config.json").exists() else None
    new = _changed(old, arguments) if old else _first(home, arguments)
    wire.save(home, new)
    ensure_secret(home / "secrets" / "django.key", lambda: secrets.token_urlsafe(50).encode())
    ensure_secret(home / "secrets" / "encryption.key", lambda: secrets.token_bytes(32).hex().encode())
    return new


def write_node(home: Path, instance: wire.Instance) -> None:
    """Write the node's own settings, from which it starts without asking anybody."""
    name = instance.node_name
    save_config(
        home / "node" / "config.json",
        NodeConfig(
            name=name,
            instance=instance.id,
            home=str(home),
            api=f"https://{_reachable(instance.api_listen)}",
            ca=str(home / "pki" / "ca.crt"),
            certificate=str(home / "pki" / f"node-{name}.crt"),
            key=str(home / "pki" / f"node-{name}.key"),
            broker=os.environ.get("GANTRY_REDIS_URL") or f"redis+socket://{home}/run/broker.sock",
            service_cidr=instance.service_cidr,
            pod_cidr=instance.pod_cidr,
            address=instance.address,
            stream_listen=instance.stream_listen,
            blobs=str(home / "blobs"),
        ),
    )


def write_kubeconfig(home: Path, instance: wire.Instance, token: str) -> Path:
    """Write HOME/admin.kubeconfig (JSON is YAML, and every client reads it); return its path."""

    authority = base64.b64encode((home / "pki" / "ca.crt").read_bytes()).decode()
    server = f"https://{_reachable(instance.api_listen)}"
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "gantry", "cluster": {"server": server, "certificate-authority-data": authority}}],
        "users": [{"name": "admin", "user": {"token": token}}],
        "contexts": [{"name": "gantry", "context": {"cluster": "gantry", "user": "admin", "namespace": "default"}}],
        "current-context": "gantry",
    }
    path = home / "admin.kubeconfig"
    _write_private(path, json.dumps(content, indent=2).encode() + b"\n")
    return path


def kubeconfig_token(home: Path) -> str:
    """Return the token of HOME/admin.kubeconfig, empty when there is none yet."""
    try:
        return str(json.loads((home / "admin.kubeconfig").read_text())["users"][0]["user"]["token"])
    except (FileNotFoundError, ValueError, KeyError, IndexError):
        return ""


def ensure_secret(path: Path, make: Callable[[], bytes]) -> None:
    """Write a secret once; a secret that exists is never touched."""
    if not path.exists():
        _write_private(path, make())


def _first(home: Path, arguments: argparse.Namespace) -> wire.Instance:
    pods = arguments.pod_cidr or _free_range(DEFAULT_PODS)
    return wire.Instance(
        id=wire.instance_id(home),
        node_name=_node_name(),
        listen=_port("console", arguments.listen, "127.0.0.1:8000"),
        api_listen=_port("API", arguments.api_listen, "127.0.0.1:6443"),
        stream_listen=_port("node endpoint", None, "127.0.0.1:10250"),
        pod_cidr=_checked_range("--pod-cidr", pods, longest=22),
        service_cidr=_checked_range("--service-cidr", arguments.service_cidr or _free_range(DEFAULT_SERVICES), 26),
        public_url=os.environ.get("GANTRY_PUBLIC_URL", ""),
        address=_own_address(),
    )


def _changed(old: wire.Instance, arguments: argparse.Namespace) -> wire.Instance:
    for flag, kept in (("pod_cidr", old.pod_cidr), ("service_cidr", old.service_cidr)):
        wanted = getattr(arguments, flag)
        if wanted and wanted != kept:
            raise LauncherError(f"this instance uses {kept}; a range cannot change while pods may hold its addresses")
    return msgspec.structs.replace(
        old,
        listen=_port("console", arguments.listen, old.listen),
        api_listen=_port("API", arguments.api_listen, old.api_listen),
        stream_listen=_port("node endpoint", None, old.stream_listen),
        public_url=os.environ.get("GANTRY_PUBLIC_URL", old.public_url),
        address=_own_address(),
    )


def _port(name: str, asked: str | None, default: str) -> str:
    """Return the address to listen on: what was asked for or nothing, else the next free port from the default on."""
    if asked:
        address = _parsed_address(name, asked)
        if not port_is_free(address):
            raise LauncherError(f"{address} for the {name} is taken; choose another with --listen or --api-listen")
        return address
    host, _, port = default.rpartition(":")
    for candidate in range(int(port), int(port) + 200):
        if port_is_free(f"{host}:{candidate}"):
            if candidate != int(port):
                print(f"  ! {name}: port {port} is taken, {candidate} is used instead")
            return f"{host}:{candidate}"
    raise LauncherError(f"no free port for the {name} from {port} on")


def _parsed_address(name: str, text: str) -> str:
    host, separator, port = text.rpartition(":")
    if not separator or not port.isdigit() or not 0 < int(port) < 65536:
        raise LauncherError(f"{text!r} is no address for the {name}; write ADDRESS:PORT, for example 127.0.0.1:8000")
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        raise LauncherError(f"{host!r} is no IP address; write ADDRESS:PORT, for example 0.0.0.0:8000") from None
    return text


def _free_range(default: str) -> str:
    for candidate in _candidates(default):
        if not overlapping_route(candidate):
            if candidate != default:
                print(f"  ! {default} is in use on this machine, {candidate} is used instead")
            return candidate
    raise LauncherError("no private /16 range is free on this machine; choose one with --pod-cidr and --service-cidr")


def _candidates(default: str) -> Iterator[str]:
    yield default
    second = int(default.split(".")[1])
    for number in range(second + 1, second + 100):
        yield f"10.{number % 256}.0.0/16"


def _checked_range(flag: str, text: str, longest: int) -> str:
    try:
        network = ipaddress.IPv4Network(text)
    except ValueError as error:
        raise LauncherError(f"{flag} {text}: {error}; write a range such as {DEFAULT_PODS}") from None
    if network.prefixlen > longest:
        raise LauncherError(f"{flag} {text} is too small; use a prefix of /{longest} or shorter")
    other = overlapping_route(text)
    if other:
        raise LauncherError(f"{flag} {text} overlaps the route {other} of this machine; choose another range")
    return text


def _own_address() -> str:
    """Return the address that this machine uses towards others; connect(2) on UDP sends nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
            return str(probe.getsockname()[0])
        except OSError:
            return "127.0.0.1"


def _node_name() -> str:
    """Return the host's name as a DNS subdomain (RFC 1123), as the kubelet does."""
    name = "".join(c if c.isascii() and (c.isalnum() or c in "-.") else "-" for c in socket.gethostname().lower())
    return name.strip("-.") or "node"


def _reachable(listen: str) -> str:
    host, _, port = listen.rpartition(":")
    return f"127.0.0.1:{port}" if host in ("0.0.0.0", "[::]") else listen


def _write_private(path: Path, content: bytes) -> None:
    temporary = path.with_name(path.name + ".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
    temporary.replace(path)
