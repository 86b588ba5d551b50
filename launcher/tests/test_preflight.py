"""Preflight: ports that are taken and ranges that overlap are found before anything is changed."""

import socket
import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from launcher.preflight import missing_packages, network_rows, overlapping_route, port_is_free

HEADER = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"


def routes(folder: Path, *entries: tuple[str, str]) -> Path:
    """Write /proc/net/route lines of (destination, mask) in dotted form."""
    file = folder / "route"
    lines = [f"eth0\t{little(a)}\t00000000\t0001\t0\t0\t0\t{little(m)}\t0\t0\t0\n" for a, m in entries]
    file.write_text(HEADER + "".join(lines))
    return file


def little(address: str) -> str:
    return bytes(int(part) for part in address.split("."))[::-1].hex().upper()


def test_a_taken_port_is_not_free() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert not port_is_free(f"127.0.0.1:{taken.getsockname()[1]}")


def test_a_closed_port_is_free_again() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    assert port_is_free(f"127.0.0.1:{port}")


def test_a_range_inside_a_route_overlaps(tmp_path: Path) -> None:
    file = routes(tmp_path, ("10.244.3.0", "255.255.255.0"))
    assert overlapping_route("10.244.0.0/16", file) == "10.244.3.0/24"


def test_the_default_route_overlaps_nothing(tmp_path: Path) -> None:
    file = routes(tmp_path, ("0.0.0.0", "0.0.0.0"), ("192.168.1.0", "255.255.255.0"))
    assert overlapping_route("10.244.0.0/16", file) == ""


@given(st.integers(0, 255), st.integers(0, 255))
def test_two_slash_16_ranges_overlap_exactly_when_they_are_the_same(first: int, second: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = routes(Path(folder), (f"10.{first}.0.0", "255.255.0.0"))
        assert bool(overlapping_route(f"10.{second}.0.0/16", file)) == (first == second)


def test_a_port_that_was_asked_for_and_is_taken_fails() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        asked = next(network_rows([("API", address, "127.0.0.1:6443")], []))
        by_default = next(network_rows([("API", "", address)], []))
    assert asked == ("fail", "API", f"{address} is taken; choose another port")
    assert by_default == ("warn", "API", f"{address} is taken; the next free port is used")


def test_a_range_that_is_none_fails_with_an_example() -> None:
    row = next(network_rows([], [("pod range", "10.244.0.1/16", "10.244.0.0/16")]))
    assert row.state == "fail"
    assert "write a range such as 10.244.0.0/16" in row.sentence


def test_what_is_present_is_not_asked_for() -> None:
    assert missing_packages([]) == []
