"""Why a live view is not given."""


class Refused(Exception):  # noqa: N818
    """The view cannot be given; the message is a sentence for the person who asked."""
