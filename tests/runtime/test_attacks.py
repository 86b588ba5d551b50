"""Canaries for known ways out of a container (numbers RT-* of the threat list, CVEs where there are)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nodeworker.kernel import mounts
from nodeworker.runtime.errors import ContainerRuntimeError, StartError
from nodeworker.runtime.oci import Bind
from nodeworker.runtime.pod import check_sysctl
from tests.runtime.conftest import Box


@pytest.fixture
def canary() -> Iterator[Path]:
    path = Path("/root") / f"canary-{uuid.uuid4().hex}"
    path.write_text("secret of the host")
    path.chmod(0o600)
    yield path
    assert path.read_text() == "secret of the host"
    path.unlink()


def image(box: Box, name: str, **links: str) -> list[Path]:
    """The usual layer under one that has these symbolic links instead of directories."""
    layer = box.scratch / f"attack-{name}"
    layer.mkdir(exist_ok=True)
    for place, target in links.items():
        (layer / place).symlink_to(target)
    return [layer, box.layer]


@pytest.mark.parametrize("number", range(3, 20))
def test_rt03_a_working_directory_among_descriptors_leads_nowhere(box: Box, canary: Path, number: int) -> None:
    pod = box.pod()
    with pytest.raises(StartError, match="working directory"):
        box.start(pod, "cat", f"../../../../root/{canary.name}", working_directory=f"/proc/self/fd/{number}")


def test_rt03_exec_into_a_descriptor_leads_nowhere(box: Box, canary: Path) -> None:
    pod = box.pod()
    box.start(pod, "sleep", "60")
    for number in range(3, 20):
        with pytest.raises(StartError, match="working directory"):
            box.exec(pod, "cat", f"../../root/{canary.name}", working_directory=f"/proc/self/fd/{number}")


@pytest.mark.parametrize("place", ["proc", "sys", "dev"])
def test_rt06_rt11_links_in_place_of_kernel_directories_are_refused(box: Box, place: str) -> None:
    layers = image(box, f"link-{place}", **{place: "tmp"})
    with pytest.raises(StartError, match=f"/{place} of the image must be an ordinary directory"):
        box.create(box.pod(), "true", layers=layers)


def test_rt11_a_dev_that_points_to_the_host_makes_no_file_there(box: Box) -> None:
    target = box.scratch / "target"
    target.mkdir(exist_ok=True)
    with pytest.raises(StartError):
        box.create(box.pod(), "true", layers=image(box, "devhost", dev=f"../../../../..{target}"))
    assert not list(target.iterdir())


@pytest.mark.parametrize("destination", ["/proc", "/proc/self", "/sys", "/sys/kernel", "/dev", "/", "/../proc", "/lnk"])
def test_rt06_volumes_on_kernel_directories_are_refused(box: Box, destination: str) -> None:
    layers = image(box, f"volume-{uuid.uuid4().hex}", lnk="/proc/self")
    with pytest.raises(StartError, match="mount"):
        box.create(box.pod(), "true", layers=layers, binds=[Bind(box.scratch, destination)])


def test_rt12_a_volume_below_a_link_stays_inside(box: Box) -> None:
    outside = box.scratch / "outside"
    outside.mkdir(exist_ok=True)
    layers = image(box, "climb", climb=f"../../../../../..{outside}")
    volume = box.scratch / "inner"
    volume.mkdir(exist_ok=True)
    with pytest.raises(StartError, match="cannot make the mount point"):
        box.create(box.pod(), "true", layers=layers, binds=[Bind(volume, "/climb/new")])
    assert not list(outside.iterdir())


def test_rt08_masks_hold_when_the_image_brings_its_own_null_device(box: Box) -> None:
    layers = image(box, "null")
    (layers[0] / "dev").mkdir(exist_ok=True)
    (layers[0] / "dev/null").symlink_to("/proc/sys/kernel/core_pattern")
    before = Path("/proc/sys/kernel/core_pattern").read_text()
    said = box.shell("echo x > /dev/null; cat /proc/keys | wc -c; stat -c %t:%T /dev/null", layers=layers)
    assert said.split() == ["0", "1:3"]
    assert Path("/proc/sys/kernel/core_pattern").read_text() == before


def test_rt01_the_hosts_interpreter_cannot_be_overwritten(box: Box) -> None:
    pod = box.pod()
    found = box.runtime.pod(pod)
    assert found is not None
    program = f"/proc/{found.shim_pid}/exe"
    assert Path(program).samefile(sys.executable)
    assert os.statvfs(program).f_flag & os.ST_RDONLY


def test_rt01_a_program_on_a_detached_read_only_mount_stays_so_after_its_end(tmp_path: Path) -> None:
    (tmp_path / "program").write_bytes(Path("/bin/busybox").read_bytes())
    (tmp_path / "program").chmod(0o755)
    child = os.fork()
    if child == 0:
        tree = mounts.open_tree(mounts.AT_FDCWD, str(tmp_path / "program"))
        mounts.mount_setattr(tree, mounts.MOUNT_ATTR_RDONLY)
        os.execve(tree, ["busybox", "sleep", "60"], {})
    while Path(f"/proc/{child}/exe").samefile(sys.executable):
        os.sched_yield()
    held = os.open(f"/proc/{child}/exe", os.O_PATH)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    with pytest.raises(OSError, match="Read-only file system"):
        os.open(f"/proc/self/fd/{held}", os.O_WRONLY)
    os.close(held)


def test_rt07_control_groups_cannot_be_mounted(box: Box) -> None:
    said = box.shell("unshare -m true; mkdir /tmp/c; mount -t cgroup -o memory x /tmp/c; mount -t proc x /tmp/c")
    assert said.count("Operation not permitted") + said.count("permission denied") >= 3


@pytest.mark.parametrize("user", ["2147483648", "4294967296:0", "-1", "00", "0x0", "+0", "nobody-here", "0:9999999999"])
def test_rt16_users_out_of_range_are_refused(box: Box, user: str) -> None:
    with pytest.raises(StartError) as caught:
        box.create(box.pod(), "true", image={"User": user})
    assert caught.value.reason == "CreateContainerConfigError"


@pytest.mark.parametrize("user", ["", "0", "root", "toor"])
def test_rt16_run_as_non_root_sees_through_names(box: Box, user: str) -> None:
    with pytest.raises(StartError, match="runAsNonRoot"):
        box.create(box.pod(), "true", image={"User": user}, run_as_non_root=True)


def test_rt16_giant_or_strange_user_files_are_refused_at_once(box: Box) -> None:
    layers = image(box, "group")
    (layers[0] / "etc").mkdir(exist_ok=True)
    with (layers[0] / "etc/group").open("w") as file:
        file.truncate(1 << 30)
    with pytest.raises(StartError, match="larger than"):
        box.create(box.pod(), "true", layers=layers, image={"User": "alice"})
    (layers[0] / "etc/group").unlink()
    os.mkfifo(layers[0] / "etc/passwd")
    with pytest.raises(StartError, match="not a regular file"):
        box.create(box.pod(), "true", layers=layers, image={"User": "alice"})
    (layers[0] / "etc/passwd").unlink()
    (layers[0] / "etc/passwd").symlink_to("/dev/zero")
    with pytest.raises(StartError):
        box.create(box.pod(), "true", layers=layers, image={"User": "alice"})


@pytest.mark.parametrize("entry", ["PATH", "*", "=x", "A", "B=\0"])
def test_rt17_malformed_environment_is_refused_not_completed(box: Box, entry: str) -> None:
    def change(config: dict[str, Any]) -> None:
        config["process"]["env"].append(entry)

    with pytest.raises(StartError, match="KEY=value"):
        box.create(box.pod(), "env", change=change)


def test_rt17_nothing_of_one_container_reaches_another(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANTRY_HOST_SECRET", "host")
    pod = box.pod()
    names = [f"c{number}" for number in range(12)]
    for name in names:
        box.create(pod, "env", name=name, environment=[(f"SECRET_{name}", name)])
    for name in names:
        box.runtime.start_container(pod, name, 0)
    for name in names:
        box.wait(pod, name)
        said = box.output(pod, name)
        assert [line for line in said.splitlines() if "SECRET" in line] == [f"SECRET_{name}={name}"]


@pytest.mark.parametrize("name", ["kernel.core_pattern", "kernel.shmmax/../core_pattern", "vm.swappiness", "net.x;y"])
def test_rt20_sysctls_of_the_host_are_refused(name: str) -> None:
    with pytest.raises(ContainerRuntimeError, match="not allowed"):
        check_sysctl(name, "1", host_network=False, host_ipc=False)


def test_rt20_the_hosts_network_has_no_sysctls(box: Box) -> None:
    with pytest.raises(ContainerRuntimeError, match="not allowed"):
        box.pod(host_network=True, sysctls={"net.ipv4.ip_forward": "1"})
    with pytest.raises(ContainerRuntimeError, match="one line"):
        box.pod(sysctls={"kernel.shm_rmid_forced": "1\nx"})


def test_rt22_a_setuid_program_gives_nothing(box: Box) -> None:
    layers = image(box, "setuid")
    (layers[0] / "sbin").mkdir(exist_ok=True)
    (layers[0] / "sbin/busybox").write_bytes((box.layer / "bin/busybox").read_bytes())
    (layers[0] / "sbin/busybox").chmod(0o4755)
    said = box.shell("/sbin/busybox id -u", layers=layers, run_as_user=1000)
    assert said.strip() == "1000"


PROBE = """
import ctypes, sys
libc = ctypes.CDLL(None, use_errno=True)
for line in sys.argv[1:]:
    number, *values = (int(word) for word in line.split(","))
    ctypes.set_errno(0)
    result = libc.syscall(ctypes.c_long(number), *(ctypes.c_long(value) for value in values))
    print(ctypes.get_errno() if result == -1 else 0)
