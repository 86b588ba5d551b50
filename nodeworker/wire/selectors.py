"""Label and field selectors: parsed from a query string or from an object's `selector`, matched against plain mappings.

Called by the store (lists and watches), the controllers (which pods are mine), Services and the scheduler.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Operator = Literal["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"]

_LONGEST = 16_384
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_PREFIX = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*")
_TOKEN = re.compile(r"\s*(==|!=|[=!<>(),]|[^\s=!<>(),]+)")


class SelectorError(ValueError):
    """The selector cannot be understood; the message says where."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """One condition on one key; all requirements of a selector must hold."""

    key: str
    operator: Operator
    values: tuple[str, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        value = labels.get(self.key)
        match self.operator:
            case "In":
                return value is not None and value in self.values
            case "NotIn":
                return value is None or value not in self.values
            case "Exists":
                return value is not None
            case "DoesNotExist":
                return value is None
        return _compare(value, self.operator, self.values[0])

    def __str__(self) -> str:
        match self.operator:
            case "Exists":
                return self.key
            case "DoesNotExist":
                return f"!{self.key}"
            case "In" | "NotIn" if len(self.values) == 1:
                return f"{self.key}{'=' if self.operator == 'In' else '!='}{self.values[0]}"
            case "In" | "NotIn":
                return f"{self.key} {self.operator.lower()} ({','.join(self.values)})"
        return f"{self.key}{'>' if self.operator == 'Gt' else '<'}{self.values[0]}"


def _compare(value: str | None, operator: Operator, bound: str) -> bool:
    if value is None or not re.fullmatch(r"[+-]?[0-9]{1,19}", value):
        return False
    return int(value) > int(bound) if operator == "Gt" else int(value) < int(bound)


@dataclass(frozen=True, slots=True)
class Selector:
    """A conjunction of requirements. Without any it selects everything, unless it is `NOTHING`."""

    requirements: tuple[Requirement, ...] = ()
    nothing: bool = False

    def matches(self, labels: Mapping[str, str] | None) -> bool:
        if self.nothing:
            return False
        labels = labels or {}
        return all(requirement.matches(labels) for requirement in self.requirements)

    def __str__(self) -> str:
        return ",".join(str(requirement) for requirement in self.requirements)


EVERYTHING = Selector()
NOTHING = Selector(nothing=True)


def selector_from_object(selector: Mapping[str, Any] | None) -> Selector:
    """Read `{"matchLabels", "matchExpressions"}`. None selects nothing and {} everything, as in Kubernetes."""
    if selector is None:
        return NOTHING
    labels = selector.get("matchLabels") or {}
    expressions = selector.get("matchExpressions") or []
    requirements = [Requirement(key, "In", (value,)) for key, value in sorted(labels.items())]
    for expression in expressions:
        values = tuple(sorted(expression.get("values") or ()))
        requirements.append(Requirement(expression["key"], expression["operator"], values))
    return Selector(tuple(requirements))


def selector_from_labels(labels: Mapping[str, str] | None) -> Selector:
    """Read the plain map of a Service's selector. None and {} select nothing: such a Service has endpoints by hand."""
    if not labels:
        return NOTHING
    return Selector(tuple(Requirement(key, "In", (value,)) for key, value in sorted(labels.items())))


def parse_label_selector(text: str) -> Selector:
    """Read a `labelSelector` query: "app=web,tier in (a,b),!old"."""
    if len(text) > _LONGEST:
        raise SelectorError(f"a selector must be no more than {_LONGEST} characters long")
    if not text.strip():
        return EVERYTHING
    return Selector(tuple(_Parser(text).requirements()))


