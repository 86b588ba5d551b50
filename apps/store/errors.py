"""What can go wrong in the store itself, apart from the API's own errors (`apps.kinds.status`).

StoreError
├── OutsideStore      a store model was saved or deleted by something other than the store
├── StoreUnavailable  the database could not be reached, or is full or locked; nothing was written
├── CommitFailed      the COMMIT itself failed; nothing was acknowledged, read again before you repeat
├── Compacted         the revisions asked for are no longer kept: list anew (HTTP 410)
└── Behind            a subscriber fell further behind than it allowed itself to
"""


class StoreError(Exception):
    """Base of the store's own errors."""


class OutsideStore(StoreError):  # noqa: N818
    """A store model was written around the store."""


class StoreUnavailable(StoreError):  # noqa: N818
    """The database could not take the write; nothing was written."""


class CommitFailed(StoreError):  # noqa: N818
    """The database did not confirm a commit, so nothing of it was acknowledged."""


class Compacted(StoreError):  # noqa: N818
    """Revisions that were asked for have been compacted away."""

    def __init__(self, asked: int, oldest: int) -> None:
        super().__init__(f"revision {asked} is compacted; the oldest one to watch from is {oldest}")
        self.asked = asked
        self.oldest = oldest


class Behind(StoreError):  # noqa: N818
    """A subscriber lags further behind the log than it allowed itself to."""

    def __init__(self, revision: int, newest: int) -> None:
        super().__init__(f"the subscriber stands at revision {revision}, the log at {newest}")
        self.revision = revision
        self.newest = newest
