"""How long work on images reports what it does.

Called by archives.py and pull.py; rest.py turns each into a line for the client.
"""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Progress:
    """One step of an import or a pull; `layer` names the blob or file, the numbers are bytes."""

    status: str
    layer: str = ""
    current: int = 0
    total: int = 0


Report = Callable[[Progress], None]
