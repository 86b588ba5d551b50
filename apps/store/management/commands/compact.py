"""`manage.py compact`: forget old revisions now."""

from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from apps.store.compaction import Keep, compact


class Command(BaseCommand):
    help = "Forget old revisions. Watches from before them get 410 Gone and list anew."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--hours", type=float, default=24, help="keep what is younger (default 24)")
        parser.add_argument("--most", type=int, default=200_000, help="keep at most so many (default 200000)")

    def handle(self, *_args: Any, **options: Any) -> None:
        removed = compact(Keep(age=timedelta(hours=options["hours"]), most=options["most"]))
        self.stdout.write(f"{removed} revisions forgotten")
