"""What a container sees and may do, asserted from inside."""

from __future__ import annotations

from nodeworker.kernel import capabilities
from nodeworker.runtime.oci import Bind
from nodeworker.runtime.seccomp_cache import DEFAULT_CAPABILITIES
from tests.runtime.conftest import Box

STATUS = "cat /proc/self/status"


def fields(text: str) -> dict[str, str]:
    pairs = (line.split(":", 1) for line in text.splitlines() if ":" in line)
    return {name: value.strip() for name, value in pairs}


def test_the_command_is_process_1_and_sees_no_other(box: Box) -> None:
    said = box.shell("echo $$; ls /proc | grep -c '^[0-9]'")
    assert said.split()[0] == "1"
    assert int(said.split()[1]) <= 4  # sh, ls, grep


def test_capabilities_are_dockers_fourteen_and_none_is_inheritable(box: Box) -> None:
    found = fields(box.shell(STATUS))
    expected = f"{capabilities.mask(DEFAULT_CAPABILITIES):016x}"
    assert [found[key] for key in ("CapEff", "CapPrm", "CapBnd")] == [expected] * 3
    assert int(found["CapInh"], 16) == int(found["CapAmb"], 16) == 0


def test_dropping_all_capabilities_leaves_none(box: Box) -> None:
    found = fields(box.shell(STATUS, capabilities_drop=["ALL"], capabilities_add=["NET_ADMIN"]))
    assert int(found["CapBnd"], 16) == int(found["CapEff"], 16) == 1 << capabilities.CAPABILITIES["CAP_NET_ADMIN"]


def test_no_new_privileges_and_a_seccomp_filter(box: Box) -> None:
    found = fields(box.shell(STATUS))
    assert (found["NoNewPrivs"], found["Seccomp"]) == ("1", "2")


