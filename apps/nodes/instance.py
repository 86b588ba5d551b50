"""The instance's own ranges, from HOME/config.json. Called where addresses are given out."""

from functools import lru_cache
from pathlib import Path

from django.conf import settings

from nodeworker.wire.instance import Instance, instance_id


@lru_cache(maxsize=1)
def instance() -> Instance:
    """Return this instance's configuration; the defaults where `gantry up` has not been (tests)."""
    home = Path(settings.GANTRY_HOME)
    try:
        return Instance.load(home)
    except FileNotFoundError:
        return Instance(id=instance_id(home), node_name="")
