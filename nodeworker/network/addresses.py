"""Which pod has which address of the node's range. Pure; agent/sandbox.py keeps the result on disk.

The next address handed out is the one after the last: an address that was just given back rests as long as possible, so
that a client with a stale connection does not talk to a stranger.
"""

import ipaddress
from collections.abc import Iterator

import msgspec

RESERVED = 1  # the gateway (.1) besides network and broadcast address


class OutOfAddresses(Exception):  # noqa: N818 - named for what happened
    """All addresses of the node's range are in use."""


class Addresses(msgspec.Struct, frozen=True):
    """The allocation of one node: pod uid -> number within the range (2 is the first)."""

    cidr: str
    in_use: dict[str, int] = {}
    last: int = RESERVED

    @property
    def network(self) -> ipaddress.IPv4Network:
        return ipaddress.IPv4Network(self.cidr)

    @property
    def gateway(self) -> str:
        return str(self.network.network_address + 1)

    def of(self, uid: str) -> str | None:
        number = self.in_use.get(uid)
        return None if number is None else self.address(number)

    def address(self, number: int) -> str:
        return str(self.network.network_address + number)

    def number(self, address: str) -> int:
        return int(ipaddress.IPv4Address(address)) - int(self.network.network_address)


def allocate(addresses: Addresses, uid: str) -> Addresses:
    """Give `uid` an address; the same again when it has one."""
    if uid in addresses.in_use:
        return addresses
    taken = set(addresses.in_use.values())
    for number in _from(addresses.last + 1, addresses.network.num_addresses):
        if number not in taken:
            return Addresses(addresses.cidr, {**addresses.in_use, uid: number}, number)
    raise OutOfAddresses(f"all {addresses.network.num_addresses - 3} pod addresses of {addresses.cidr} are in use")


def release(addresses: Addresses, uid: str) -> Addresses:
    """Take the address of `uid` back."""
    if uid not in addresses.in_use:
        return addresses
    rest = {owner: number for owner, number in addresses.in_use.items() if owner != uid}
    return Addresses(addresses.cidr, rest, addresses.last)


def adopt(addresses: Addresses, uid: str, address: str) -> Addresses:
    """Remember an address that a running pod is seen to have."""
    number = addresses.number(address)
    if not RESERVED < number < addresses.network.num_addresses - 1:
        return addresses
    return Addresses(addresses.cidr, {**addresses.in_use, uid: number}, addresses.last)


def _from(first: int, size: int) -> Iterator[int]:
    """All usable numbers, beginning with `first`, going round once."""
    usable = range(RESERVED + 1, size - 1)
    if first not in usable:
        first = RESERVED + 1
    yield from range(first, size - 1)
    yield from range(RESERVED + 1, first)