def test_exec_has_the_same_restrictions_as_the_container(box: Box) -> None:
    pod = box.pod()
    box.start(pod, "sleep", "60")
    code, said = box.exec(pod, "cat", "/proc/self/status", "/proc/1/status")
    inside, first = (fields(part) for part in (said[: len(said) // 2 + 40], said[len(said) // 2 - 40 :]))
    assert code == 0
    for key in ("CapEff", "CapBnd", "CapInh", "NoNewPrivs", "Seccomp"):
        assert inside[key] == first[key]
    assert (inside["Seccomp"], inside["NoNewPrivs"]) == ("2", "1")


def test_only_three_descriptors_and_none_of_the_host(box: Box) -> None:
    said = box.shell("for f in /proc/self/fd/*; do readlink $f; done")
    assert "/tmp/" not in said
    assert len([line for line in said.splitlines() if line.startswith(("/dev/null", "pipe:"))]) == 3


def test_devices_are_the_default_ones(box: Box) -> None:
    said = box.shell("ls /dev; ls -l /dev/null")
    expected = "fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero"
    assert set(said.splitlines()[:-1]) == set(expected.split())
    assert "1,   3" in said


def test_other_devices_can_be_made_but_not_opened(box: Box) -> None:
    said = box.shell(
        "mkdir /d; mount | grep -c nodev; mknod /dev/x c 1 1 && cat /dev/x; mknod /tmp/sda b 254 0; head -c1 /tmp/sda"
    )
    assert said.count("Operation not permitted") + said.count("Permission denied") >= 2


def test_kernel_files_are_masked_or_read_only(box: Box) -> None:
    said = box.shell(
        "cat /proc/keys /proc/timer_list /proc/interrupts | wc -c; ls /sys/firmware /proc/acpi | wc -w;"
        "echo 1 > /proc/sys/kernel/panic; echo h > /proc/sysrq-trigger; touch /sys/x; mkdir /sys/fs/cgroup/x;"
        "umount /proc/keys"
    )
    lines = said.splitlines()
    assert lines[0] == "0"
    assert said.count("Read-only file system") >= 3
    assert "umount: can't unmount /proc/keys: Operation not permitted" in said


def test_the_control_group_looks_like_a_root(box: Box) -> None:
    said = box.shell("cat /proc/self/cgroup")
    assert all(line.split(":")[2] == "/" for line in said.splitlines() if "memory" in line or "pids" in line)
    assert "gantry" not in said


def test_limits_are_in_force(box: Box) -> None:
    said = box.shell(
        "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max;"
        "cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us /sys/fs/cgroup/cpu.max; cat /sys/fs/cgroup/pids/pids.max"
        " /sys/fs/cgroup/pids.max",
        memory_limit=64 << 20,
        cpu_limit=500,
        pids_limit=33,
    )
    assert str(64 << 20) in said
    assert "50000" in said
    assert "33" in said.split()


def test_environment_is_the_images_then_the_pods_and_nothing_of_the_host(box: Box) -> None:
    said = box.shell("env", image={"Env": ["A=1", "B=2", "*", "SECRET"]}, environment=[("B", "3"), ("C", "x\ny")])
    assert {"A=1", "B=3"} <= set(said.splitlines())
    names = {line.split("=")[0] for line in said.splitlines() if "=" in line}
    assert names <= {"A", "B", "C", "PATH", "HOME", "HOSTNAME", "SHLVL", "PWD"}


def test_user_by_name_gets_its_groups_and_home(box: Box) -> None:
    said = box.shell("id; echo $HOME; cat /proc/self/status", image={"User": "alice"})
    assert "uid=1000(alice) gid=1000(alice) groups=50(staff)" in said or "groups=1000(alice),50(staff)" in said
    assert "/home/alice" in said
    assert int(fields(said)["CapEff"], 16) == 0


def test_run_as_user_and_group_win_over_the_image(box: Box) -> None:
    said = box.shell("id", image={"User": "alice"}, run_as_user=77, run_as_group=88, supplementary_groups=[99])
    assert "uid=77 gid=88 groups=99" in said or "groups=88,99" in said


def test_working_directory_is_made_and_belongs_to_the_user(box: Box) -> None:
    said = box.shell("pwd; touch x && echo writable", image={"WorkingDir": "/srv/app", "User": "alice"})
    assert said.splitlines() == ["/srv/app", "writable"]


def test_volumes_are_mounted_read_only_or_writable(box: Box) -> None:
    volume = box.scratch / "volume"
    volume.mkdir(exist_ok=True)
    (volume / "file").write_text("hello\n")
    binds = [Bind(volume, "/a", read_only=True), Bind(volume, "/b/c"), Bind(volume / "file", "/etc/one")]
    said = box.shell("cat /a/file /etc/one; touch /a/x; echo new > /b/c/made", binds=binds)
    assert said.splitlines()[:2] == ["hello", "hello"]
    assert "Read-only file system" in said
    assert (volume / "made").read_text() == "new\n"


def test_the_image_is_never_written(box: Box) -> None:
    box.shell("echo changed > /etc/passwd; rm -rf /bin/true; touch /new")
    assert "alice" in (box.layer / "etc/passwd").read_text()
    assert not (box.layer / "new").exists()
    assert (box.layer / "bin/true").is_symlink()


def test_a_read_only_root_refuses_writes(box: Box) -> None:
    assert "Read-only file system" in box.shell("touch /x", read_only_root=True)


def test_hosts_hostname_and_resolver_are_the_pods(box: Box) -> None:
    pod = box.pod(hostname="web-1", dns="nameserver 10.210.0.10\n", hosts="127.0.0.1 localhost\n")
    said = box.shell("hostname; cat /etc/hostname /etc/resolv.conf /etc/hosts", pod=pod)
    assert said.splitlines() == ["web-1", "web-1", "nameserver 10.210.0.10", "127.0.0.1 localhost"]


def test_many_layers_stack_with_the_first_on_top(box: Box) -> None:
    layers = []
    for number in range(60):
        layer = box.scratch / ("layer-" + "x" * 60 + f"-{number}:,")
        layer.mkdir(exist_ok=True)
        (layer / "which").write_text(f"{number}\n")
        layers.append(layer)
    assert box.shell("cat /which", layers=[*layers, box.layer]) == "0\n"
