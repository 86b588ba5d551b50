"""What is wrong with an object, in Kubernetes' words: a path, a reason and a sentence.

Made by the schema and the kinds' validators, carried to the client by `status.Invalid`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

Reason = Literal[
    "Required", "Invalid", "Duplicate", "NotSupported", "Forbidden", "TypeInvalid", "TooLong", "TooMany", "NotFound"
]

# A path is linked from the inside out, so that walking an object costs one small tuple a step and text only when
# needed: ((None, "spec"), "containers") and so on. Integers are list indexes, a `Key` is the key of a map.
Path = tuple["Path | None", "str | int | Key"]

_TITLES: dict[Reason, str] = {
    "Required": "Required value",
    "Invalid": "Invalid value",
    "Duplicate": "Duplicate value",
    "NotSupported": "Unsupported value",
    "Forbidden": "Forbidden",
    "TypeInvalid": "Invalid value",
    "TooLong": "Too long",
    "TooMany": "Too many",
    "NotFound": "Not found",
}
_WITHOUT_VALUE = ("Required", "Forbidden", "TooLong")
CAUSES: dict[Reason, str] = {
    "Required": "FieldValueRequired",
    "Invalid": "FieldValueInvalid",
    "Duplicate": "FieldValueDuplicate",
    "NotSupported": "FieldValueNotSupported",
    "Forbidden": "FieldValueForbidden",
    "TypeInvalid": "FieldValueTypeInvalid",
    "TooLong": "FieldValueTooLong",
    "TooMany": "FieldValueTooMany",
    "NotFound": "FieldValueNotFound",
}


class Key(str):
    """The key of a map inside a path; written [key] where the name of a field is written .field."""

    __slots__ = ()


def child(path: Path | None, *steps: str | int) -> Path:
    """Return the path `steps` below `path`."""
    for step in steps:
        path = (path, step)
    if path is None:
        raise ValueError("a path has at least one step")
    return path


def path_text(path: Path | None) -> str:
    """Write a path as Kubernetes does: spec.template.spec.containers[0].ports[1].name."""
    steps: list[str] = []
    while path is not None:
        path, step = path
        if isinstance(step, (int, Key)):
            steps.append(f"[{step}]")
        else:
            steps.append(step if path is None else f".{step}")
    return "".join(reversed(steps))


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong; `str()` is the sentence that people see."""

    path: str
    reason: Reason
    message: str = ""
    value: Any = None

    def __str__(self) -> str:
        return f"{self.path}: {self.body()}"

    def body(self) -> str:
        """Return the sentence without the path."""
        text = _TITLES[self.reason]
        if self.reason not in _WITHOUT_VALUE:
            text += f": {value_text(self.value)}"
        return f"{text}: {self.message}" if self.message else text


def value_text(value: Any) -> str:
    """Write a value so that it can be told from its neighbours, cut where it is long."""
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= 200 else text[:197] + "..."


def required(path: Path, message: str = "") -> Problem:
    return Problem(path_text(path), "Required", message)


def invalid(path: Path, value: Any, message: str) -> Problem:
    return Problem(path_text(path), "Invalid", message, value)


def duplicate(path: Path, value: Any) -> Problem:
    return Problem(path_text(path), "Duplicate", "", value)


def not_found(path: Path, value: Any) -> Problem:
    return Problem(path_text(path), "NotFound", "", value)


def too_long(path: Path, message: str) -> Problem:
    return Problem(path_text(path), "TooLong", message)


def forbidden(path: Path, message: str) -> Problem:
    return Problem(path_text(path), "Forbidden", message)


def not_supported(path: Path, value: Any, supported: Iterable[str]) -> Problem:
    listed = ", ".join(f'"{word}"' for word in supported)
    return Problem(path_text(path), "NotSupported", f"supported values: {listed}", value)
