"""The instance's settings: the person's word counts, nobody's word is the next free one, nothing changes by itself."""

import argparse
import json
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from launcher.configuration import configure, kubeconfig_token, write_kubeconfig, write_node
from launcher.errors import LauncherError
from nodeworker.config import load_config


def flags(**given: str) -> argparse.Namespace:
    return argparse.Namespace(**{"listen": None, "api_listen": None, "pod_cidr": None, "service_cidr": None, **given})


@pytest.fixture
def taken() -> Iterator[str]:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield f"127.0.0.1:{server.getsockname()[1]}"


def test_a_second_up_keeps_id_and_ranges(tmp_path: Path) -> None:
    first = configure(tmp_path, flags(pod_cidr="10.219.0.0/16", service_cidr="10.220.0.0/16"))
    second = configure(tmp_path, flags())
    assert (second.id, second.pod_cidr, second.service_cidr) == (first.id, "10.219.0.0/16", "10.220.0.0/16")


def test_a_named_port_that_is_taken_is_an_error(tmp_path: Path, taken: str) -> None:
    with pytest.raises(LauncherError, match=f"{taken} for the API is taken"):
        configure(tmp_path, flags(api_listen=taken))


@pytest.mark.parametrize("text", ["8000", "127.0.0.1:0", "127.0.0.1:http", "localhost:8000", "1.2.3.4:70000"])
def test_a_wrong_address_says_what_would_be_right(tmp_path: Path, text: str) -> None:
    with pytest.raises(LauncherError, match="write ADDRESS:PORT"):
        configure(tmp_path, flags(listen=text))


@pytest.mark.parametrize("text", ["10.1.0.0", "10.1.2.3/16", "10.1.0.0/28", "fd00::/64"])
def test_a_wrong_range_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(LauncherError, match="pod-cidr"):
        configure(tmp_path, flags(pod_cidr=text))


def test_a_range_cannot_change_later(tmp_path: Path) -> None:
    configure(tmp_path, flags(pod_cidr="10.219.0.0/16"))
    with pytest.raises(LauncherError, match="a range cannot change"):
        configure(tmp_path, flags(pod_cidr="10.221.0.0/16"))


def test_secrets_are_for_root_only_and_never_rewritten(tmp_path: Path) -> None:
    configure(tmp_path, flags())
    key = tmp_path / "secrets" / "encryption.key"
    before = key.read_bytes()
    configure(tmp_path, flags())
    assert key.read_bytes() == before
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert before


def test_the_encryption_key_is_one_that_the_server_reads(tmp_path: Path) -> None:
    configure(tmp_path, flags())
    assert len(bytes.fromhex((tmp_path / "secrets" / "encryption.key").read_text())) == 32


def test_the_kubeconfig_holds_address_authority_and_token(tmp_path: Path) -> None:
    instance = configure(tmp_path, flags())
    (tmp_path / "pki" / "ca.crt").write_text("CERTIFICATE")
    content = json.loads(write_kubeconfig(tmp_path, instance, "gantry.abc").read_text())
    assert content["clusters"][0]["cluster"]["server"] == f"https://{instance.api_listen}"
    assert kubeconfig_token(tmp_path) == "gantry.abc"


def test_the_node_reads_what_the_launcher_wrote(tmp_path: Path) -> None:
    instance = configure(tmp_path, flags())
    write_node(tmp_path, instance)
    config = load_config(tmp_path / "node" / "config.json")
    assert (config.name, config.instance) == (instance.node_name, instance.id)
    assert config.api == f"https://{instance.api_listen}"


def test_two_homes_have_different_names_for_global_things(tmp_path: Path) -> None:
    first = configure(tmp_path / "a", flags())
    second = configure(tmp_path / "b", flags())
    assert first.bridge != second.bridge
    assert first.nft_table != second.nft_table
