"""Secrets that are shown once: API tokens and sign-in links. Called by the views, the commands and the launcher."""

import hashlib
import secrets
from datetime import timedelta

from django.contrib.auth import get_user_model
from django.db import models, transaction
from django.utils import timezone

from apps.access import identity
from apps.access.models import SignInLink, Token, User

LINK_LIFETIME = timedelta(minutes=15)


def make_token(user: User, name: str, lifetime: timedelta | None = None) -> tuple[Token, str]:
    """Make an API token; the second value is the secret, which is kept nowhere."""
    secret = f"gantry_{secrets.token_urlsafe(32)}"
    expires = timezone.now() + lifetime if lifetime else None
    token = Token.objects.create(user=user, name=name, prefix=secret[:12], sha256=digest(secret), expires=expires)
    return token, secret


def make_link(user: User) -> str:
    """Make a sign-in link; return the secret part of its address."""
    SignInLink.objects.filter(expires__lt=timezone.now()).delete()
    secret = secrets.token_urlsafe(32)
    SignInLink.objects.create(user=user, sha256=digest(secret), expires=timezone.now() + LINK_LIFETIME)
    return secret


def link_is_valid(secret: str) -> bool:
    """Say whether a link could be used now, without using it."""
    return _open_links(secret).exists()


def consume_link(secret: str) -> User | None:
    """Use a link; None when it is unknown, used or too old. Of two at once one gets in."""
    with transaction.atomic():
        link = _open_links(secret).select_related("user").first()
        if link is None or not link.user.is_active:
            return None
        claimed = SignInLink.objects.filter(pk=link.pk, used=None).update(used=timezone.now())
    return link.user if claimed else None


def _open_links(secret: str) -> models.QuerySet[SignInLink]:
    return SignInLink.objects.filter(sha256=digest(secret), used=None, expires__gt=timezone.now())


def digest(secret: str) -> str:
    """What is kept of a secret. It has 256 random bits, so a plain hash is enough."""
    return hashlib.sha256(secret.encode()).hexdigest()


def administrator(name: str = "admin") -> User:
    """The first user, who may do everything; made when it is missing, without a password."""
    user, made = get_user_model().objects.get_or_create(
        username=name, defaults={"is_superuser": True, "is_staff": True}
    )
    if made:
        user.set_unusable_password()
        user.save(update_fields=["password"])
        identity.forget()
    return user
