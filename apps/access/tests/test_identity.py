"""Who sends a request: tokens, sessions, certificates, and where each counts."""

from datetime import UTC, datetime, timedelta
from typing import Any
from unittest import mock

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from django.conf import settings
from django.contrib.auth.models import Group
from django.test import Client
from django.utils import timezone

from apps.access import identity
from apps.access.identity import authenticate, authenticate_now, session_alive
from apps.access.models import Token, User
from apps.access.origins import check_origin
from apps.access.tests.people import in_thread, person, scope
from apps.access.tokens import make_token

pytestmark = pytest.mark.usefixtures("store")


@pytest.fixture(autouse=True)
def _fresh() -> None:
    identity.forget()


def certificate(name: str, group: str) -> bytes:
    """A certificate as the cluster's authority makes it for a node."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group), x509.NameAttribute(NameOID.COMMON_NAME, name)]
    )
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now).not_valid_after(now + timedelta(days=1))
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def session_cookie(user: User) -> str:
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return f"{settings.SESSION_COOKIE_NAME}={client.cookies[settings.SESSION_COOKIE_NAME].value}"


@pytest.mark.parametrize("listener", ["console", "api"])
def test_a_token_counts_on_both_listeners(listener: str) -> None:
    _, secret = make_token(person("bob"), "laptop")
    found = authenticate_now(scope(bearer=secret, listener=listener))
    assert found is not None
    assert (found.name, found.source, found.groups) == ("bob", "token", frozenset({"system:authenticated"}))


def test_the_database_does_not_hold_a_token() -> None:
    token, secret = make_token(person("bob"), "laptop")
    assert secret not in str(Token.objects.values().get())
    assert secret.startswith(token.prefix)


@pytest.mark.parametrize("bearer", ["gantry_wrong", "x", "é"])
def test_an_unknown_token_is_nobody(bearer: str) -> None:
    assert authenticate_now(scope(bearer=bearer)) is None


def test_a_wrong_token_is_not_saved_by_a_good_certificate() -> None:
    der = certificate("system:node:n1", "system:nodes")
    assert authenticate_now(scope(bearer="gantry_wrong", der=der, listener="api")) is None


def test_an_expired_token_is_nobody_even_when_it_is_remembered() -> None:
    _, secret = make_token(person("bob"), "laptop", timedelta(seconds=30))
    assert authenticate_now(scope(bearer=secret)) is not None
    Token.objects.update(expires=timezone.now() - timedelta(seconds=1))
    identity.forget()
    assert authenticate_now(scope(bearer=secret)) is None


def test_a_user_who_was_switched_off_is_nobody() -> None:
    user = person("bob")
    _, secret = make_token(user, "laptop")
    User.objects.update(is_active=False)
    assert authenticate_now(scope(bearer=secret)) is None


def test_a_group_named_as_the_systems_makes_nobody_a_master() -> None:
    user = person("bob")
    user.groups.add(Group.objects.create(name="system:masters"), Group.objects.create(name="team"))
    _, secret = make_token(user, "laptop")
    found = authenticate_now(scope(bearer=secret))
    assert found is not None
    assert found.groups == {"team", "system:authenticated"}


def test_a_session_counts_on_the_console_only() -> None:
    cookie = session_cookie(person("bob"))
    assert authenticate_now(scope(cookie=cookie)) is not None
    assert authenticate_now(scope(cookie=cookie, listener="api")) is None


def test_a_session_under_a_foreign_host_name_is_nobody() -> None:
    cookie = session_cookie(person("bob"))
    assert authenticate_now(scope(cookie=cookie, host="rebound.example:8000")) is None


def test_a_session_ends_with_a_new_password() -> None:
    user = person("bob")
    cookie = session_cookie(user)
    user.set_password("another-long-password")
    user.save()
    assert authenticate_now(scope(cookie=cookie)) is None


@pytest.mark.parametrize("cookie", ["", "sessionid=", "sessionid=nothing", "a=b; sessionid=../../etc", "\x00;;="])
def test_other_cookies_are_nobody(cookie: str) -> None:
    assert authenticate_now(scope(cookie=cookie)) is None


def test_a_certificate_is_a_node_on_the_api_only() -> None:
    der = certificate("system:node:n1", "system:nodes")
    found = authenticate_now(scope(der=der, listener="api"))
    assert found is not None
    assert (found.node_name, found.source) == ("n1", "certificate")
    assert authenticate_now(scope(der=der)) is None


def test_bytes_that_are_no_certificate_are_nobody() -> None:
    assert authenticate_now(scope(der=b"junk", listener="api")) is None


async def test_event_loops_authenticate_and_remember() -> None:
    with mock.patch.object(identity, "_of_token", return_value=None) as looked_up:
        assert await authenticate(scope(bearer="gantry_x")) is None
        assert await authenticate(scope(bearer="gantry_x")) is None
    assert looked_up.call_count == 1


async def test_nothing_lives_on_after_its_session() -> None:
    user = await in_thread(person, "bob")
    _, secret = await in_thread(make_token, user, "laptop")
    found = await authenticate(scope(bearer=secret))
    assert found is not None
    assert await session_alive(found)
    await in_thread(Token.objects.all().delete)
    assert not await session_alive(found)


def post(**headers: Any) -> Any:
    return scope(method="POST", cookie=headers.pop("cookie", ""), **headers)


TOKEN = "a" * 32
GOOD = {"origin": "http://127.0.0.1:8000", "x_csrftoken": TOKEN, "cookie": f"csrftoken={TOKEN}"}


def test_a_page_of_ours_may_write() -> None:
    assert check_origin(post(**GOOD))


@pytest.mark.parametrize(
    "change",
    [
        {"origin": ""},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:9000"},
        {"origin": "https://127.0.0.1:8000"},
        {"origin": "http://evil.example"},
        {"x_csrftoken": ""},
        {"x_csrftoken": "b" * 32},
        {"cookie": ""},
        {"cookie": "csrftoken=", "x_csrftoken": ""},
        {"host": "evil.example", "origin": "http://evil.example"},
    ],
)
def test_any_other_page_may_not(change: dict[str, str]) -> None:
    assert not check_origin(post(**{**GOOD, **change}))


def test_a_websocket_needs_our_origin_and_no_token() -> None:
    socket = {**scope(origin="http://127.0.0.1:8000"), "type": "websocket", "scheme": "ws"}
    assert check_origin(socket)
    assert not check_origin({**scope(origin="http://evil.example"), "type": "websocket", "scheme": "ws"})
    assert not check_origin({**scope(), "type": "websocket", "scheme": "ws"})


def test_the_public_address_is_an_origin_of_ours(settings: object) -> None:
    settings.GANTRY_PUBLIC_URL = "https://gantry.example"  # type: ignore[attr-defined]
    assert check_origin(post(**{**GOOD, "origin": "https://gantry.example", "host": "gantry.example"}))
