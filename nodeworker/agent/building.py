"""From a pod object to what the runtime takes: PodSpec, ContainerSpec. Called by agent/applying.py.

Addresses, services and ConfigMaps are handed in; of the host only the resolver's file is read here.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nodeworker.agent.logic import podspec
from nodeworker.agent.logic.environment import expand
from nodeworker.images.types import ReadyImage
from nodeworker.runtime.oci import Bind, ContainerOptions, default_config
from nodeworker.runtime.specs import CgroupLimits, ContainerSpec, LogLimits, PodNetwork, PodSpec
from nodeworker.wire.quantity import cpu_millis, memory_bytes

Object = Mapping[str, Any]
RESOLVERS = (Path("/run/systemd/resolve/resolv.conf"), Path("/etc/resolv.conf"))
PIDS_LIMIT = 32768
PERIOD = 100_000  # microseconds


def pod_spec(pod: Object, network: PodNetwork | None) -> PodSpec:
    """The sandbox of a pod."""
    spec, metadata = pod["spec"], pod["metadata"]
    security = spec.get("securityContext") or {}
    hostname = hostname_of(pod)
    address = network.address.partition("/")[0] if network else ""
    return PodSpec(
        uid=metadata["uid"],
        namespace=metadata.get("namespace", "default"),
        name=metadata["name"],
        hostname=hostname,
        network=network,
        sysctls={str(entry["name"]): str(entry["value"]) for entry in security.get("sysctls") or ()},
        dns=resolver_text(pod),
        hosts=hosts_text(pod, hostname, address) if network else "",
        cgroup_limits=pod_limits(pod),
        share_process_namespace=bool(spec.get("shareProcessNamespace")),
        host_network=bool(spec.get("hostNetwork")),
        host_ipc=bool(spec.get("hostIPC")),
        host_pid=bool(spec.get("hostPID")),
        labels={str(key): str(value) for key, value in (metadata.get("labels") or {}).items()},
    )


def hostname_of(pod: Object) -> str:
    """spec.hostname, or the pod's name cut to what a host name may have."""
    return str(pod["spec"].get("hostname") or pod["metadata"]["name"])[:63].rstrip("-.")


def hosts_text(pod: Object, hostname: str, address: str) -> str:
    """/etc/hosts of the pod."""
    names = hostname
    subdomain = pod["spec"].get("subdomain")
    if subdomain:
        namespace = pod["metadata"].get("namespace", "default")
        names = f"{hostname}.{subdomain}.{namespace}.svc.cluster.local\t{hostname}"
    lines = [
        "# Written by Gantry for this pod.",
        "127.0.0.1\tlocalhost",
        "::1\tlocalhost ip6-localhost ip6-loopback",
        "fe00::0\tip6-localnet",
        "ff02::1\tip6-allnodes",
        "ff02::2\tip6-allrouters",
        f"{address}\t{names}",
    ]
    for alias in pod["spec"].get("hostAliases") or ():
        lines.append("\t".join((str(alias["ip"]), *map(str, alias.get("hostnames") or ()))))
    return "\n".join(lines) + "\n"


def resolver_text(pod: Object, resolvers: Sequence[Path] = RESOLVERS) -> str:
    """/etc/resolv.conf of the pod: the host's, because there is no cluster DNS yet, and what dnsConfig adds."""
    policy = pod["spec"].get("dnsPolicy", "ClusterFirst")
    servers, searches, options = ([], [], []) if policy == "None" else read_resolver(resolvers)
    added = pod["spec"].get("dnsConfig") or {}
    servers = list(dict.fromkeys([*servers, *map(str, added.get("nameservers") or ())]))
    searches = list(dict.fromkeys([*searches, *map(str, added.get("searches") or ())]))
    for option in added.get("options") or ():
        options.append(f"{option['name']}:{option['value']}" if option.get("value") else str(option["name"]))
    lines = [f"nameserver {server}" for server in servers[:3]]
    if searches:
        lines.insert(0, f"search {' '.join(searches)}")
    if options:
        lines.append(f"options {' '.join(dict.fromkeys(options))}")
    return "\n".join(lines) + "\n"


def read_resolver(paths: Sequence[Path]) -> tuple[list[str], list[str], list[str]]:
    """Name servers, search domains and options of the host. A server on loopback is of no use inside a pod."""
    for path in paths:
        try:
            lines = path.read_text().splitlines()
        except OSError:
            continue
        words = [line.split() for line in lines if line.strip() and line[0] not in "#;"]
        servers = [entry[1] for entry in words if entry[0] == "nameserver" and len(entry) > 1]
        searches = [name for entry in words if entry[0] in ("search", "domain") for name in entry[1:]]
        options = [name for entry in words if entry[0] == "options" for name in entry[1:]]
        return [server for server in servers if not server.startswith("127.")], searches, options
    return [], [], []


