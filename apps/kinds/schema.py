"""The small language in which kinds are described: what fields there are, of what type, with which defaults and rules.

One description serves admission (types, unknown fields, defaults, rules in one walk that also copies), patches (merge
keys) and OpenAPI. Used by the modules of `apps.kinds.shapes` and one module a kind.

    EXAMPLE = Struct(
        "io.k8s.api.core.v1.ContainerPort",
        {
            "name": Field(1, STRING, check=rules.port_name),
            "containerPort": Field(3, INTEGER, required=True, check=rules.port),
            "protocol": Field(4, STRING, enum=("TCP", "UDP", "SCTP"), default="TCP"),
        },
    )

The first argument of a Field is its number in Kubernetes' protobuf form. A pair like (2, 6) is a field that JSON writes
in line but protobuf keeps in a message of its own.
"""

import base64
import binascii
import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from apps.kinds.problems import Key, Path, Problem, not_supported, path_text, required
from nodeworker.wire.quantity import QuantityError, canonical_quantity
from nodeworker.wire.time import parse_time

Check = Callable[[Any], str | None]
Number = int | tuple[int, ...]

DEEPEST = 64
_NAMES = {dict: "an object", list: "a list", str: "a string", bool: "true or false", int: "a number", float: "a number"}


class Walk:
    """What one walk over an object collects."""

    __slots__ = ("collect_warnings", "problems", "unknown", "warnings")

    def __init__(self, *, collect_warnings: bool = False) -> None:
        self.problems: list[Problem] = []
        self.unknown: list[tuple[str, str]] = []  # path and advice
        self.warnings: list[str] = []
        self.collect_warnings = collect_warnings

    def wrong_type(self, path: Path, value: Any, wanted: str) -> None:
        found = _NAMES.get(type(value), type(value).__name__)
        self.problems.append(Problem(path_text(path), "TypeInvalid", f"must be {wanted}, not {found}", value))

    def invalid(self, path: Path, value: Any, message: str) -> None:
        self.problems.append(Problem(path_text(path), "Invalid", message, value))


class Type:
    """A type of values. `clean` returns a checked copy and tells the walk what is wrong."""

    name = ""  # what OpenAPI calls it
    plain: type | None = None  # a value of exactly this Python type needs no further look

    def clean(self, value: Any, path: Path, walk: Walk) -> Any:
        raise NotImplementedError


class String(Type):
    name = "string"
    plain = str

    def clean(self, value: Any, path: Path, walk: Walk) -> Any:
        if type(value) is not str:
            walk.wrong_type(path, value, "a string")
            return ""
        return value


class Boolean(Type):
    name = "boolean"
    plain = bool

    def clean(self, value: Any, path: Path, walk: Walk) -> Any:
        if type(value) is not bool:
            walk.wrong_type(path, value, "true or false")
            return False
        return value


class Integer(Type):
    name = "integer"

    def __init__(self, bits: int) -> None:
        self.bits = bits
        self.largest = 2 ** (bits - 1) - 1

    def clean(self, value: Any, path: Path, walk: Walk) -> Any:
        if type(value) is not int:
            walk.wrong_type(path, value, "an integer")
            return 0
        if not -self.largest - 1 <= value <= self.largest:
            walk.invalid(path, value, f"must be an integer of {self.bits} bits")
            return 0
        return value


class Quantity(Type):
    name = "quantity"

    def clean(self, value: Any, path: Path, walk: Walk) -> Any:
        if type(value) in (int, float):
            value = repr(value)
        if type(value) is not str:
            walk.wrong_type(path, value, "a quantity such as 500m or 128Mi")
            return "0"
        try:
            return canonical_quantity(value)
        except QuantityError as error:
            walk.invalid(path, value, str(error))
            return "0"


class IntOrString(Type):
    name = "int-or-string"

    def clean(self, value: Any, path: Path, walk: Walk) -> Any:
        if type(value) is not int and type(value) is not str:
            walk.wrong_type(path, value, "an integer or a string")
            return 0
        return value


