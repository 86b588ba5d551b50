"""Rules for single values: names, ports, paths, numbers.

Each returns None or Kubernetes' sentence on what would be right.

Named in the fields of the shapes (`check=rules.port`) and called by the kinds' validators.
"""

import ipaddress
import re
from typing import Any

from nodeworker.wire.reference import InvalidReference, parse_reference
from nodeworker.wire.selectors import label_key_problem, label_value_problem

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_LABEL_1035 = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_CONFIG_KEY = re.compile(r"[-._a-zA-Z0-9]+")
_ENVIRONMENT = re.compile(r"[ -<>-~]+")  # printable ASCII without =
_PORT_NAME = re.compile(r"[-a-z0-9]+")
_PERCENT = re.compile(r"[0-9]{1,9}%")
_HEADER = re.compile(r"[-A-Za-z0-9]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

LABEL_1123 = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with "
    "an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
SUBDOMAIN_1123 = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
LABEL_1035 = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, "
    "and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is "
    "'[a-z]([-a-z0-9]*[a-z0-9])?')"
)


def dns_label(value: str) -> str | None:
    if len(value) > 63:
        return "must be no more than 63 characters"
    return None if _LABEL.fullmatch(value) else LABEL_1123


def dns_1035_label(value: str) -> str | None:
    if len(value) > 63:
        return "must be no more than 63 characters"
    return None if _LABEL_1035.fullmatch(value) else LABEL_1035


def dns_subdomain(value: str) -> str | None:
    if len(value) > 253:
        return "must be no more than 253 characters"
    return None if all(_LABEL.fullmatch(part) for part in value.split(".")) else SUBDOMAIN_1123


def label_key(value: str) -> str | None:
    return label_key_problem(value)


def label_value(value: str) -> str | None:
    return label_value_problem(value)


def annotation_key(value: str) -> str | None:
    return label_key_problem(value.lower())


def port(value: int) -> str | None:
    return None if 1 <= value <= 65535 else "must be between 1 and 65535, inclusive"


def port_name(value: str) -> str | None:
    if len(value) > 15:
        return "must be no more than 15 characters"
    if not _PORT_NAME.fullmatch(value):
        return "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)"
    if not any(character.isalpha() for character in value):
        return "must contain at least one letter (a-z)"
    if "--" in value:
        return "must not contain consecutive hyphens"
    if value[0] == "-" or value[-1] == "-":
        return "must not begin or end with a hyphen"
    return None


def port_or_name(value: int | str) -> str | None:
    return port(value) if isinstance(value, int) else port_name(value)


def non_negative(value: int) -> str | None:
    return None if value >= 0 else "must be greater than or equal to 0"


def positive(value: int) -> str | None:
    return None if value > 0 else "must be greater than 0"


def user_id(value: int) -> str | None:
    return None if 0 <= value <= 2**31 - 1 else "must be between 0 and 2147483647, inclusive"


def file_mode(value: int) -> str | None:
    return None if 0 <= value <= 0o777 else "must be a number between 0 and 0777 (octal), both inclusive"


def weight(value: int) -> str | None:
    return None if 1 <= value <= 100 else "must be in the range 1-100"


def count_or_percent(value: int | str) -> str | None:
    if isinstance(value, int):
        return non_negative(value)
    if _PERCENT.fullmatch(value):
        return None
    return "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%')"


def config_key(value: str) -> str | None:
    if len(value) > 253:
        return "must be no more than 253 characters"
    if not _CONFIG_KEY.fullmatch(value):
        return (
            "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or "
            "'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
        )
    if value in (".", "..") or value.startswith(".."):
        return "must not be '.' or '..' and must not start with '..'"
    return None


def environment_name(value: str) -> str | None:
    if _ENVIRONMENT.fullmatch(value):
        return None
    return "a valid environment variable name must consist only of printable ASCII characters other than '='"


def header_name(value: str) -> str | None:
    if _HEADER.fullmatch(value):
        return None
    return "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name')"


def relative_path(value: str) -> str | None:
    """A path inside a volume: it may not lead out of it."""
    if value.startswith("/"):
        return "must be a relative path"
    return path_without_parents(value)


def path_without_parents(value: str) -> str | None:
    if ".." in value.split("/"):
        return "must not contain '..'"
    return text_without_controls(value)


def mount_path(value: str) -> str | None:
    return text_without_controls(value)


def absolute_path(value: str) -> str | None:
    return path_without_parents(value) if value.startswith("/") else "must be an absolute path"


def text_without_controls(value: str) -> str | None:
    return "must not contain control characters" if _CONTROL.search(value) else None


def ip_address(value: str) -> str | None:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
    return None


def ip_or_none(value: str) -> str | None:
    return None if value == "None" else ip_address(value)


def cidr(value: str) -> str | None:
    try:
        ipaddress.ip_network(value, strict=False)
    except ValueError:
        return "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"
    return None


def image(value: str) -> str | None:
    """Kubernetes leaves bad references to the node (InvalidImageName); we say it at once only for white space."""
    if value != value.strip():
        return "must not have leading or trailing whitespace"
    return text_without_controls(value)


def image_warning(value: str) -> str | None:
    """Return what a node will say about this reference, if it will refuse it."""
    try:
        parse_reference(value)
    except InvalidReference as error:
        return str(error)
    return None


def resource_name(value: str) -> str | None:
    if value in ("cpu", "memory", "ephemeral-storage") or value.startswith("hugepages-") or "/" in value:
        return label_key_problem(value)
    return "must be a standard resource type or fully qualified"


def node_resource_name(value: str) -> str | None:
    return label_key_problem(value)


def generate_name(value: str) -> str | None:
    """A prefix of a name: it may end in a hyphen."""
    return dns_subdomain(value[:-1] + "a" if value.endswith("-") else value)


def plain_name(value: Any) -> str | None:
    """A name that is one segment of a path."""
    if value in (".", ".."):
        return f"may not be '{value}'"
    for character in "/%":
        if character in value:
            return f"may not contain '{character}'"
    return text_without_controls(value)
