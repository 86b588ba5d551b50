"""The environment of a container: env, envFrom, references, $(VAR), and the variables of the namespace's services.

Pure: the objects that are referred to are handed in. Called by agent/building.py.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, Decimal
from typing import Any

from nodeworker.agent.logic.observed import Object
from nodeworker.wire.quantity import parse_quantity

_REFERENCE = re.compile(r"\$\$|\$\(([^()]+)\)")
_VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*\Z")


class ConfigurationError(Exception):
    """Something that the pod refers to is missing: CreateContainerConfigError, with this sentence."""


@dataclass(frozen=True)
class References:
    """The objects of the pod's namespace that its containers refer to, by name; None: asked for and not there."""

    config_maps: Mapping[str, Mapping[str, str] | None] = field(default_factory=dict)  # data
    secrets: Mapping[str, Mapping[str, bytes] | None] = field(default_factory=dict)  # decoded data


@dataclass(frozen=True)
class Surroundings:
    """What fieldRef and resourceFieldRef may name besides the pod object itself."""

    node_name: str = ""
    host_address: str = ""
    pod_address: str = ""
    allocatable: Mapping[str, str] = field(default_factory=dict)  # of the node: a missing limit means all of it


def wanted_references(containers: Iterable[Object]) -> tuple[set[str], set[str]]:
    """Names of the ConfigMaps and Secrets that the environment of these containers needs."""
    config_maps: set[str] = set()
    secrets: set[str] = set()
    for container in containers:
        sources = [entry.get("valueFrom") or {} for entry in container.get("env") or ()]
        for source in sources:
            if "configMapKeyRef" in source:
                config_maps.add(source["configMapKeyRef"]["name"])
            if "secretKeyRef" in source:
                secrets.add(source["secretKeyRef"]["name"])
        for entry in container.get("envFrom") or ():
            if "configMapRef" in entry:
                config_maps.add(entry["configMapRef"]["name"])
            if "secretRef" in entry:
                secrets.add(entry["secretRef"]["name"])
    return config_maps, secrets


