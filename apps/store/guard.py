"""Store models change only inside the store's own write: everywhere else `save`, `delete` and the bulk calls raise.

Used by `models` and `projections`. The writer thread opens `writing()` around each commit; raw SQL of this package
needs no permission. Rows written around the store would have no revision, and no watcher would ever hear of them.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn, TypeVar

from django.db import models

from apps.store.errors import OutsideStore

_state = threading.local()


@contextmanager
def writing() -> Iterator[None]:
    """Allow writes of store models in this thread."""
    before = getattr(_state, "allowed", False)
    _state.allowed = True
    try:
        yield
    finally:
        _state.allowed = before


def _check(model: type[models.Model], call: str) -> None:
    if not getattr(_state, "allowed", False):
        _refuse(model, call)


def _refuse(model: type[models.Model], call: str) -> NoReturn:
    raise OutsideStore(f"{model.__name__}.{call}: store models change only through apps.store.transaction.commit")


M = TypeVar("M", bound=models.Model, covariant=True)


class GuardedQuerySet(models.QuerySet[M]):
    """A query set that reads freely and writes only inside the store."""

    def update(self, **kwargs: Any) -> int:
        _check(self.model, "update")
        return super().update(**kwargs)

    def delete(self) -> tuple[int, dict[str, int]]:
        _check(self.model, "delete")
        return super().delete()

    def bulk_create(self, *args: Any, **kwargs: Any) -> list[Any]:
        _check(self.model, "bulk_create")
        return super().bulk_create(*args, **kwargs)

    def bulk_update(self, *args: Any, **kwargs: Any) -> int:
        _check(self.model, "bulk_update")
        return super().bulk_update(*args, **kwargs)


class GuardedModel(models.Model):
    """Base of everything that only the store writes."""

    objects = GuardedQuerySet.as_manager()

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        _check(type(self), "save")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        _check(type(self), "delete")
        return super().delete(*args, **kwargs)
