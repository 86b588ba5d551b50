"""The launcher's one exception: a sentence for the person at the terminal, printed without a traceback."""


class LauncherError(Exception):
    """Something the person can act on; the text says what is wrong and what to do."""
