"""The machine's side of the node's network: bridge, routes, kernel switches, packet rules; and their removal.

Called by agent/service_rules.py and agent/agent.py at the start and when services change, and by purge (`cleanup`).
Subprocesses are fine here: nothing of this is on the way of a starting pod.
"""

import contextlib
import dataclasses
import ipaddress
import logging
import os
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

from nodeworker.network.rules import NodeNetwork, render, render_cables, render_removal
from nodeworker.network.services import ServicePort

log = logging.getLogger(__name__)
TOOLS = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin"
FALLBACK_METRIC = 4096  # of the `unreachable` routes beneath everything
CABLES_LISTED = 1024


class NetworkError(Exception):
    """A tool of the host refused; the message says which and what it said."""


def run(arguments: Sequence[str], text: str = "") -> str:
    """Run a tool of the host and return its output; NetworkError with its own words otherwise."""
    environment = {"PATH": TOOLS, "LC_ALL": "C"}
    tool = shutil.which(arguments[0], path=TOOLS)
    if tool is None:
        raise NetworkError(f"{arguments[0]} is not installed")
    done = subprocess.run(
        [tool, *arguments[1:]], input=text, capture_output=True, text=True, env=environment, timeout=30, check=False
    )
    if done.returncode != 0:
        raise NetworkError(f"{' '.join(arguments)}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def prepare(network: NodeNetwork, mtu: int | None = None) -> NodeNetwork:
    """Make bridge, routes and rules before the first pod; repeatable. Returns the network as it turned out."""
    block_ranges(network)
    _switch("net/ipv4/ip_forward", "1")
    seen = _see_bridged_packets()
    network = dataclasses.replace(network, bridged_packets_are_seen=seen)
    _make_bridge(network, mtu or outgoing_mtu())
    _switch(f"net/ipv4/conf/{network.bridge}/route_localnet", "1")
    _switch(f"net/ipv4/conf/{network.bridge}/rp_filter", "2")
    if seen:
        with contextlib.suppress(OSError):
            Path(f"/sys/class/net/{network.bridge}/bridge/nf_call_iptables").write_text("1")
    apply_rules(network, ())
    run(["nft", "-f", "-"], render_cables(network, cables(network)))
    open_foreign_firewalls(network.bridge)
    return network


def block_ranges(network: NodeNetwork) -> None:
    """Traffic for an address that nobody has must not leave the machine, not even before the bridge exists."""
    lines = [
        f"route replace unreachable {cidr} metric {FALLBACK_METRIC}"
        for cidr in (network.pod_cidr, network.service_cidr)
    ]
    run(["ip", "-batch", "-"], "\n".join(lines) + "\n")


def apply_rules(network: NodeNetwork, ports: Sequence[ServicePort]) -> None:
    """Replace the packet rules by those for these services, in one transaction."""
    run(["nft", "-f", "-"], render(network, ports))


def cables(network: NodeNetwork) -> Iterable[tuple[str, str]]:
    """Which host interface may carry which address: the interface's number is the address's."""
    cidr = ipaddress.IPv4Network(network.node_cidr)
    for number in range(2, min(cidr.num_addresses - 1, CABLES_LISTED)):
        yield f"{network.interface_prefix}{number:x}", str(cidr.network_address + number)


def allow_hairpin(host_interface: str) -> None:
    """A pod may reach itself through its service: its packet leaves by the port it came in by."""
    with contextlib.suppress(OSError):
        Path(f"/sys/class/net/{host_interface}/brport/hairpin_mode").write_text("1")


def outgoing_mtu() -> int:
    """The MTU of the interface that the default route uses; what does not fit there must not be sent here."""
    try:
        for line in Path("/proc/net/route").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[1] == "00000000":
                return int(Path(f"/sys/class/net/{fields[0]}/mtu").read_text())
    except (OSError, ValueError, IndexError):
        pass
    return 1500


def open_foreign_firewalls(bridge: str) -> None:
    """Accept the pods' traffic beside Docker's FORWARD policy DROP, ufw and firewalld. Called again every resync.

    An accept in a table of our own does not help: another table may still drop. So a rule goes to where the drop is.
    """
    for tool in _iptables_in_use():
        _open_iptables(tool, bridge)
    if shutil.which("firewall-cmd", path=TOOLS):
        with contextlib.suppress(NetworkError):
            if run(["firewall-cmd", "--state"]).strip() == "running":
                run(["firewall-cmd", "--zone=trusted", f"--change-interface={bridge}"])


def _iptables_in_use() -> list[str]:
    found = []
    for tool in ("iptables-nft", "iptables-legacy"):
        # Asking a legacy iptables loads its kernel modules: only ask where they are in use already.
        if tool == "iptables-legacy" and not Path("/proc/net/ip_tables_names").exists():
            continue
        if shutil.which(tool, path=TOOLS):
            found.append(tool)
    return found


def _open_iptables(tool: str, bridge: str) -> None:
    try:
        listing = run([tool, "-w", "2", "-S"])
    except NetworkError as problem:
        log.warning("cannot read the firewall: %s", problem)
        return
    chain = "DOCKER-USER" if "-N DOCKER-USER" in listing else "FORWARD"
    if chain == "FORWARD" and "-P FORWARD DROP" not in listing and "-A FORWARD" not in listing:
        return
    for direction in ("-i", "-o"):
        if f"-A {chain} {direction} {bridge} -j ACCEPT" in listing.replace(f"-m comment --comment {bridge} ", ""):
            continue
        with contextlib.suppress(NetworkError):
            run([tool, "-w", "2", "-I", chain, direction, bridge, "-m", "comment", "--comment", bridge, "-j", "ACCEPT"])


def _close_iptables(tool: str, bridge: str) -> None:
    with contextlib.suppress(NetworkError):
        for line in run([tool, "-w", "2", "-S"]).splitlines():
            if bridge in line.split() and line.startswith("-A "):
                run([tool, "-w", "2", "-D", *line.split()[1:]])


def cleanup(instance: str, pod_cidr: str = "", service_cidr: str = "") -> None:
    """Remove everything that this instance put on the machine's network; nothing of others. For purge."""
    bridge, table = f"gb{instance}", f"gantry_{instance}"
    for tool in _iptables_in_use():
        _close_iptables(tool, bridge)
    if shutil.which("firewall-cmd", path=TOOLS):
        with contextlib.suppress(NetworkError):
            run(["firewall-cmd", "--zone=trusted", f"--remove-interface={bridge}"])
    with contextlib.suppress(NetworkError):
        run(["nft", "-f", "-"], render_removal(table))
    for interface in os.listdir("/sys/class/net"):  # noqa: PTH208 - names, not paths
        if interface == bridge or interface.startswith(f"gv{instance}"):
            with contextlib.suppress(NetworkError):
                run(["ip", "link", "delete", interface])
    for cidr in (pod_cidr, service_cidr):
        if cidr:
            with contextlib.suppress(NetworkError):
                run(["ip", "route", "delete", "unreachable", cidr, "metric", str(FALLBACK_METRIC)])


def _make_bridge(network: NodeNetwork, mtu: int) -> None:
    bridge = network.bridge
    prefix = network.node_cidr.partition("/")[2]
    if not Path(f"/sys/class/net/{bridge}").exists():
        run(["ip", "link", "add", bridge, "address", _mac(network.gateway), "type", "bridge", "forward_delay", "0"])
    wanted = f"{network.gateway}/{prefix}"
    listed = run(["ip", "-o", "-4", "address", "show", "dev", bridge])
    stale = [entry for entry in (line.split()[3] for line in listed.splitlines()) if entry != wanted]
    # The service range points at the bridge so that the machine's own connections find a route and so reach the rules;
    # what the rules do not know is refused by them, and without the bridge the `unreachable` route beneath catches it.
    lines = [
        *(f"address delete {entry} dev {bridge}" for entry in stale),
        f"link set {bridge} up mtu {mtu}",
        f"address replace {wanted} dev {bridge}",
        f"route replace {network.service_cidr} dev {bridge} src {network.gateway}",
    ]
    run(["ip", "-batch", "-"], "\n".join(lines) + "\n")


def _mac(address: str) -> str:
    """A fixed address: otherwise the bridge takes that of a pod's cable and changes it when that pod goes."""
    return "0a:58:" + ":".join(f"{int(part):02x}" for part in address.split("."))


def _see_bridged_packets() -> bool:
    """Whether packets between ports of one bridge pass the packet rules (br_netfilter); loads the module if need be."""
    if not Path("/proc/sys/net/bridge").exists():
        with contextlib.suppress(NetworkError):
            run(["modprobe", "br_netfilter"])
    return Path("/proc/sys/net/bridge").exists()


def _switch(name: str, value: str) -> None:
    path = Path("/proc/sys") / name
    try:
        if path.read_text().strip() != value:
            path.write_text(value)
    except OSError as problem:
        log.warning("cannot set %s to %s: %s", name.replace("/", "."), value, problem)
