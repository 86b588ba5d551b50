"""`manage.py admin_token`: make the token of admin.kubeconfig anew and print it; the launcher calls it."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from apps.access.models import Token
from apps.access.tokens import administrator, make_token


class Command(BaseCommand):
    help = "Make the administrator's API token anew and print it; the former one of that name ends."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--name", default="admin.kubeconfig", help="the token's name")

    def handle(self, *_args: Any, **options: Any) -> None:
        user = administrator()
        Token.objects.filter(user=user, name=options["name"]).delete()
        _, secret = make_token(user, options["name"])
        self.stdout.write(secret)