class _Parser:
    """A recursive-descent reader of the grammar in Kubernetes' labels package."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = _tokens(text)
        self.position = 0

    def requirements(self) -> Iterator[Requirement]:
        while True:
            yield self._requirement()
            if self._peek() is None:
                return
            self._expect(",")

    def _requirement(self) -> Requirement:
        if self._peek() == "!":
            self._next()
            return Requirement(self._key(), "DoesNotExist")
        key = self._key()
        operator = self._peek()
        if operator is None or operator == ",":
            return Requirement(key, "Exists")
        self._next()
        match operator:
            case "=" | "==":
                return Requirement(key, "In", (self._value(),))
            case "!=":
                return Requirement(key, "NotIn", (self._value(),))
            case "in":
                return Requirement(key, "In", self._values())
            case "notin":
                return Requirement(key, "NotIn", self._values())
            case ">" | "<":
                return Requirement(key, "Gt" if operator == ">" else "Lt", (self._number(),))
        raise self._error(f"found {operator!r}, expected: in, notin, =, ==, !=, > or <")

    def _key(self) -> str:
        key = self._next()
        if key is None:
            raise self._error("a key is missing at the end")
        problem = label_key_problem(key)
        if problem:
            raise self._error(f"{key!r} is no label key: {problem}")
        return key

    def _value(self) -> str:
        token = self._peek()
        if token is None or token in ",)":
            return ""
        self._next()
        problem = label_value_problem(token)
        if problem:
            raise self._error(f"{token!r} is no label value: {problem}")
        return token

    def _number(self) -> str:
        value = self._value()
        if not re.fullmatch(r"[+-]?[0-9]{1,19}", value):
            raise self._error(f"{value!r} is no whole number; > and < compare whole numbers")
        return value

    def _values(self) -> tuple[str, ...]:
        self._expect("(")
        values = [self._value()]
        while self._peek() == ",":
            self._next()
            values.append(self._value())
        self._expect(")")
        return tuple(sorted(set(values)))

    def _peek(self) -> str | None:
        return self.tokens[self.position] if self.position < len(self.tokens) else None

    def _next(self) -> str | None:
        token = self._peek()
        self.position += 1
        return token

    def _expect(self, wanted: str) -> None:
        token = self._next()
        if token != wanted:
            raise self._error(f"found {token or 'the end'!r}, expected: {wanted!r}")

    def _error(self, reason: str) -> SelectorError:
        return SelectorError(f"unable to parse the selector {self.text!r}: {reason}")


def _tokens(text: str) -> Sequence[str]:
    return _TOKEN.findall(text)


def label_key_problem(key: str) -> str | None:
    """Say why `key` is no qualified name ("app", "example.com/app"), or None."""
    prefix, slash, name = key.rpartition("/")
    if slash and (len(prefix) > 253 or not _PREFIX.fullmatch(prefix)):
        return (
            "prefix part a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or "
            "'.', and must start and end with an alphanumeric character (e.g. 'example.com')"
        )
    if not name:
        return "name part must be non-empty"
    if len(name) > 63:
        return "name part must be no more than 63 characters"
    if not _NAME.fullmatch(name):
        return (
            "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
            "alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc')"
        )
    return None


def label_value_problem(value: str) -> str | None:
    """Say why `value` is no label value, or None."""
    if len(value) > 63:
        return "must be no more than 63 characters"
    if value and not _NAME.fullmatch(value):
        return (
            "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must "
            "start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345')"
        )
    return None


@dataclass(frozen=True, slots=True)
class FieldRequirement:
    """One field compared with one value."""

    field: str
    value: str
    equal: bool = True


@dataclass(frozen=True, slots=True)
class FieldSelector:
    """A conjunction of comparisons on a kind's selectable fields; a field that is absent counts as ""."""

    requirements: tuple[FieldRequirement, ...] = ()

    def matches(self, fields: Mapping[str, str]) -> bool:
        return all((fields.get(wanted.field, "") == wanted.value) == wanted.equal for wanted in self.requirements)

    def required(self, field: str) -> str | None:
        """Return the value that `field` must equal, if the selector says so; the store looks it up by index then."""
        return next((wanted.value for wanted in self.requirements if wanted.field == field and wanted.equal), None)

    def __str__(self) -> str:
        return ",".join(
            f"{wanted.field}{'=' if wanted.equal else '!='}{_escape(wanted.value)}" for wanted in self.requirements
        )


def parse_field_selector(text: str) -> FieldSelector:
    """Read a `fieldSelector` query: "spec.nodeName=n1,status.phase!=Failed"."""
    if len(text) > _LONGEST:
        raise SelectorError(f"a selector must be no more than {_LONGEST} characters long")
    return FieldSelector(tuple(_field_requirement(term, text) for term in _split_terms(text) if term.strip()))


def _field_requirement(term: str, text: str) -> FieldRequirement:
    match = re.match(r"([^=!\\]*)(==|!=|=)", term)
    if match is None or not match[1].strip():
        raise SelectorError(f"unable to parse the field selector {text!r}: {term!r} is not field=value or field!=value")
    return FieldRequirement(match[1].strip(), _unescape(term[match.end() :], text), match[2] != "!=")


def _split_terms(text: str) -> list[str]:
    terms, start, position = [], 0, 0
    while position < len(text):
        if text[position] == "\\":
            position += 1
        elif text[position] == ",":
            terms.append(text[start:position])
            start = position + 1
        position += 1
    return [*terms, text[start:]]


def _escape(value: str) -> str:
    return re.sub(r"([\\,=])", r"\\\1", value)


def _unescape(value: str, text: str) -> str:
    if re.search(r"(?<!\\)(?:\\\\)*\\(?![\\,=])", value) or re.search(r"(?<!\\)(?:\\\\)*=", value):
        raise SelectorError(f"unable to parse the field selector {text!r}: write \\, \\= and \\\\ inside a value")
    return re.sub(r"\\([\\,=])", r"\1", value)
