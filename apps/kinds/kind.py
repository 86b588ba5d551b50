"""What a kind is: its names, its description and the few functions that a description cannot say.

One module a kind makes one `Kind`; `registry.KINDS` lists them. Admission, the store, the API's discovery and tables
read it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from apps.kinds import rules
from apps.kinds.problems import Problem
from apps.kinds.schema import Check, Struct

Object = dict[str, Any]
Cell = str | int


@dataclass(frozen=True, slots=True)
class Column:
    """One column as kubectl prints it; priority 1 shows with `-o wide` only."""

    name: str
    cell: Callable[[Object, datetime], Cell]
    type: str = "string"
    priority: int = 0
    format: str = ""
    description: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """What a validator looks at: the object, and on an update what it was before."""

    object: Object
    old: Object | None = None
    subresource: str | None = None


def _nothing(_object: Object) -> None:
    """Leave the object as it is."""


def _nothing_of_two(_new: Object, _old: Object) -> None:
    """Keep nothing."""


def _no_problems(_change: Change) -> Sequence[Problem]:
    return ()


def _no_fields(_object: Object) -> Mapping[str, str]:
    return {}


@dataclass(frozen=True)
class Kind:
    """A kind of objects. Functions in it are pure: objects in, objects or problems out."""

    kind: str
    group: str
    version: str
    plural: str
    schema: Struct
    columns: tuple[Column, ...]
    singular: str = ""
    short_names: tuple[str, ...] = ()
    namespaced: bool = True
    categories: tuple[str, ...] = ()
    subresources: frozenset[str] = frozenset()
    check_name: Check = rules.dns_subdomain
    fill: Callable[[Object], None] = _nothing  # defaults that depend on other fields, in place
    carry: Callable[[Object, Object], None] = _nothing_of_two  # what an update keeps of the old object, in place
    fill_created: Callable[[Object], None] = _nothing  # what a new object gets besides: first status, tolerations
    rules: Callable[[Change], Sequence[Problem]] = _no_problems
    advise: Callable[[Object], Sequence[str]] = lambda _object: ()
    fields: Callable[[Object], Mapping[str, str]] = _no_fields
    has_generation: bool = False
    status_on_create: bool = False  # a node registers itself together with its status

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def resource(self) -> str:
        """Return the name that messages use: pods, deployments.apps."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def qualified(self) -> str:
        """Return the kind as messages about invalid objects use it: Pod, Deployment.apps."""
        return f"{self.kind}.{self.group}" if self.group else self.kind

    @property
    def list_kind(self) -> str:
        return f"{self.kind}List"

    def selectable_fields(self, obj: Object) -> dict[str, str]:
        """Return what field selectors may ask of `obj`."""
        metadata = obj["metadata"]
        result = {"metadata.name": metadata.get("name", "")}
        if self.namespaced:
            result["metadata.namespace"] = metadata.get("namespace", "")
        result.update(self.fields(obj))
        return result

    def default(self, obj: Object) -> Object:
        """Return a copy of `obj` with every default filled in."""
        from_schema: Object = self.schema.defaulted(obj)
        self.fill(from_schema)
        return from_schema

    def validate(self, obj: Object, old: Object | None = None, subresource: str | None = None) -> list[Problem]:
        """Return what is wrong with `obj`, which has its defaults."""
        return [*self.schema.problems(obj), *self.rules(Change(obj, old, subresource))]
