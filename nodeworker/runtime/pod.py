"""Makes a pod: its control group, its network, IPC and UTS namespaces, its address, its files. For `pod_builder.py`.

The shim enters these namespaces, so they last as long as it does; nothing is bind-mounted to keep them, and nothing
is deleted by hand at the end: when the last process of the pod has gone, the kernel drops the network namespace and
the veth pair with it (deleting the pair ourselves would block for 16 to 31 ms).
"""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path

from nodeworker.kernel import mounts, namespaces, netlink, prctl
from nodeworker.kernel.cgroups.hierarchy import Cgroups
from nodeworker.kernel.cgroups.limits import Limits
from nodeworker.runtime.errors import ContainerRuntimeError
from nodeworker.runtime.init import Steps
from nodeworker.runtime.process import reset_signals
from nodeworker.runtime.specs import CgroupLimits, PodNetwork, PodSpec

SHM_SIZE = "64m"

# What belongs to a namespace of the pod, and nothing else (CVE-2022-0811). net.* needs a network of the pod's own.
_SAFE_SYSCTLS = (
    "kernel.shm_rmid_forced",
    "kernel.shmmax",
    "kernel.shmall",
    "kernel.shmmni",
    "kernel.msgmax",
    "kernel.msgmnb",
    "kernel.msgmni",
    "kernel.sem",
)
_DEFAULT_SYSCTLS = {
    # As Docker has it: a process without capabilities may listen on port 80 and send pings.
    "net.ipv4.ip_unprivileged_port_start": "0",
    "net.ipv4.ping_group_range": "0 2147483647",
    # A neighbour must not become the pod's IPv6 router (CVE-2020-10749).
    "net.ipv6.conf.default.accept_ra": "0",
}


def build(spec: PodSpec, directory: Path, group: str, cgroups: Cgroups, steps: Steps) -> None:
    """Leave the host's namespaces for new ones and furnish them."""
    cgroups.create(group, cpuset=False)
    cgroups.apply(group, _limits(spec.cgroup_limits))
    steps.done("pod cgroup")

    host = netlink.Netlink() if spec.network and not spec.host_network else None
    flags = 0 if spec.host_network else namespaces.CLONE_NEWNET | namespaces.CLONE_NEWUTS
    flags |= 0 if spec.host_ipc else namespaces.CLONE_NEWIPC
    if flags:
        namespaces.unshare(flags)
    if not spec.host_network:
        socket.sethostname((spec.hostname or spec.name)[:63])
    steps.done("pod namespaces")

    if not spec.host_network:
        with netlink.Netlink() as pod:
            if host is not None and spec.network is not None:
                with host:
                    connect(host, pod, spec.network)
            pod.set_up(1)  # lo is always the first
    steps.done("pod network")

    _write_sysctls(spec)
    _write_files(spec, directory)
    shm = directory / "shm"
    shm.mkdir(mode=0o755, exist_ok=True)
    if not spec.host_ipc:
        flags = mounts.MS_NOSUID | mounts.MS_NODEV | mounts.MS_NOEXEC
        mounts.mount("shm", str(shm), "tmpfs", flags, f"mode=1777,size={SHM_SIZE}")
    steps.done("pod files")


def connect(host: netlink.Netlink, pod: netlink.Netlink, network: PodNetwork) -> None:
    """A veth pair from the bridge into this network namespace, with address and default route."""
    bridge = host.link_index(network.bridge)
    if bridge is None:
        raise ContainerRuntimeError(f'the bridge "{network.bridge}" does not exist on this node')
    address = network.address.partition("/")[0]
    here = namespaces.open_namespace("net")
    try:
        host.create_veth(
            network.host_interface,
            peer="eth0",
            peer_namespace=here,
            master=bridge,
            mtu=network.mtu,
            peer_mac=network.mac or netlink.mac_of_address(address),
        )
    except FileExistsError:
        raise ContainerRuntimeError(f'the interface "{network.host_interface}" exists already on this node') from None
    finally:
        os.close(here)
    inside = pod.link_index("eth0")
    if inside is None:
        raise ContainerRuntimeError("the pod's interface did not arrive in its network namespace")
    pod.add_address(inside, network.address)
    pod.set_up(inside)
    pod.add_route("default", gateway=network.gateway)


