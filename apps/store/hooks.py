"""What an app fills into an object of its kind in the very transaction that stores it: an address, a port, a range.

`apps.networking` and `apps.nodes` register; `transaction` calls `filled` after admission, so the object has its uid and
its defaults. A hook that raises an `ApiError` refuses the write. It may read through the transaction; two writes never
run at once, so what it finds free stays free until the commit.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from apps.store.rows import Json

if TYPE_CHECKING:
    from apps.store.transaction import Transaction

Fill = Callable[["Transaction", Json, Json | None], Json]
_fills: dict[str, Fill] = {}


def register(kind: str, fill: Fill) -> None:
    """Have `fill(transaction, object, before)` complete each object of `kind`; `before` is None on creation."""
    _fills[kind] = fill


def filled(transaction: "Transaction", kind: str, object: Json, before: Json | None) -> Json:
    """Return the object as its kind's hook completes it."""
    fill = _fills.get(kind)
    return fill(transaction, object, before) if fill else object
