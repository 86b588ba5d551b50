"""Who may come in: people, their API tokens, their roles and the links by which they sign in for the first time.

Secrets are never stored: a token and a link keep the sha256 of what was shown once.
"""

from django.contrib.auth.models import AbstractUser
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class User(AbstractUser):
    """A person, or a machine account such as `admin` of admin.kubeconfig."""

    class Meta(AbstractUser.Meta):
        swappable = "AUTH_USER_MODEL"


class Token(models.Model):
    """An API token; its secret was shown once and is kept as a sha256."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="tokens")
    name = models.CharField(_("name"), max_length=100)
    prefix = models.CharField(_("prefix"), max_length=16)
    sha256 = models.CharField(max_length=64, unique=True)
    created = models.DateTimeField(_("created"), default=timezone.now)
    expires = models.DateTimeField(_("expires"), null=True, blank=True)

    class Meta:
        ordering = ["-created"]
        verbose_name = _("token")
        verbose_name_plural = _("tokens")

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"


class Role(models.TextChoices):
    """The built-in roles; see `apps.access.roles` for what each may do."""

    ADMIN = "admin", _("Admin")
    EDIT = "edit", _("Edit")
    VIEW = "view", _("View")


class RoleGrant(models.Model):
    """A role given to a user or a group, in one namespace or (empty) everywhere."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, null=True, blank=True, related_name="grants")
    group = models.CharField(_("group"), max_length=150, blank=True)
    role = models.CharField(_("role"), max_length=8, choices=Role.choices)
    namespace = models.CharField(_("namespace"), max_length=63, blank=True)

    class Meta:
        verbose_name = _("role grant")
        verbose_name_plural = _("role grants")
        constraints = [
            models.CheckConstraint(
                condition=models.Q(user__isnull=False, group="") | (models.Q(user__isnull=True) & ~models.Q(group="")),
                name="grant_user_or_group",
            )
        ]

    def __str__(self) -> str:
        return f"{self.role}: {self.user or self.group} in {self.namespace or '*'}"


class SignInLink(models.Model):
    """A link that signs a user in once, within a quarter of an hour."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="links")
    sha256 = models.CharField(max_length=64, unique=True)
    expires = models.DateTimeField()
    used = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"sign-in link of {self.user}"
