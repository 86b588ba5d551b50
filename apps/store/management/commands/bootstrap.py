"""`manage.py bootstrap`: make what every cluster has; the launcher calls it after each migration."""

from typing import Any

from django.core.management.base import BaseCommand

from apps.store.bootstrap import bootstrap


class Command(BaseCommand):
    help = "Make the namespaces that every cluster has."

    def handle(self, *_args: Any, **_options: Any) -> None:
        made = bootstrap()
        self.stdout.write(f"made {', '.join(made)}" if made else "nothing was missing")
