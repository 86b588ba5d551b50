"""Raw rtnetlink: links, bridges, veth pairs, addresses, routes. Used by the shim (a pod's network) and the agent.

A library for this costs 0.3 s and 37 MB at import and 8 ms a pod; the dozen messages below cost less than one. A
socket belongs for ever to the network namespace in which it was opened, which is how the shim talks to the host's and
to the pod's at the same time.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import struct
from collections.abc import Iterator

from nodeworker.kernel.calls import os_error

_RTM_NEWLINK, _RTM_DELLINK, _RTM_GETLINK, _RTM_SETLINK = 16, 17, 18, 19
_RTM_NEWADDR, _RTM_DELADDR, _RTM_GETADDR = 20, 21, 22
_RTM_NEWROUTE, _RTM_DELROUTE = 24, 25
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_REQUEST, _ACK, _DUMP = 0x1, 0x4, 0x300
_REPLACE, _EXCLUSIVE, _CREATE = 0x100, 0x200, 0x400
_NESTED = 0x8000

_IFLA_ADDRESS, _IFLA_NAME, _IFLA_MTU, _IFLA_MASTER, _IFLA_PROTINFO, _IFLA_LINKINFO = 1, 3, 4, 10, 12, 18
_IFLA_NET_NS_FD, _IFLA_INFO_KIND, _IFLA_INFO_DATA, _VETH_INFO_PEER, _BRPORT_MODE = 28, 1, 2, 1, 4
_IFLA_AF_SPEC, _INET6_ADDR_GEN_MODE, _GENERATE_NONE = 26, 8, b"\1"
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_RTA_DESTINATION, _RTA_OUT_INTERFACE, _RTA_GATEWAY = 1, 4, 5
_IFF_UP = 1
_TABLE_MAIN, _PROTOCOL_STATIC, _SCOPE_UNIVERSE, _SCOPE_LINK = 254, 4, 0, 253
UNICAST, BLACKHOLE, UNREACHABLE = 1, 6, 7

_HEADER = struct.Struct("=IHHII")
_LINK = struct.Struct("=BxHiII")
_ADDRESS = struct.Struct("=BBBBi")
_ROUTE = struct.Struct("=8BI")
_ATTRIBUTE = struct.Struct("=HH")


def _attribute(kind: int, value: bytes) -> bytes:
    length = _ATTRIBUTE.size + len(value)
    return _ATTRIBUTE.pack(length, kind) + value + b"\0" * (-length % 4)


def _number(kind: int, value: int) -> bytes:
    return _attribute(kind, struct.pack("=I", value))


def _text(kind: int, value: str) -> bytes:
    return _attribute(kind, value.encode() + b"\0")


def _link(index: int = 0, flags: int = 0, family: int = 0) -> bytes:
    return _LINK.pack(family, 0, index, flags, flags)


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    position = 0
    while position + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, position)
        if length < _ATTRIBUTE.size:
            return
        yield kind & 0x3FFF, data[position + _ATTRIBUTE.size : position + length]
        position += length + (-length % 4)


def mac_bytes(mac: str) -> bytes:
    """ "0a:58:0a:d2:00:05" as six bytes."""
    return bytes.fromhex(mac.replace(":", ""))


def mac_of_address(address: str) -> str:
    """A locally administered MAC derived from an IPv4 address: the same pod address always has the same one."""
    return "0a:58:" + ":".join(f"{byte:02x}" for byte in socket.inet_aton(address))


class Netlink:
    """One rtnetlink socket in the network namespace of its creation."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
        self._socket.bind((0, 0))
        self._sequence = 0

    def __enter__(self) -> Netlink:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def request(self, kind: int, flags: int, body: bytes, about: str) -> list[bytes]:
        """Send one message and wait for its acknowledgement; the bodies of what came with it."""
        self._sequence += 1
        length = _HEADER.size + len(body)
        self._socket.send(_HEADER.pack(length, kind, flags | _REQUEST | _ACK, self._sequence, 0) + body)
        answers: list[bytes] = []
        while True:
            data = self._socket.recv(256 * 1024)
            position = 0
            while position < len(data):
                length, answer, _flags, sequence, _port = _HEADER.unpack_from(data, position)
                content = data[position + _HEADER.size : position + length]
                position += length + (-length % 4)
                if sequence != self._sequence:
                    continue
                if answer == _NLMSG_ERROR:
                    code = -struct.unpack_from("=i", content)[0]
                    if code:
                        raise os_error("netlink", about, code)
                    return answers
                if answer == _NLMSG_DONE:
                    return answers
                answers.append(content)

    # Links

    def link_index(self, name: str) -> int | None:
        """The interface's index, or None when there is none of that name."""
        try:
            answers = self.request(_RTM_GETLINK, 0, _link() + _text(_IFLA_NAME, name), name)
        except OSError as error:
            if error.errno == errno.ENODEV:
                return None
            raise
        return int(_LINK.unpack_from(answers[0])[2])

    def links(self) -> dict[str, int]:
        """All interfaces: name -> index."""
        found = {}
        for answer in self.request(_RTM_GETLINK, _DUMP, _link(), "all links"):
            index = _LINK.unpack_from(answer)[2]
            for kind, value in _attributes(answer[_LINK.size :]):
                if kind == _IFLA_NAME:
                    found[value.rstrip(b"\0").decode()] = index
        return found

    def create_bridge(self, name: str, *, mac: str = "", mtu: int = 0) -> int:
        """A bridge, up; its index. FileExistsError when the name is taken."""
        body = _link() + _text(_IFLA_NAME, name)
        if mac:
            body += _attribute(_IFLA_ADDRESS, mac_bytes(mac))
        if mtu:
            body += _number(_IFLA_MTU, mtu)
        body += _attribute(_IFLA_LINKINFO, _text(_IFLA_INFO_KIND, "bridge"))
        self.request(_RTM_NEWLINK, _CREATE | _EXCLUSIVE, body, name)
        self._without_link_local(name)
        index = self.link_index(name)
        assert index is not None
        self.set_up(index)
        return index

    def create_veth(
        self, name: str, *, peer: str, peer_namespace: int, master: int, mtu: int, peer_mac: str, hairpin: bool = True
    ) -> None:
        """A veth pair in one message: our end on the bridge `master` and up, the peer in another network namespace."""
        inside = _link() + _text(_IFLA_NAME, peer) + _number(_IFLA_NET_NS_FD, peer_namespace)
        inside += _number(_IFLA_MTU, mtu) + _attribute(_IFLA_ADDRESS, mac_bytes(peer_mac))
        data = _attribute(_IFLA_INFO_DATA, _attribute(_VETH_INFO_PEER, inside))
        body = _link(flags=_IFF_UP) + _text(_IFLA_NAME, name) + _number(_IFLA_MTU, mtu) + _number(_IFLA_MASTER, master)
        body += _attribute(_IFLA_LINKINFO, _text(_IFLA_INFO_KIND, "veth") + data)
        self.request(_RTM_NEWLINK, _CREATE | _EXCLUSIVE, body, name)
        self._without_link_local(name)
        if hairpin:
            self.set_hairpin(name)

    def _without_link_local(self, name: str) -> None:
        """No IPv6 address of its own, of which nobody has use.

        Each that comes or goes is a change of network to programs that listen: Chromium breaks off the requests that it
        has under way (ERR_NETWORK_CHANGED), on this machine to the console too.
        """
        inside = _attribute(socket.AF_INET6 | _NESTED, _attribute(_INET6_ADDR_GEN_MODE, _GENERATE_NONE))
        with contextlib.suppress(OSError):  # a kernel without IPv6
            self.request(
                _RTM_SETLINK, 0, _link() + _text(_IFLA_NAME, name) + _attribute(_IFLA_AF_SPEC | _NESTED, inside), name
            )

    def set_hairpin(self, name: str) -> None:
        """Let the bridge send a frame back out of the port it came in by: a pod that asks its own service."""
        index = self.link_index(name)
        if index is None:
            raise os_error("netlink", name, errno.ENODEV)
        body = _link(index, family=socket.AF_BRIDGE)
        body += _attribute(_IFLA_PROTINFO | _NESTED, _attribute(_BRPORT_MODE, b"\1"))
        self.request(_RTM_SETLINK, 0, body, name)

    def set_up(self, index: int) -> None:
        """Bring an interface up."""
        self.request(_RTM_NEWLINK, 0, _link(index, _IFF_UP), f"interface {index}")

    def set_master(self, index: int, master: int) -> None:
        """Put an interface on a bridge (0: take it off)."""
        self.request(_RTM_NEWLINK, 0, _link(index) + _number(_IFLA_MASTER, master), f"interface {index}")

    def delete_link(self, index: int) -> None:
        """Remove an interface. Slow for a veth (16-31 ms): drop its network namespace instead."""
        self.request(_RTM_DELLINK, 0, _link(index), f"interface {index}")

    # Addresses and routes (IPv4)

    def add_address(self, index: int, address: str, *, replace: bool = False) -> None:
        """Give an interface "10.244.0.1/24"; FileExistsError when it has it already and `replace` is not set."""
        host, _, prefix = address.partition("/")
        packed = socket.inet_aton(host)
        body = _ADDRESS.pack(socket.AF_INET, int(prefix), 0, _SCOPE_UNIVERSE, index)
        body += _attribute(_IFA_LOCAL, packed) + _attribute(_IFA_ADDRESS, packed)
        self.request(_RTM_NEWADDR, _CREATE | (_REPLACE if replace else _EXCLUSIVE), body, address)

    def addresses(self, index: int) -> list[str]:
        """The IPv4 addresses of an interface, as "10.244.0.1/24"."""
        found = []
        request = _ADDRESS.pack(socket.AF_INET, 0, 0, 0, 0)
        for answer in self.request(_RTM_GETADDR, _DUMP, request, "addresses"):
            _family, prefix, _flags, _scope, owner = _ADDRESS.unpack_from(answer)
            values = dict(_attributes(answer[_ADDRESS.size :]))
            if owner == index and _IFA_LOCAL in values:
                found.append(f"{socket.inet_ntoa(values[_IFA_LOCAL])}/{prefix}")
        return found

    def add_route(
        self, destination: str, *, gateway: str = "", index: int = 0, kind: int = UNICAST, replace: bool = False
    ) -> None:
        """A route in the main table to "default" or "10.244.0.0/16": by a gateway, by an interface, or UNREACHABLE."""
        scope = _SCOPE_LINK if index and not gateway else _SCOPE_UNIVERSE
        body = self._route(destination, gateway, index, kind, scope)
        self.request(_RTM_NEWROUTE, _CREATE | (_REPLACE if replace else _EXCLUSIVE), body, destination)

    def delete_route(self, destination: str, *, kind: int = UNICAST) -> None:
        """Remove such a route."""
        self.request(_RTM_DELROUTE, 0, self._route(destination, "", 0, kind, _SCOPE_UNIVERSE), destination)

    @staticmethod
    def _route(destination: str, gateway: str, index: int, kind: int, scope: int) -> bytes:
        host, _, prefix = "/0".partition("/") if destination == "default" else destination.partition("/")
        body = _ROUTE.pack(socket.AF_INET, int(prefix or 32), 0, 0, _TABLE_MAIN, _PROTOCOL_STATIC, scope, kind, 0)
        if host:
            body += _attribute(_RTA_DESTINATION, socket.inet_aton(host))
        if gateway:
            body += _attribute(_RTA_GATEWAY, socket.inet_aton(gateway))
        if index:
            body += _number(_RTA_OUT_INTERFACE, index)
        return body


def in_namespace_of(pid: int) -> int:
    """A descriptor of a process's network namespace."""
    return os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
