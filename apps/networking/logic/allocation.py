"""Which cluster address and which node port a Service gets. Called by `services.py`; pure.

The first candidate comes from the service's uid: an address that was just given up is rarely the next to be given
out, and two services created at once rarely meet.
"""

from collections.abc import Collection, Iterator
from ipaddress import IPv4Address, IPv4Network
from zlib import crc32

FIRST_NODE_PORT, LAST_NODE_PORT = 30000, 32767
# Addresses that the cluster itself uses: .1 is the API's service, .10 by custom that of DNS.
RESERVED = 16


class RangeExhaustedError(Exception):
    """The range has nothing left."""


def address(cidr: str, taken: Collection[str], seed: str) -> str:
    """Return a free address of `cidr`."""
    network = IPv4Network(cidr)
    first = int(network.network_address)
    reserved = RESERVED if network.num_addresses > 4 * RESERVED else 1
    for offset in _probe(reserved, network.num_addresses - 2, seed):
        candidate = str(IPv4Address(first + offset))
        if candidate not in taken:
            return candidate
    raise RangeExhaustedError(f"all addresses of the service range {cidr} are in use")


def in_range(cidr: str, text: str) -> bool:
    """Whether a service may have this address: inside the range, neither its first nor its last."""
    network = IPv4Network(cidr)
    try:
        asked = IPv4Address(text)
    except ValueError:
        return False
    return asked in network and asked not in (network.network_address, network.broadcast_address)


def node_port(taken: Collection[int], seed: str) -> int:
    """Return a free node port."""
    for port in _probe(FIRST_NODE_PORT, LAST_NODE_PORT, seed):
        if port not in taken:
            return port
    raise RangeExhaustedError(f"all node ports from {FIRST_NODE_PORT} to {LAST_NODE_PORT} are in use")


def _probe(first: int, last: int, seed: str) -> Iterator[int]:
    size = last - first + 1
    start = crc32(seed.encode()) % size
    return (first + (start + step) % size for step in range(size))
