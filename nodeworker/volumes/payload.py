"""The files of configMap, secret, projected and downwardAPI volumes. Pure; written by volumes/writing.py."""

import base64
import binascii
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from nodeworker.agent.logic.environment import ConfigurationError, Surroundings, field_value, resource_value

Object = Mapping[str, Any]
Files = dict[str, tuple[bytes, int]]  # relative path -> content, mode
DEFAULT_MODE = 0o644


@dataclass(frozen=True)
class Source:
    """The whole data of one ConfigMap or Secret; None in its place means that it does not exist."""

    data: Mapping[str, bytes]


def config_map_source(entry: Object | None) -> Source | None:
    """Texts and binary data of a ConfigMap as bytes."""
    if entry is None:
        return None
    texts = {key: str(value).encode() for key, value in (entry.get("data") or {}).items()}
    binary = {key: _decode(value) for key, value in (entry.get("binaryData") or {}).items()}
    return Source({**texts, **binary})


def secret_source(entry: Object | None) -> Source | None:
    """The decoded data of a Secret."""
    if entry is None:
        return None
    return Source({key: _decode(value) for key, value in (entry.get("data") or {}).items()})


def _decode(text: Any) -> bytes:
    try:
        return base64.b64decode(str(text))
    except (binascii.Error, ValueError):
        return b""


def wanted_by_volume(volume: Object) -> Iterable[tuple[str, str, bool]]:
    """(ConfigMap or Secret, name, optional) of everything that a volume shows."""
    if "configMap" in volume:
        yield "ConfigMap", str(volume["configMap"].get("name")), bool(volume["configMap"].get("optional"))
    if "secret" in volume:
        yield "Secret", str(volume["secret"].get("secretName")), bool(volume["secret"].get("optional"))
    for entry in (volume.get("projected") or {}).get("sources") or ():
        for kind, field in (("ConfigMap", "configMap"), ("Secret", "secret")):
            if field in entry:
                yield kind, str(entry[field].get("name")), bool(entry[field].get("optional"))


def volume_files(
    pod: Object, volume: Object, sources: Mapping[tuple[str, str], Source | None], surroundings: Surroundings
) -> Files | None:
    """The files of a volume, None for a volume of another kind. Raises ConfigurationError."""
    if "configMap" in volume:
        asked = volume["configMap"]
        return _of_source("ConfigMap", str(asked.get("name")), asked, sources, asked.get("defaultMode"))
    if "secret" in volume:
        asked = volume["secret"]
        return _of_source("Secret", str(asked.get("secretName")), asked, sources, asked.get("defaultMode"))
    if "downwardAPI" in volume:
        asked = volume["downwardAPI"]
        return _downward(pod, asked.get("items") or (), asked.get("defaultMode"), surroundings)
    if "projected" in volume:
        return _projected(pod, volume["projected"], sources, surroundings)
    return None


def _projected(
    pod: Object, projected: Object, sources: Mapping[tuple[str, str], Source | None], surroundings: Surroundings
) -> Files:
    files: Files = {}
    mode = projected.get("defaultMode")
    for entry in projected.get("sources") or ():
        if "configMap" in entry:
            files |= _of_source("ConfigMap", str(entry["configMap"].get("name")), entry["configMap"], sources, mode)
        elif "secret" in entry:
            files |= _of_source("Secret", str(entry["secret"].get("name")), entry["secret"], sources, mode)
        elif "downwardAPI" in entry:
            files |= _downward(pod, entry["downwardAPI"].get("items") or (), mode, surroundings)
        else:
            raise ConfigurationError(f"projected volumes cannot show {', '.join(entry)} yet")
    return files


def _of_source(
    kind: str, name: str, asked: Object, sources: Mapping[tuple[str, str], Source | None], mode: int | None
) -> Files:
    source = sources.get((kind, name))
    optional = bool(asked.get("optional"))
    if source is None:
        if optional:
            return {}
        raise ConfigurationError(f'{kind.lower()} "{name}" not found')
    default = DEFAULT_MODE if mode is None else int(mode)
    items = asked.get("items")
    if not items:
        return {key: (value, default) for key, value in source.data.items()}
    files: Files = {}
    for item in items:
        if item["key"] not in source.data:
            if optional:
                continue
            raise ConfigurationError(f"references non-existent {kind.lower()} key: {item['key']}")
        own = item.get("mode")
        files[safe_path(str(item["path"]))] = (source.data[item["key"]], default if own is None else int(own))
    return files


def _downward(pod: Object, items: Iterable[Object], mode: int | None, surroundings: Surroundings) -> Files:
    default = DEFAULT_MODE if mode is None else int(mode)
    files: Files = {}
    for item in items:
        if item.get("fieldRef"):
            value = field_value(pod, str(item["fieldRef"]["fieldPath"]), surroundings)
        else:
            value = resource_value(pod, {"name": ""}, item.get("resourceFieldRef") or {}, surroundings)
        own = item.get("mode")
        files[safe_path(str(item["path"]))] = (value.encode(), default if own is None else int(own))
    return files


def safe_path(path: str) -> str:
    """A path inside the volume; everything that would lead out of it is refused."""
    parts = path.split("/")
    if path.startswith("/") or ".." in parts or not path or parts[0].startswith("..") or "\0" in path:
        raise ConfigurationError(f'{path!r} is not a path inside a volume: it must be relative and without ".."')
    return "/".join(part for part in parts if part not in ("", "."))
