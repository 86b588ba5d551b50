"""`manage.py rebuild_projections`: fill the typed rows anew from the objects, after a column was added or a row
edited.
"""

from typing import Any

from django.core.management.base import BaseCommand

from apps.store import read
from apps.store.projections import Projection, registered, write_one
from apps.store.rows import Origin
from apps.store.transaction import Transaction, commit

_PAGE = 200


class Command(BaseCommand):
    help = "Fill the typed rows beside the objects anew."

    def handle(self, *_args: Any, **_options: Any) -> None:
        for projection in registered():
            count = _rebuild(projection)
            self.stdout.write(f"{projection.__name__}: {count} rows")


def _rebuild(projection: type[Projection]) -> int:
    """Fill page by page, each a commit that reads the objects again; then drop rows whose object is gone."""
    count, token = 0, ""
    while True:
        page = read.list_objects(projection.kind, limit=_PAGE, continue_token=token)
        names = [(item.namespace, item.name) for item in page.items]
        commit(lambda transaction, some=names: _fill(transaction, projection, some), Origin("manage.py"))  # type: ignore[misc]
        count, token = count + len(names), page.continue_token
        if not token:
            break
    commit(lambda transaction: _drop_orphans(transaction, projection), Origin("manage.py"))
    return count


def _fill(transaction: Transaction, projection: type[Projection], names: list[tuple[str, str]]) -> None:
    for namespace, name in names:
        stored = transaction.get(projection.kind, namespace, name)
        if stored is not None:
            write_one(projection, transaction.connection, stored, stored.object)


def _drop_orphans(transaction: Transaction, projection: type[Projection]) -> None:
    transaction.cursor.execute(
        f'DELETE FROM "{projection._meta.db_table}" WHERE uid NOT IN (SELECT uid FROM store_object WHERE kind = %s)',
        [projection.kind],
    )
