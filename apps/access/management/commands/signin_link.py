"""`manage.py signin_link`: print a one-time address that signs the administrator in; `gantry up` and `signin` call
it.
"""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.urls import reverse

from apps.access.models import User
from apps.access.tokens import administrator, make_link


class Command(BaseCommand):
    help = "Print a link that signs a user in once, within 15 minutes."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--user", default="admin", help="who is signed in (default: admin, made when missing)")
        parser.add_argument("--base", default="", help="the console's address, as http://127.0.0.1:8000")

    def handle(self, *_args: Any, **options: Any) -> None:
        name = options["user"]
        user = administrator() if name == "admin" else User.objects.filter(username=name, is_active=True).first()
        if user is None:
            raise CommandError(f"there is no active user {name!r}; make one in the admin, or leave --user out")
        address = reverse("access:signin-link", args=[make_link(user)])
        self.stdout.write(options["base"].rstrip("/") + address)