class Time(Type):
    name = "time"

    def clean(self, value: Any, path: Path, walk: Walk) -> Any:
        if type(value) is not str:
            walk.wrong_type(path, value, "a time such as 2006-01-02T15:04:05Z")
            return ""
        try:
            parse_time(value)
        except ValueError:
            walk.invalid(path, value, "must be a time such as 2006-01-02T15:04:05Z")
        return value


class Bytes(Type):
    name = "bytes"

    def clean(self, value: Any, path: Path, walk: Walk) -> Any:
        if type(value) is not str:
            walk.wrong_type(path, value, "a string in base64")
            return ""
        try:
            base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            walk.problems.append(
                Problem(path_text(path), "Invalid", "must be base64 (plain text goes into stringData)", value[:20])
            )
        return value


class Anything(Type):
    """A value without a description; only its depth is bounded."""

    name = "object"

    def clean(self, value: Any, path: Path, walk: Walk) -> Any:
        if too_deep(value):
            walk.invalid(path, "...", f"must not be nested more than {DEEPEST} levels deep")
            return {}
        return value


STRING = String()
BOOLEAN = Boolean()
INTEGER = Integer(32)
INTEGER64 = Integer(64)
QUANTITY = Quantity()
INT_OR_STRING = IntOrString()
TIME = Time()
MICRO_TIME = Time()
BYTES = Bytes()
ANY = Anything()


class List(Type):
    name = "array"

    def __init__(self, item: Type, *, keys: tuple[str, ...] = (), is_set: bool = False) -> None:
        self.item = item
        self.keys = keys
        self.is_set = is_set

    def clean(self, value: Any, path: Path, walk: Walk) -> Any:
        if type(value) is not list:
            walk.wrong_type(path, value, "a list")
            return []
        item, plain = self.item, self.item.plain
        return [
            entry if plain is not None and type(entry) is plain else item.clean(entry, (path, index), walk)
            for index, entry in enumerate(value)
            if entry is not None
        ]


