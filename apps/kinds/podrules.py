"""Rules of a pod's specification that look at more than one field, in Kubernetes' words.

Called by Pod and, for their templates, by ReplicaSet and Deployment.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from apps.kinds import rules
from apps.kinds.problems import (
    Key,
    Path,
    Problem,
    child,
    duplicate,
    forbidden,
    invalid,
    not_found,
    not_supported,
    required,
)
from nodeworker.wire.quantity import parse_quantity

Spec = dict[str, Any]

_VOLUME_FIELDS_IN_ENV = (
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
)
_VOLUME_FIELDS_IN_FILES = (
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "metadata.labels",
    "metadata.annotations",
)
_RESOURCE_FIELDS = (
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
)
_SUBSCRIPT = re.compile(r"metadata\.(labels|annotations)\['([^']{1,317})'\]")


def pod_spec_problems(spec: Spec, path: Path) -> list[Problem]:
    """Return what is wrong between the fields of `spec`."""
    volumes = spec.get("volumes") or ()
    names = {volume.get("name") for volume in volumes}
    return [
        *_container_list_problems(spec, path, names),
        *_volume_problems(volumes, (path, "volumes")),
        *_toleration_problems(spec.get("tolerations") or (), (path, "tolerations")),
        *_dns_problems(spec, path),
        *_host_problems(spec, path),
    ]


def template_problems(spec: Spec, path: Path, kind: str) -> list[Problem]:
    """Return what a workload that runs for ever does not allow in its template."""
    problems = pod_spec_problems(spec, path)
    if spec.get("restartPolicy") != "Always":
        problems.append(not_supported(child(path, "restartPolicy"), spec.get("restartPolicy"), ["Always"]))
    if spec.get("activeDeadlineSeconds") is not None:
        path = child(path, "activeDeadlineSeconds")
        problems.append(forbidden(path, f"activeDeadlineSeconds in {kind} is not Supported"))
    return problems


def _container_list_problems(spec: Spec, path: Path, volumes: set[str]) -> Iterator[Problem]:
    seen: set[str] = set()
    for field in ("initContainers", "containers"):
        for index, container in enumerate(spec.get(field) or ()):
            here: Path = child(path, field, index)
            if container.get("name") in seen:
                yield duplicate((here, "name"), container["name"])
            seen.add(container.get("name", ""))
            yield from _container_problems(container, here, volumes, bool(spec.get("hostNetwork")))
            yield from _init_problems(container, here) if field == "initContainers" else _main_problems(container, here)


def _init_problems(container: Spec, path: Path) -> Iterator[Problem]:
    sidecar = container.get("restartPolicy") == "Always"
    if container.get("restartPolicy") not in (None, "Always"):
        yield not_supported((path, "restartPolicy"), container["restartPolicy"], ["Always"])
    for field in ("lifecycle", "livenessProbe", "readinessProbe", "startupProbe"):
        if container.get(field) is not None and not sidecar:
            yield forbidden((path, field), "may not be set for init containers without restartPolicy=Always")


def _main_problems(container: Spec, path: Path) -> Iterator[Problem]:
    if container.get("restartPolicy") is not None:
        yield forbidden((path, "restartPolicy"), "may not be set for non-init containers")


def _container_problems(container: Spec, path: Path, volumes: set[str], host_network: bool) -> Iterator[Problem]:
    if not container.get("image"):
        yield required((path, "image"))
    if container.get("ports"):
        yield from _port_problems(container["ports"], (path, "ports"), host_network)
    if container.get("env"):
        yield from _environment_problems(container["env"], (path, "env"))
    for index, source in enumerate(container.get("envFrom") or ()):
        yield from _one_of(source, ("configMapRef", "secretRef"), child(path, "envFrom", index))
    if container.get("volumeMounts"):
        yield from _mount_problems(container["volumeMounts"], (path, "volumeMounts"), volumes)
    if container.get("resources"):
        yield from _resource_problems(container["resources"], (path, "resources"))
    for field in ("livenessProbe", "readinessProbe", "startupProbe"):
        if container.get(field) is not None:
            yield from _probe_problems(container[field], (path, field), field)
    for hook in ("postStart", "preStop"):
        handler = (container.get("lifecycle") or {}).get(hook)
        if handler is not None:
            yield from _handler_problems(handler, child(path, "lifecycle", hook))
    security = container.get("securityContext") or {}
    if security.get("privileged") and security.get("allowPrivilegeEscalation") is False:
        message = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"
        yield invalid((path, "securityContext"), security, message)


def _port_problems(ports: Sequence[Spec], path: Path, host_network: bool) -> Iterator[Problem]:
    names: set[str] = set()
    for index, port in enumerate(ports):
        name = port.get("name")
        if name and name in names:
            yield duplicate(child(path, index, "name"), name)
        names.add(name or "")
        if host_network and port.get("hostPort") != port.get("containerPort"):
            message = "must match `containerPort` when `hostNetwork` is true"
            yield invalid(child(path, index, "containerPort"), port.get("containerPort"), message)


def _environment_problems(environment: Sequence[Spec], path: Path) -> Iterator[Problem]:
    for index, variable in enumerate(environment):
        source = variable.get("valueFrom")
        if source is None:
            continue
        here: Path = child(path, index, "valueFrom")
        if variable.get("value"):
            yield invalid(here, "", "may not be specified when `value` is not empty")
        yield from _one_of(source, ("fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef"), here)
        if source.get("fieldRef"):
            yield from _field_reference_problems(source["fieldRef"], (here, "fieldRef"), _VOLUME_FIELDS_IN_ENV)
        if source.get("resourceFieldRef"):
            yield from _resource_reference_problems(source["resourceFieldRef"], (here, "resourceFieldRef"))


def _field_reference_problems(reference: Spec, path: Path, supported: Sequence[str]) -> Iterator[Problem]:
    field = reference.get("fieldPath", "")
    match = _SUBSCRIPT.fullmatch(field)
    if match is None and field not in supported:
        yield not_supported((path, "fieldPath"), field, [*supported, "metadata.labels['<KEY>']"])
    elif match is not None and (message := rules.annotation_key(match[2])):
        yield invalid((path, "fieldPath"), field, message)


def _resource_reference_problems(reference: Spec, path: Path) -> Iterator[Problem]:
    if reference.get("resource") not in _RESOURCE_FIELDS:
        yield not_supported((path, "resource"), reference.get("resource"), _RESOURCE_FIELDS)


def _one_of(source: Spec, names: Sequence[str], path: Path) -> Iterator[Problem]:
    given = [name for name in names if source.get(name) is not None]
    if not given:
        yield invalid(path, "", f"must specify one of: `{'`, `'.join(names)}`")
    elif len(given) > 1:
        yield invalid(path, "", "may not have more than one field specified at a time")


def _mount_problems(mounts: Sequence[Spec], path: Path, volumes: set[str]) -> Iterator[Problem]:
    places: set[str] = set()
    for index, mount in enumerate(mounts):
        if mount.get("name") and mount["name"] not in volumes:
            yield not_found(child(path, index, "name"), mount["name"])
        if mount.get("mountPath") in places:
            yield invalid(child(path, index, "mountPath"), mount["mountPath"], "must be unique")
        places.add(mount.get("mountPath", ""))
        if mount.get("subPath") and mount.get("subPathExpr"):
            message = "subPathExpr and subPath are mutually exclusive"
            yield invalid(child(path, index, "subPathExpr"), mount["subPathExpr"], message)


def _resource_problems(resources: Spec, path: Path) -> Iterator[Problem]:
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    for field, quantities in (("limits", limits), ("requests", requests)):
        for name, quantity in quantities.items():
            if message := rules.resource_name(name):
                yield invalid(child(path, field, Key(name)), name, message)
            if quantity.startswith("-"):
                message = "must be greater than or equal to 0"
                yield invalid(child(path, field, Key(name)), quantity, message)
    for name, quantity in requests.items():
        limit = limits.get(name)
        if limit is not None and limit != quantity and parse_quantity(quantity) > parse_quantity(limit):
            message = f"must be less than or equal to {name} limit of {limit}"
            yield invalid((path, "requests"), quantity, message)


def _probe_problems(probe: Spec, path: Path, field: str) -> Iterator[Problem]:
    yield from _handler_problems(probe, path)
    if field != "readinessProbe" and probe.get("successThreshold", 1) != 1:
        yield invalid((path, "successThreshold"), probe["successThreshold"], "must be 1")
    if field == "readinessProbe" and probe.get("terminationGracePeriodSeconds") is not None:
        value = probe["terminationGracePeriodSeconds"]
        yield invalid((path, "terminationGracePeriodSeconds"), value, "must not be set for readinessProbes")


def _handler_problems(handler: Spec, path: Path) -> Iterator[Problem]:
    given = [name for name in ("exec", "httpGet", "tcpSocket", "grpc", "sleep") if handler.get(name) is not None]
    if not given:
        yield required(path, "must specify a handler type")
    for name in given[1:]:
        yield forbidden((path, name), "may not specify more than 1 handler type")


def _volume_problems(volumes: Sequence[Spec], path: Path) -> Iterator[Problem]:
    names: set[str] = set()
    for index, volume in enumerate(volumes):
        here: Path = (path, index)
        if volume.get("name") in names:
            yield duplicate((here, "name"), volume["name"])
        names.add(volume.get("name", ""))
        sources = [name for name in volume if name != "name"]
        if not sources:
            yield required(here, "must specify a volume type")
        for name in sources[1:]:
            yield forbidden((here, name), "may not specify more than 1 volume type")
        for name in sources[:1]:
            yield from _source_problems(volume[name], (here, name), name)


def _source_problems(source: Spec, path: Path, kind: str) -> Iterator[Problem]:
    if kind == "emptyDir" and str(source.get("sizeLimit", "")).startswith("-"):
        yield forbidden((path, "sizeLimit"), "SizeLimit field must be a valid resource quantity")
    if kind == "downwardAPI":
        yield from _downward_problems(source.get("items") or (), (path, "items"))
    if kind == "projected":
        for index, projection in enumerate(source.get("sources") or ()):
            here: Path = child(path, "sources", index)
            if len(projection) > 1:
                yield forbidden(here, "may not specify more than 1 volume type per source")
            if projection.get("downwardAPI"):
                items = projection["downwardAPI"].get("items") or ()
                yield from _downward_problems(items, child(here, "downwardAPI", "items"))


def _downward_problems(items: Sequence[Spec], path: Path) -> Iterator[Problem]:
    for index, item in enumerate(items):
        here: Path = (path, index)
        if item.get("fieldRef"):
            yield from _field_reference_problems(item["fieldRef"], (here, "fieldRef"), _VOLUME_FIELDS_IN_FILES)
            if item.get("resourceFieldRef"):
                yield invalid(here, "resource", "fieldRef and resourceFieldRef can not be specified simultaneously")
        elif item.get("resourceFieldRef"):
            if not item["resourceFieldRef"].get("containerName"):
                yield required(child(here, "resourceFieldRef", "containerName"))
            yield from _resource_reference_problems(item["resourceFieldRef"], (here, "resourceFieldRef"))
        else:
            yield required(here, "one of fieldRef and resourceFieldRef is required")


def _toleration_problems(tolerations: Sequence[Spec], path: Path) -> Iterator[Problem]:
    for index, toleration in enumerate(tolerations):
        here: Path = (path, index)
        operator = toleration.get("operator") or "Equal"
        if not toleration.get("key") and operator != "Exists":
            message = 'operator must be Exists when `key` is empty, which means "match all values and all keys"'
            yield invalid((here, "operator"), toleration.get("operator", ""), message)
        if toleration.get("tolerationSeconds") is not None and toleration.get("effect") != "NoExecute":
            message = "effect must be 'NoExecute' when `tolerationSeconds` is set"
            yield invalid((here, "effect"), toleration.get("effect", ""), message)
        if operator == "Exists" and toleration.get("value"):
            yield invalid((here, "operator"), toleration, "value must be empty when `operator` is 'Exists'")
        elif message_ := rules.label_value(toleration.get("value", "")):
            yield invalid((here, "operator"), toleration.get("value"), message_)


def _dns_problems(spec: Spec, path: Path) -> Iterator[Problem]:
    configuration = spec.get("dnsConfig") or {}
    here: Path = (path, "dnsConfig")
    servers = configuration.get("nameservers") or ()
    if spec.get("dnsPolicy") == "None" and not servers:
        yield required((here, "nameservers"), "must provide at least one DNS nameserver when `dnsPolicy` is None")
    if len(servers) > 3:
        yield invalid((here, "nameservers"), list(servers), "must not have more than 3 nameservers")
    for index, server in enumerate(servers):
        if message := rules.ip_address(server):
            yield invalid(child(here, "nameservers", index), server, message)
    searches = configuration.get("searches") or ()
    if len(searches) > 32:
        yield invalid((here, "searches"), len(searches), "must not have more than 32 search paths")
    for index, search in enumerate(searches):
        trimmed = search.removesuffix(".").replace("_", "-")
        if trimmed and (message := rules.dns_subdomain(trimmed)):
            yield invalid(child(here, "searches", index), search, message)


def _host_problems(spec: Spec, path: Path) -> Iterator[Problem]:
    if spec.get("shareProcessNamespace") and spec.get("hostPID"):
        message = "ShareProcessNamespace and HostPID cannot both be enabled"
        yield invalid((path, "shareProcessNamespace"), True, message)
    for index, alias in enumerate(spec.get("hostAliases") or ()):
        for position, name in enumerate(alias.get("hostnames") or ()):
            if message_ := rules.dns_subdomain(name):
                yield invalid(child(path, "hostAliases", index, "hostnames", position), name, message_)


_ONLY = (
    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)


def pod_update_problems(new: Spec, old: Spec) -> list[Problem]:
    """Return what an update of a pod's specification may not do. A bind names the node; see admission."""
    path: Path = (None, "spec")
    if new == old:
        return []
    for field in ("containers", "initContainers"):
        if len(new.get(field) or ()) != len(old.get(field) or ()):
            return [forbidden((path, field), "pod updates may not add or remove containers")]
    problems = []
    before, after = old.get("tolerations") or [], new.get("tolerations") or []
    if any(toleration not in after for toleration in before):
        problems.append(
            forbidden((path, "tolerations"), "existing toleration can not be modified except its tolerationSeconds")
        )
    deadline, longer = old.get("activeDeadlineSeconds"), new.get("activeDeadlineSeconds")
    if deadline is not None and (longer is None or longer > deadline):
        message = f"must be less than or equal to previous value {deadline}"
        problems.append(invalid((path, "activeDeadlineSeconds"), longer, message))
    if _fixed(new) != _fixed(old):
        problems.append(forbidden(path, _ONLY))
    return problems


