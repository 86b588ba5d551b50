"""Who looks at a page, and what they may see and do there: the console's side of apps.access.

Denied things are shown as not found; a button that someone may not use is shown disabled with the reason.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from apps.access.authorize import authorize, authorize_async
from apps.access.identity import Identity


@dataclass(frozen=True)
class Viewer:
    """An authenticated person and the questions that pages ask about them."""

    identity: Identity

    @property
    def name(self) -> str:
        """The name under which they signed in."""
        return self.identity.name

    def may(self, verb: str, resource: str, namespace: str = "", name: str = "", subresource: str = "") -> bool:
        """Whether they may do that; answered from the cache of apps.access (at most 5 seconds old)."""
        return bool(authorize(self.identity, verb, resource, namespace, name, subresource).allowed)

    async def refresh(self) -> None:
        """Bring the cache of roles up to date before a page asks it many questions."""
        await authorize_async(self.identity, "list", "namespaces", "", "")

    def visible_namespaces(self, resource: str, namespaces: Iterable[str]) -> frozenset[str] | None:
        """The namespaces whose objects of that kind they may list; None when that is all of them."""
        if self.may("list", resource, ""):
            return None
        return frozenset(name for name in namespaces if self.may("list", resource, name))
