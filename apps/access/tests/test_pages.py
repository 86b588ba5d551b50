"""Signing in by link and password, the tokens' REST, the listener's border."""

from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.http import HttpResponse
from django.test import Client, RequestFactory
from django.utils import timezone

from apps.access.middleware import listener_middleware
from apps.access.models import SignInLink, Token, User
from apps.access.tests.people import person, scope
from apps.access.tokens import administrator, make_link, make_token

pytestmark = pytest.mark.usefixtures("store")


def client(**headers: str) -> Client:
    return Client(headers={"host": "127.0.0.1:8000", **headers})


def test_a_link_shows_a_button_and_works_once() -> None:
    address = f"/accounts/signin/{make_link(administrator())}"
    browser = client()
    assert b"<button" in browser.get(address).content
    assert browser.post(address).headers["Location"] == "/accounts/password/"
    assert client().post(address).status_code == 410
    assert client().get(address).status_code == 410


def test_an_old_link_and_one_that_nobody_made_are_refused() -> None:
    address = f"/accounts/signin/{make_link(administrator())}"
    SignInLink.objects.update(expires=timezone.now())
    assert client().post(address).status_code == 410
    assert client().get("/accounts/signin/nothing").status_code == 410


def test_the_first_visit_sets_a_password_which_then_signs_in() -> None:
    browser = client()
    browser.post(f"/accounts/signin/{make_link(administrator())}")
    word = "a-long-enough-pass-phrase"
    answer = browser.post("/accounts/password/", {"new_password1": word, "new_password2": word})
    assert answer.headers["Location"] == "/"
    answer = client().post("/accounts/login/", {"username": "admin", "password": word})
    assert answer.status_code == 302


def test_a_weak_password_is_refused_with_a_reason() -> None:
    browser = client()
    browser.post(f"/accounts/signin/{make_link(administrator())}")
    answer = browser.post("/accounts/password/", {"new_password1": "12345678", "new_password2": "12345678"})
    assert b"too common" in answer.content


def test_guessing_is_locked_after_ten_times() -> None:
    person("bob")
    browser = client()
    answers = [browser.post("/accounts/login/", {"username": "bob", "password": "no"}) for _ in range(11)]
    assert answers[0].status_code == 200
    assert answers[-1].status_code == 429


def test_signing_out_ends_the_session() -> None:
    browser = client()
    browser.force_login(person("bob"), backend="django.contrib.auth.backends.ModelBackend")
    assert browser.get("/rest/v1/tokens").status_code == 200
    browser.post("/accounts/logout/")
    assert browser.get("/rest/v1/tokens").status_code == 401


def test_a_token_is_shown_once_and_listed_without_its_secret() -> None:
    _, secret = make_token(person("bob"), "first")
    bob = client(authorization=f"Bearer {secret}")
    made = bob.post("/rest/v1/tokens", {"name": "ci", "days": 30}, content_type="application/json")
    assert made.status_code == 201
    listed = bob.get("/rest/v1/tokens").json()
    assert {token["name"] for token in listed} == {"first", "ci"}
    assert made.json()["token"] not in str(listed)
    assert client(authorization=f"Bearer {made.json()['token']}").get("/rest/v1/tokens").status_code == 200


def test_nobody_sees_or_removes_the_tokens_of_others() -> None:
    token, _ = make_token(person("alice", is_superuser=True), "hers")
    _, secret = make_token(person("bob", "edit"), "his")
    bob = client(authorization=f"Bearer {secret}")
    assert [one["name"] for one in bob.get("/rest/v1/tokens").json()] == ["his"]
    assert bob.delete(f"/rest/v1/tokens/{token.pk}").status_code == 404
    refused = bob.post("/rest/v1/tokens", {"name": "x", "user": "alice"}, content_type="application/json")
    assert (refused.status_code, refused.json()["reason"]) == (403, "Forbidden")


def test_an_admin_makes_no_token_of_a_superuser() -> None:
    person("alice", is_superuser=True)
    _, secret = make_token(person("bob", "admin"), "his")
    bob = client(authorization=f"Bearer {secret}")
    assert (
        bob.post("/rest/v1/tokens", {"name": "x", "user": "alice"}, content_type="application/json").status_code == 403
    )


def test_a_removed_token_ends_at_once() -> None:
    token, secret = make_token(person("bob"), "his")
    bob = client(authorization=f"Bearer {secret}")
    assert bob.delete(f"/rest/v1/tokens/{token.pk}").status_code == 204
    assert bob.get("/rest/v1/tokens").status_code == 401


def test_bad_input_names_the_field_in_a_status() -> None:
    _, secret = make_token(person("bob"), "his")
    answer = client(authorization=f"Bearer {secret}").post(
        "/rest/v1/tokens", {"name": "", "days": 0}, content_type="application/json"
    )
    assert answer.json()["kind"] == "Status"
    assert {cause["field"] for cause in answer.json()["details"]["causes"]} == {"name", "days"}


def test_a_session_without_a_csrf_token_writes_nothing() -> None:
    browser = client()
    browser.force_login(person("bob"), backend="django.contrib.auth.backends.ModelBackend")
    answer = browser.post("/rest/v1/tokens", {"name": "x"}, content_type="application/json")
    assert (answer.status_code, Token.objects.count()) == (403, 0)


def test_nobody_gets_401_with_a_status() -> None:
    answer = client().get("/rest/v1/tokens")
    assert (answer.status_code, answer.json()["reason"]) == (401, "Unauthorized")


def test_a_foreign_host_name_is_refused() -> None:
    assert Client(headers={"host": "rebound.example"}).get("/accounts/login/").status_code == 400


@pytest.mark.parametrize(("path", "status"), [("/accounts/login/", 404), ("/admin/", 404), ("/rest/v1/tokens", 200)])
def test_the_api_listener_serves_no_pages(path: str, status: int) -> None:
    request: Any = RequestFactory().get(path)
    request.scope = scope(listener="api", host="10.0.0.1:6443")
    assert listener_middleware(lambda _: HttpResponse())(request).status_code == status


def test_the_commands_print_a_link_and_a_token() -> None:
    link, token = StringIO(), StringIO()
    call_command("signin_link", "--base", "http://127.0.0.1:8000/", stdout=link)
    call_command("admin_token", stdout=token)
    call_command("admin_token", stdout=StringIO())
    assert link.getvalue().startswith("http://127.0.0.1:8000/accounts/signin/")
    assert token.getvalue().startswith("gantry_")
    assert Token.objects.count() == 1
    assert User.objects.get().is_superuser