def _fixed(spec: Spec) -> Spec:
    """Return what of a specification never changes."""
    free = ("tolerations", "activeDeadlineSeconds", "schedulingGates")
    fixed = {key: value for key, value in spec.items() if key not in free}
    for field in ("containers", "initContainers"):
        if field in fixed:
            fixed[field] = [{k: v for k, v in container.items() if k != "image"} for container in fixed[field]]
    return fixed


def pod_spec_advice(spec: Spec, path: str) -> Iterator[str]:
    """Yield warnings: what is allowed and yet unlikely to be meant."""
    for field in ("initContainers", "containers"):
        for index, container in enumerate(spec.get(field) or ()):
            here = f"{path}.{field}[{index}]"
            if message := rules.image_warning(container.get("image", "")):
                yield f"{here}.image: {message}"
            yield from _environment_advice(container.get("env") or (), here)
            yield from _port_advice(container.get("ports") or (), here)


def _environment_advice(environment: Sequence[Spec], path: str) -> Iterator[str]:
    seen: set[str] = set()
    for index, variable in enumerate(environment):
        if variable.get("name") in seen:
            yield (
                f'{path}.env[{index}]: hides previous definition of "{variable["name"]}", '
                "which may be dropped when using apply"
            )
        seen.add(variable.get("name", ""))


def _port_advice(ports: Sequence[Spec], path: str) -> Iterator[str]:
    seen: dict[tuple[int, str], int] = {}
    for index, port in enumerate(ports):
        key = (port.get("containerPort", 0), port.get("protocol", "TCP"))
        if key in seen:
            yield f"{path}.ports[{index}]: duplicate port definition with {path}.ports[{seen[key]}]"
        seen.setdefault(key, index)