"""


def test_rt23_the_filter_answers_as_the_table_says() -> None:
    """Applied to a process of ours, since busybox can make no system call by number."""
    from nodeworker.kernel.syscall_numbers import NUMBERS

    new_user, thread = 0x10000000, 0x11
    table = [
        ("clone", (new_user | thread, 0, 0, 0, 0), 1),
        ("clone3", (0, 0), 38),
        ("unshare", (new_user,), 1),
        ("setns", (0, 0), 1),
        ("mount", (0, 0, 0, 0, 0), 1),
        ("bpf", (0, 0, 0), 1),
        ("keyctl", (0, 0), 1),
        ("io_uring_setup", (1, 0), 1),
        ("userfaultfd", (0,), 1),
        ("perf_event_open", (0, 0, 0, 0, 0), 1),
        ("open_tree", (-100, 0, 0), 1),
        ("fsopen", (0, 0), 1),
        ("socket", (38, 5, 0), 1),
        ("socket", ((1 << 32) + 38, 5, 0), 1),
        ("socket", (40, 1, 0), 1),
        ("socket", (2, 1, 0), 0),
        ("socket", (1, 1, 0), 0),
        ("personality", (0xFFFFFFFF,), 0),
        ("personality", (0x0040000,), 1),
        ("getpid", (), 0),
    ]
    calls = [",".join(map(str, (NUMBERS[name], *values))) for name, values, _errno in table]
    code = (
        "import sys; sys.path.insert(0, sys.argv.pop(1))\n"
        "from nodeworker.kernel import prctl, seccomp\n"
        "from nodeworker.runtime.seccomp_cache import DEFAULT_CAPABILITIES\n"
        "from nodeworker.runtime.seccomp_profile import default_profile\n"
        "prctl.set_no_new_privileges()\n"
        "seccomp.install(seccomp.compile_profile(default_profile(DEFAULT_CAPABILITIES)))\n"
    )
    root = str(Path(__file__).parents[2])
    command = [sys.executable, "-c", code.replace("\\\n", "\n") + PROBE, root, *calls]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    answers = [int(line) for line in done.stdout.split()]
    assert [(name, errno) for (name, _values, _expected), errno in zip(table, answers, strict=True)] == [
        (name, expected) for name, _values, expected in table
    ]


def test_rt24_the_hosts_root_is_out_of_reach(box: Box, canary: Path) -> None:
    said = box.shell(f"cat /proc/1/root/root/{canary.name}; cat /proc/self/root/../root/{canary.name}; ls /..")
    assert "secret of the host" not in said
    assert canary.name not in said.replace(f"root/{canary.name}'", "")


def test_rt32_state_directories_are_closed_to_others(box: Box) -> None:
    for name in ("pods", "logs", "trash"):
        assert (box.runtime.home / name).stat().st_mode & 0o077 == 0
    assert box.runtime.zygote_socket.stat().st_mode & 0o077 == 0