class Map(Type):
    name = "map"

    def __init__(self, value: Type, *, check_key: Check | None = None, check_value: Check | None = None) -> None:
        self.value = value
        self.check_key = check_key
        self.check_value = check_value

    def clean(self, value: Any, path: Path, walk: Walk) -> Any:
        if type(value) is not dict:
            walk.wrong_type(path, value, "an object")
            return {}
        result = {}
        for key, item in value.items():
            if self.check_key is not None and (message := self.check_key(key)):
                walk.invalid(path, key, message)
            cleaned = self.value.clean(item, (path, Key(key)), walk) if item is not None else self.empty()
            if self.check_value is not None and (message := self.check_value(cleaned)):
                walk.invalid((path, Key(key)), cleaned, message)
            result[key] = cleaned
        return result

    def empty(self) -> Any:
        """Return what null means inside a map: the empty value, as Go decodes it."""
        return "0" if isinstance(self.value, Quantity) else ""


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a Struct."""

    number: Number
    type: Type
    required: bool = False
    default: Any = None
    enum: tuple[str, ...] = ()
    check: Check | None = None
    patch: str = ""  # strategy of strategic merge patches: merge, replace, retainKeys
    merge_key: str = ""
    omit_zero: bool = False  # 0 counts as absent, as Go leaves it out
    not_acted_on: bool = False  # parsed and kept, with a warning, because this version does nothing with it
    help: str = ""


class Struct(Type):
    name = "object"

    def __init__(self, definition: str, fields: Mapping[str, Field], about: str = "") -> None:
        self.definition = definition
        self.help = about
        self.fields = dict(fields)
        # Kept apart, so that the walk does no more than it must for the fields that are only typed.
        self._plain = {n: f.type.plain for n, f in fields.items() if f.type.plain and not _has_rules(f)}
        self._omit_zero = frozenset(name for name, field in fields.items() if field.omit_zero)
        self._required = tuple(name for name, field in fields.items() if field.required)
        self._defaults = tuple(
            # A default object has the defaults of its own fields.
            (n, f.type.clean(f.default, (None, n), Walk()) if isinstance(f.type, Struct) else f.default)
            for n, f in fields.items()
            if f.default is not None
        )

    def clean(self, value: Any, path: Path | None, walk: Walk) -> Any:
        if type(value) is not dict:
            walk.wrong_type(path or (None, "object"), value, "an object")
            return {}
        result: dict[str, Any] = {}
        wrong: set[str] = set()  # fields with a problem already; the values there are stand-ins
        plain = self._plain
        for name, item in value.items():
            if item is None:  # null is absent, as Go decodes it
                continue
            if name in self._omit_zero and item == 0:
                continue
            if plain.get(name) is type(item):
                result[name] = item
            elif (field := self.fields.get(name)) is not None:
                before = len(walk.problems)
                result[name] = self._clean_field(field, item, (path, name), walk)
                if len(walk.problems) != before:
                    wrong.add(name)
            else:
                walk.unknown.append((path_text((path, name)), self._advice(name)))
        for name in self._required:
            if result.get(name) in (None, "", [], {}) and name not in wrong:
                self._tell_required(name, (path, name), walk)
        for name, default in self._defaults:
            if result.get(name, "") == "":
                result[name] = _copy(default)
        return result

    def defaulted(self, value: Mapping[str, Any]) -> dict[str, Any]:
        """Return a copy of `value` with the defaults of its fields, whatever is wrong with it."""
        result: dict[str, Any] = self.clean(value, None, Walk())
        return result

    def problems(self, value: Mapping[str, Any]) -> list[Problem]:
        """Return what is wrong with `value` field by field."""
        walk = Walk()
        self.clean(value, None, walk)
        return walk.problems

    def _clean_field(self, field: Field, item: Any, path: Path, walk: Walk) -> Any:
        before = len(walk.problems)
        cleaned = field.type.clean(item, path, walk)
        if len(walk.problems) != before:
            return cleaned
        if field.enum and cleaned not in field.enum and not (cleaned == "" and (field.default or field.required)):
            walk.problems.append(not_supported(path, cleaned, field.enum))
        elif field.check is not None and cleaned != "" and (message := field.check(cleaned)):
            walk.invalid(path, cleaned, message)
        if field.not_acted_on and walk.collect_warnings and cleaned not in ("", False, 0, [], {}, field.default):
            walk.warnings.append(f"{path_text(path)}: accepted but not acted on in this version")
        return cleaned

    def _tell_required(self, name: str, path: Path, walk: Walk) -> None:
        """Say what is missing as deep as it is known: spec.containers rather than spec."""
        before = len(walk.problems)
        kind = self.fields[name].type
        if isinstance(kind, Struct):
            kind.clean({}, path, walk)
        if len(walk.problems) == before:
            walk.problems.append(required(path))

    def _advice(self, name: str) -> str:
        near = difflib.get_close_matches(name[:64], self.fields, n=1, cutoff=0.7)
        return f'did you mean "{near[0]}"?' if near else ""


def _has_rules(field: Field) -> bool:
    return bool(field.enum or field.check or field.not_acted_on)


def _copy(default: Any) -> Any:
    """Return a default that the object may own."""
    if type(default) is dict:
        return {key: _copy(item) for key, item in default.items()}
    if type(default) is list:
        return [_copy(item) for item in default]
    return default


def too_deep(value: Any, deepest: int = DEEPEST) -> bool:
    """Say whether `value` is nested more than `deepest` levels, without recursion."""
    level: Sequence[Any] = [value]
    for _ in range(deepest + 1):
        following: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                following.extend(item.values())
            elif isinstance(item, list):
                following.extend(item)
        if not following:
            return False
        level = following
    return True
