"""The authority: what it signs, TLS accepts; what it did not sign, TLS refuses."""

import socket
import ssl
import threading
from pathlib import Path

import pytest
from cryptography import x509

from apps.nodes.authority import create_authority, ensure_authority, ensure_leaf, issue


def contexts(pki: Path, client_authority: bytes) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pki / "api.crt", pki / "api.key")
    server.load_verify_locations(pki / "ca.crt")
    server.verify_mode = ssl.CERT_REQUIRED
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.load_verify_locations(cadata=client_authority.decode())
    client.load_cert_chain(pki / "node.crt", pki / "node.key")
    return server, client


def handshake(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> str:
    """Return the common name that the server saw."""
    left, right = socket.socketpair()
    seen: list[str] = []

    def serve() -> None:
        try:
            with server.wrap_socket(left, server_side=True) as connection:
                peer = x509.load_der_x509_certificate(connection.getpeercert(binary_form=True) or b"")
                seen.append(peer.subject.rfc4514_string())
                connection.recv(1)
        except OSError:
            left.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with client.wrap_socket(right, server_hostname=name) as connection:
            connection.send(b".")
    finally:
        thread.join(5)
    return seen[0]


@pytest.fixture
def pki(tmp_path: Path) -> Path:
    ensure_authority(tmp_path, "gantry-test")
    ensure_leaf(tmp_path, "api", "gantry:api", names=["localhost", "127.0.0.1"], server=True)
    ensure_leaf(tmp_path, "node", "system:node:n1", organizations=["system:nodes"], client=True)
    return tmp_path


def test_a_client_certificate_carries_user_and_groups(pki: Path) -> None:
    server, client = contexts(pki, (pki / "ca.crt").read_bytes())
    assert handshake(server, client, "127.0.0.1") == "CN=system:node:n1,O=system:nodes"


def test_a_name_that_the_certificate_does_not_hold_is_refused(pki: Path) -> None:
    server, client = contexts(pki, (pki / "ca.crt").read_bytes())
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(server, client, "10.1.2.3")


def test_another_authority_of_the_same_name_is_not_trusted(pki: Path) -> None:
    server, client = contexts(pki, create_authority("gantry-test").certificate)
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(server, client, "127.0.0.1")


def test_a_second_call_keeps_the_files_and_a_new_address_issues_anew(pki: Path) -> None:
    before = (pki / "api.crt").read_bytes()
    ensure_leaf(pki, "api", "gantry:api", names=["127.0.0.1"], server=True)
    assert (pki / "api.crt").read_bytes() == before
    ensure_leaf(pki, "api", "gantry:api", names=["127.0.0.1", "192.0.2.7"], server=True)
    assert (pki / "api.crt").read_bytes() != before


def test_keys_are_readable_by_root_only(pki: Path) -> None:
    assert {path.stat().st_mode & 0o777 for path in pki.iterdir()} == {0o600}


def test_a_leaf_may_not_sign() -> None:
    authority = create_authority("gantry-test")
    leaf = x509.load_pem_x509_certificate(issue(authority, "alice", client=True).certificate)
    assert leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca is False