def _limits(limits: CgroupLimits) -> Limits:
    return Limits(
        cpu_shares=limits.cpu_shares,
        cpu_quota=limits.cpu_quota_microseconds,
        cpu_period=100_000 if limits.cpu_quota_microseconds else None,
        memory=limits.memory_bytes,
        pids=limits.pids,
    )


def check_sysctl(name: str, value: str, *, host_network: bool, host_ipc: bool) -> str:
    """The path below /proc/sys of an allowed, namespaced sysctl."""
    network = name.startswith("net.") and not host_network
    ipc = (name in _SAFE_SYSCTLS or name.startswith("fs.mqueue.")) and not host_ipc
    if not (network or ipc) or ".." in name or "/" in name or not name.replace(".", "").replace("_", "").isalnum():
        raise ContainerRuntimeError(f'the sysctl "{name}" is not allowed for this pod: it is not a namespace\'s own')
    if "\n" in value or "\0" in value:
        raise ContainerRuntimeError(f'the value of the sysctl "{name}" must be one line')
    return name.replace(".", "/")


def _write_sysctls(spec: PodSpec) -> None:
    defaults = {} if spec.host_network else _DEFAULT_SYSCTLS
    for name, value in {**defaults, **spec.sysctls}.items():
        path = check_sysctl(name, value, host_network=spec.host_network, host_ipc=spec.host_ipc)
        try:
            descriptor = os.open(f"/proc/sys/{path}", os.O_WRONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            if name in spec.sysctls:
                raise ContainerRuntimeError(f'the sysctl "{name}" does not exist on this node') from None
            continue
        try:
            os.write(descriptor, value.encode())
        except OSError as error:
            raise ContainerRuntimeError(f'cannot set the sysctl "{name}" to "{value}": {error.strerror}') from error
        finally:
            os.close(descriptor)


def _write_files(spec: PodSpec, directory: Path) -> None:
    etc = directory / "etc"
    etc.mkdir(mode=0o755, exist_ok=True)
    hostname = spec.hostname or (os.uname().nodename if spec.host_network else spec.name)
    (etc / "hostname").write_text(f"{hostname}\n")
    (etc / "hosts").write_text(spec.hosts or _hosts(spec, hostname))
    resolver = Path("/etc/resolv.conf")
    (etc / "resolv.conf").write_text(spec.dns or (resolver.read_text() if resolver.exists() else ""))
    for name in ("hostname", "hosts", "resolv.conf"):
        (etc / name).chmod(0o644)


def _hosts(spec: PodSpec, hostname: str) -> str:
    lines = ["127.0.0.1\tlocalhost", "::1\tlocalhost ip6-localhost ip6-loopback"]
    if spec.network:
        lines.append(f"{spec.network.address.partition('/')[0]}\t{hostname}")
    return "\n".join(lines) + "\n"


def fork_infra(own_pid_namespace: int) -> int:
    """Process 1 of a shared PID namespace: it does nothing but reap, and keeps the namespace alive."""
    namespaces.unshare(namespaces.CLONE_NEWPID)
    child = os.fork()
    if child == 0:
        try:
            _pause()
        finally:
            os._exit(0)
    namespaces.setns(own_pid_namespace, namespaces.CLONE_NEWPID)
    return child


def _pause() -> None:
    reset_signals()
    os.closerange(0, 1 << 20)
    prctl.set_name("gantry-pause")
    prctl.set_parent_death_signal(signal.SIGKILL)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD, signal.SIGTERM})
    while True:
        if signal.sigwait({signal.SIGCHLD, signal.SIGTERM}) == signal.SIGTERM:
            return
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            continue
