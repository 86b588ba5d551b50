"""`manage.py make_busybox`: the launcher calls it at every start, so that an instance without any image has one."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.images.blobs import BlobStore
from apps.images.busybox import BINARY, make_busybox, make_first_image


class Command(BaseCommand):
    """Make the image busybox:latest from Debian's busybox-static, when there is no image yet."""

    help = "Make the image busybox:latest from Debian's busybox-static, when there is no image yet."

    def add_arguments(self, parser: CommandParser) -> None:
        """`--force` makes it beside other images too."""
        parser.add_argument("--force", action="store_true", help="also when there are images")

    def handle(self, *args: Any, **options: Any) -> None:
        """Make it, and say what was done."""
        blobs = BlobStore()
        try:
            imported = make_busybox(blobs) if options["force"] else make_first_image(blobs)
        except FileNotFoundError as error:
            raise CommandError(f"{BINARY} is missing: apt-get install busybox-static") from error
        self.stdout.write(
            f"made busybox:latest ({imported.image.size} bytes)" if imported else "there are images already"
        )
