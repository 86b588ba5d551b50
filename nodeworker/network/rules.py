"""The packet rules of one instance as one text for `nft -f -`. Pure; applied by network/host.py.

The whole table is replaced in one transaction, so there is no moment without rules and nothing to keep in step:

- a packet for a service's address (or a node port on an address of this machine) goes by one map to the service's
  chain, which picks an endpoint: from pods (prerouting) and from the machine itself (output);
- a service without endpoints is refused at once, by a TCP reset or ICMP, instead of hanging;
- pods leave the machine with its address (masquerade), and cannot use an address that is not theirs;
- 127.0.0.1:<node port> works although a packet from 127.0.0.1 must leave through the bridge: `route_localnet` is on for
  the bridge only, and what arrives there for 127.0.0.0/8 is dropped before connection tracking sees it.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from nodeworker.network.services import ServicePort


@dataclass(frozen=True)
class NodeNetwork:
    """The addresses and names of this node's network."""

    table: str  # gantry_<id>
    bridge: str  # gb<id>
    interface_prefix: str  # gv<id>: followed by the address's number in hexadecimal
    node_cidr: str  # 10.244.0.0/24
    pod_cidr: str  # 10.244.0.0/16
    service_cidr: str
    gateway: str
    bridged_packets_are_seen: bool = True  # br_netfilter: replies between pods of one bridge pass the rules


def render(network: NodeNetwork, ports: Sequence[ServicePort]) -> str:
    """The text that replaces the rules of this instance in one transaction."""
    return "".join(
        (
            f"table ip {network.table}\ndelete table ip {network.table}\n",
            f"table ip {network.table} {{\n",
            *_maps(ports, network),
            *(_service_chain(port) for port in ports if port.endpoints),
            _base_chains(network),
            "}\n",
        )
    )


def render_removal(table: str) -> str:
    """The text that removes everything, whether it is there or not."""
    return "".join(f"table {family} {table}\ndelete table {family} {table}\n" for family in ("ip", "bridge"))


def chain_name(port: ServicePort) -> str:
    """service_<hash>: names of services are longer than nftables allows."""
    key = f"{port.namespace}/{port.name}/{port.protocol}/{port.port}"
    return f"service_{hashlib.sha256(key.encode()).hexdigest()[:16]}"


def _maps(ports: Sequence[ServicePort], network: NodeNetwork) -> Iterable[str]:
    served = [port for port in ports if port.endpoints]
    by_address = [f"{port.cluster_ip} . {port.protocol} . {port.port} : goto {chain_name(port)}" for port in served]
    by_node_port = {
        f"{port.protocol} . {port.node_port}": f"{port.protocol} . {port.node_port} : goto {chain_name(port)}"
        for port in served
        if port.node_port
    }
    refused = [f"{port.protocol} . {port.node_port}" for port in ports if port.node_port and not port.endpoints]
    own = sorted({address for port in served for address, _ in port.endpoints})
    yield _collection("map services", "type ipv4_addr . inet_proto . inet_service : verdict", by_address)
    yield _collection("map node_ports", "type inet_proto . inet_service : verdict", by_node_port.values())
    yield _collection("set refused_node_ports", "type inet_proto . inet_service", sorted(set(refused)))
    yield _collection("set itself", "type ipv4_addr . ipv4_addr", [f"{address} . {address}" for address in own])


def _collection(head: str, kind: str, elements: Iterable[str]) -> str:
    listed = ", ".join(dict.fromkeys(elements))
    body = f"    elements = {{ {listed} }}\n" if listed else ""
    return f"  {head} {{\n    {kind}\n{body}  }}\n"


def _service_chain(port: ServicePort) -> str:
    number = len(port.endpoints)
    if number == 1:
        address, target = port.endpoints[0]
        rule = f"dnat to {address}:{target}"
    else:
        choice = f"jhash ip saddr mod {number}" if port.by_client else f"numgen random mod {number}"
        listed = ", ".join(f"{index} : {address} . {target}" for index, (address, target) in enumerate(port.endpoints))
        rule = f"dnat ip addr . port to {choice} map {{ {listed} }}"
    return f"  chain {chain_name(port)} {{\n    meta l4proto {port.protocol} {rule}\n  }}\n"


def _base_chains(network: NodeNetwork) -> str:
    bridge, node, pods, services = network.bridge, network.node_cidr, network.pod_cidr, network.service_cidr
    # Without br_netfilter the answer of a pod on the same bridge would go past connection tracking, still carrying the
    # pod's address instead of the service's: then such connections are masqueraded so that the answer comes back here.
    same_bridge = (
        "" if network.bridged_packets_are_seen else f"    ct status dnat ip saddr {node} ip daddr {node} masquerade\n"
    )
    return f"""\
  chain to_service {{
    ip daddr . meta l4proto . th dport vmap @services
    fib daddr type local meta l4proto . th dport vmap @node_ports
  }}
  chain refuse {{
    meta l4proto tcp reject with tcp reset
    reject with icmp type port-unreachable
  }}
  chain guard {{
    type filter hook prerouting priority raw; policy accept;
    iifname "{bridge}" ip daddr 127.0.0.0/8 drop
    iifname "{bridge}" ip saddr != {node} drop
    iifname != {{ "{bridge}", "lo" }} ip saddr {node} drop
  }}
  chain incoming {{
    type nat hook prerouting priority dstnat; policy accept;
    jump to_service
  }}
  chain outgoing {{
    type nat hook output priority -100; policy accept;
    jump to_service
  }}
  chain leaving {{
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr . ip daddr @itself masquerade
    oifname "{bridge}" ip saddr 127.0.0.0/8 masquerade
{same_bridge}    ip saddr {node} ip daddr != {pods} oifname != "{bridge}" masquerade
    ct status dnat ip daddr {pods} ip daddr != {node} ip saddr != {pods} masquerade
  }}
  chain forwarding {{
    type filter hook forward priority filter; policy accept;
    ip daddr {services} jump refuse
    iifname "{bridge}" accept
    oifname "{bridge}" accept
  }}
  chain arriving {{
    type filter hook input priority filter; policy accept;
    meta l4proto . th dport @refused_node_ports fib daddr type local jump refuse
  }}
  chain own {{
    type filter hook output priority filter; policy accept;
    ip daddr {services} jump refuse
  }}
"""


def render_cables(network: NodeNetwork, addresses: Iterable[tuple[str, str]]) -> str:
    """Each pod's cable carries its own address only: names and addresses of all cables are known beforehand."""
    listed = ", ".join(f'"{interface}" . {address}' for interface, address in addresses)
    elements = f"    elements = {{ {listed} }}\n" if listed else ""
    return f"""\
table bridge {network.table}
delete table bridge {network.table}
table bridge {network.table} {{
  set cables {{
    type ifname . ipv4_addr
{elements}  }}
  chain guard {{
    type filter hook prerouting priority -300; policy accept;
    iifname "{network.interface_prefix}*" ether type ip iifname . ip saddr != @cables drop
    iifname "{network.interface_prefix}*" ether type arp iifname . arp saddr ip != @cables drop
  }}
}}
"""