def pod_limits(pod: Object) -> CgroupLimits:
    """The sum over the containers; a limit of the whole only when each has one."""
    containers = podspec.containers(pod)
    requests = [resource(entry, "requests", "cpu") for entry in containers]
    cpu_limits = [resource(entry, "limits", "cpu") for entry in containers]
    memory_limits = [resource(entry, "limits", "memory") for entry in containers]
    cpu_limit = sum(limit for limit in cpu_limits if limit) if all(cpu_limits) else None
    memory_limit = sum(limit for limit in memory_limits if limit) if all(memory_limits) else None
    for init in podspec.init_containers(pod):
        cpu_limit = _largest(cpu_limit, resource(init, "limits", "cpu"))
        memory_limit = _largest(memory_limit, resource(init, "limits", "memory"))
    return CgroupLimits(
        cpu_shares=max(2, sum(request or 0 for request in requests) * 1024 // 1000),
        cpu_quota_microseconds=cpu_limit * PERIOD // 1000 if cpu_limit else None,
        memory_bytes=memory_limit,
        pids=PIDS_LIMIT,
    )


def _largest(whole: int | None, one: int | None) -> int | None:
    return max(whole, one) if whole is not None and one is not None else None


def resource(container: Object, kind: str, name: str) -> int | None:
    """Millicores or bytes; a request that is not given is the limit's."""
    resources = container.get("resources") or {}
    value = (resources.get(kind) or {}).get(name)
    if value is None and kind == "requests":
        value = (resources.get("limits") or {}).get(name)
    if value is None:
        return None
    return cpu_millis(str(value)) if name == "cpu" else memory_bytes(str(value))


def container_spec(
    pod: Object,
    container: Object,
    attempt: int,
    image: ReadyImage,
    environment: Sequence[tuple[str, str]],
    binds: Sequence[Bind],
    log: LogLimits | None = None,
) -> ContainerSpec:
    """One attempt of a container. Raises StartError for what no container could be given."""
    options = container_options(pod, container, image, environment, binds)
    return ContainerSpec(
        name=str(container["name"]),
        attempt=attempt,
        bundle=default_config(image.config, options),
        lower_directories=image.lower_directories,
        log=log or LogLimits(),
        terminal=bool(container.get("tty")),
        stdin=bool(container.get("stdin")),
    )


def container_options(
    pod: Object,
    container: Object,
    image: ReadyImage,
    environment: Sequence[tuple[str, str]],
    binds: Sequence[Bind],
) -> ContainerOptions:
    """What the pod says about a container, beyond its image."""
    whole, own = pod["spec"].get("securityContext") or {}, container.get("securityContext") or {}
    variables = {**image_variables(image), **dict(environment)}
    command, arguments = container.get("command"), container.get("args")
    capabilities = own.get("capabilities") or {}
    groups = list(whole.get("supplementalGroups") or ())
    if whole.get("fsGroup") is not None:
        groups.append(whole["fsGroup"])
    user = own.get("runAsUser", whole.get("runAsUser"))
    group = own.get("runAsGroup", whole.get("runAsGroup"))
    profile = own.get("seccompProfile") or whole.get("seccompProfile") or {}
    privileged = bool(own.get("privileged"))
    return ContainerOptions(
        command=[expand(str(word), variables) for word in command] if command else None,
        arguments=[expand(str(word), variables) for word in arguments] if arguments else None,
        environment=environment,
        working_directory=str(container.get("workingDir") or ""),
        hostname=hostname_of(pod),
        run_as_user=user,
        run_as_group=group,
        run_as_non_root=bool(own.get("runAsNonRoot", whole.get("runAsNonRoot"))),
        supplementary_groups=groups,
        binds=binds,
        cpu_request=resource(container, "requests", "cpu"),
        cpu_limit=resource(container, "limits", "cpu"),
        memory_limit=resource(container, "limits", "memory"),
        pids_limit=PIDS_LIMIT,
        capabilities_add=[str(name) for name in capabilities.get("add") or ()],
        capabilities_drop=[str(name) for name in capabilities.get("drop") or ()],
        privileged=privileged,
        allow_privilege_escalation=bool(own.get("allowPrivilegeEscalation", privileged)),
        read_only_root=bool(own.get("readOnlyRootFilesystem")),
        seccomp="Unconfined" if profile.get("type") == "Unconfined" else "RuntimeDefault",
        terminal=bool(container.get("tty")),
    )


def image_variables(image: ReadyImage) -> dict[str, str]:
    """The environment that the image brings, for $(VAR)."""
    entries = (image.config.get("config") or {}).get("Env") or ()
    return dict(str(entry).split("=", 1) for entry in entries if "=" in str(entry))