def container_environment(
    pod: Object,
    container: Object,
    references: References,
    surroundings: Surroundings,
    services: Mapping[str, str],
) -> list[tuple[str, str]]:
    """All variables in order; later sources win. Raises ConfigurationError."""
    result: dict[str, str] = dict(services)
    for entry in container.get("envFrom") or ():
        result.update(_from_whole(entry, references))
    own: dict[str, str] = {}
    for entry in container.get("env") or ():
        name = str(entry["name"])
        if entry.get("valueFrom"):
            value = _from_reference(pod, container, entry["valueFrom"], references, surroundings)
            if value is None:
                continue
        else:
            value = expand(str(entry.get("value") or ""), {**result, **own})
        own[name] = value
    result.update(own)
    return list(result.items())


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Replace $(NAME); $$ stands for one $, a name that is not known stays as it is."""

    def replacement(match: re.Match[str]) -> str:
        if match.group(0) == "$$":
            return "$"
        return variables.get(match.group(1), match.group(0))

    return _REFERENCE.sub(replacement, text)


def _from_whole(entry: Object, references: References) -> dict[str, str]:
    prefix = str(entry.get("prefix") or "")
    if "configMapRef" in entry:
        asked = entry["configMapRef"]
        config = references.config_maps.get(asked["name"])
        if config is None:
            return _missing(asked, f'configmap "{asked["name"]}" not found')
        values = dict(config)
    else:
        asked = entry["secretRef"]
        secret = references.secrets.get(asked["name"])
        if secret is None:
            return _missing(asked, f'secret "{asked["name"]}" not found')
        values = {key: value.decode("utf-8", "surrogateescape") for key, value in secret.items()}
    return {prefix + key: value for key, value in values.items() if _VARIABLE_NAME.match(prefix + key)}


def _missing(asked: Object, sentence: str) -> dict[str, str]:
    if asked.get("optional"):
        return {}
    raise ConfigurationError(sentence)


def _from_reference(
    pod: Object, container: Object, source: Object, references: References, surroundings: Surroundings
) -> str | None:
    if "configMapKeyRef" in source:
        asked = source["configMapKeyRef"]
        text = _key("configmap", asked, references.config_maps.get(asked["name"]))
        return None if text is None else str(text)
    if "secretKeyRef" in source:
        asked = source["secretKeyRef"]
        found = _key("secret", asked, references.secrets.get(asked["name"]))
        return None if found is None else bytes(found).decode("utf-8", "surrogateescape")
    if "fieldRef" in source:
        return field_value(pod, str(source["fieldRef"]["fieldPath"]), surroundings)
    if "resourceFieldRef" in source:
        return resource_value(pod, container, source["resourceFieldRef"], surroundings)
    raise ConfigurationError("valueFrom needs one of configMapKeyRef, secretKeyRef, fieldRef, resourceFieldRef")


def _key(kind: str, asked: Object, data: Mapping[str, Any] | None) -> Any:
    if data is None:
        if asked.get("optional"):
            return None
        raise ConfigurationError(f'{kind} "{asked["name"]}" not found')
    if asked["key"] not in data:
        if asked.get("optional"):
            return None
        raise ConfigurationError(f"couldn't find key {asked['key']} in {kind} {asked['name']}")
    return data[asked["key"]]


_SUBSCRIPT = re.compile(r"metadata\.(labels|annotations)\['(.+)'\]\Z")


def field_value(pod: Object, path: str, surroundings: Surroundings) -> str:
    """The value of a fieldRef."""
    metadata, spec = pod["metadata"], pod["spec"]
    subscript = _SUBSCRIPT.match(path)
    if subscript:
        return str((metadata.get(subscript.group(1)) or {}).get(subscript.group(2), ""))
    if path in ("metadata.labels", "metadata.annotations"):
        entries = metadata.get(path.removeprefix("metadata.")) or {}
        return "\n".join(f'{key}="{_quoted(value)}"' for key, value in sorted(entries.items()))
    values = {
        "metadata.name": metadata.get("name", ""),
        "metadata.namespace": metadata.get("namespace", ""),
        "metadata.uid": metadata.get("uid", ""),
        "spec.nodeName": spec.get("nodeName", surroundings.node_name),
        "spec.serviceAccountName": spec.get("serviceAccountName", "default"),
        "status.hostIP": surroundings.host_address,
        "status.hostIPs": surroundings.host_address,
        "status.podIP": surroundings.pod_address,
        "status.podIPs": surroundings.pod_address,
    }
    if path not in values:
        raise ConfigurationError(f"unsupported fieldPath: {path}: use one of {', '.join(sorted(values))}")
    return str(values[path])


def _quoted(value: str) -> str:
    return str(value).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def resource_value(pod: Object, container: Object, asked: Object, surroundings: Surroundings) -> str:
    """The value of a resourceFieldRef, in units of its divisor, rounded up."""
    name = asked.get("containerName") or container["name"]
    of = next((entry for entry in pod["spec"]["containers"] if entry["name"] == name), container)
    kind, _, resource = str(asked["resource"]).partition(".")
    resources = of.get("resources") or {}
    value = (resources.get(kind) or {}).get(resource)
    if value is None and kind == "limits":
        value = surroundings.allocatable.get(resource)
    divisor = parse_quantity(str(asked.get("divisor") or "1")) or Decimal(1)
    amount = parse_quantity(str(value)) if value is not None else Decimal(0)
    return str(int((amount / divisor).to_integral_value(ROUND_CEILING)))


def service_variables(namespace: str, services: Iterable[Object], *, links: bool = True) -> dict[str, str]:
    """{NAME}_SERVICE_HOST and its companions of the namespace's services, and always KUBERNETES_*."""
    result: dict[str, str] = {}
    for service in sorted(services, key=lambda entry: str(entry["metadata"]["name"])):
        metadata, spec = service["metadata"], service["spec"]
        is_api = metadata.get("namespace") == "default" and metadata["name"] == "kubernetes"
        if not is_api and (not links or metadata.get("namespace") != namespace):
            continue
        address, ports = spec.get("clusterIP"), spec.get("ports") or ()
        if not address or address == "None" or not ports:
            continue
        result.update(_variables_of(str(metadata["name"]), str(address), ports))
    return result


def _variables_of(name: str, address: str, ports: Sequence[Object]) -> dict[str, str]:
    prefix = name.upper().replace("-", "_")
    result = {f"{prefix}_SERVICE_HOST": address, f"{prefix}_SERVICE_PORT": str(ports[0]["port"])}
    first_protocol = str(ports[0].get("protocol", "TCP")).lower()
    for port in ports:
        number, protocol = str(port["port"]), str(port.get("protocol", "TCP")).lower()
        if port.get("name"):
            result[f"{prefix}_SERVICE_PORT_{str(port['name']).upper().replace('-', '_')}"] = number
        stem = f"{prefix}_PORT_{number}_{protocol.upper()}"
        result[stem] = f"{protocol}://{address}:{number}"
        result[f"{stem}_PROTO"], result[f"{stem}_PORT"], result[f"{stem}_ADDR"] = protocol, number, address
    result[f"{prefix}_PORT"] = f"{first_protocol}://{address}:{ports[0]['port']}"
    return result
