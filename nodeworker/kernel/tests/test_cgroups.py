"""Control groups on files in a temporary directory: which version serves what, and what is written where."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nodeworker.kernel.cgroups import device_filter, v1, v2
from nodeworker.kernel.cgroups.hierarchy import Cgroups, Hierarchy, parse_mountinfo
from nodeworker.kernel.cgroups.limits import DeviceRule, Limits, limits_from_resources

FILES = "cpu.weight cpu.max memory.max memory.swap.max memory.oom.group pids.max cpu.stat"
V2 = ("cpu", "memory", "pids", "cpuset")
LIMITS = Limits(cpu_shares=512, cpu_quota=50_000, cpu_period=100_000, memory=64 << 20, memory_swap=64 << 20, pids=7)


def mountinfo(*entries: tuple[Path, str, str]) -> str:
    return "".join(f"31 23 0:28 / {path} rw - {kind} x rw,{options}\n" for path, kind, options in entries)


@pytest.fixture
def unified(tmp_path: Path) -> Path:
    """A version 2 tree whose groups look as the kernel makes them."""
    (tmp_path / "cgroup.controllers").write_text("cpuset cpu io memory hugetlb pids\n")
    (tmp_path / "cgroup.subtree_control").write_text("")
    for group in ("g", "g/pod", "g/pod/web-0"):
        directory = tmp_path / group
        directory.mkdir()
        (directory / "cgroup.controllers").write_text("cpuset cpu memory pids\n")
        for name in ["subtree_control", "procs"]:
            (directory / f"cgroup.{name}").write_text("")
        for name in FILES.split():
            (directory / name).write_text("")
    return tmp_path


def test_version_2_alone_serves_everything(unified: Path) -> None:
    found = parse_mountinfo(mountinfo((unified, "cgroup2", "nsdelegate")))
    assert [(tree.version, tree.root) for tree in found] == [(2, unified)]
    assert {"cpu", "memory", "pids", "devices", "freezer"} <= set(found[0].controllers)


def test_a_hybrid_whose_version_2_has_nothing_of_ours_is_version_1(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").write_text("hugetlb\n")
    text = mountinfo(
        (tmp_path / "cpu", "cgroup", "cpu,cpuacct"),
        (tmp_path / "memory", "cgroup", "memory"),
        (tmp_path / "systemd", "cgroup", "name=systemd"),
        (tmp_path, "cgroup2", ""),
    )
    found = parse_mountinfo(text)
    assert [(tree.version, tree.controllers) for tree in found] == [(1, ("cpu", "cpuacct")), (1, ("memory",))]


def test_controllers_may_come_from_both_versions(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").write_text("memory pids\n")
    found = parse_mountinfo(mountinfo((tmp_path / "cpu", "cgroup", "cpu"), (tmp_path, "cgroup2", "")))
    assert (found[0].version, found[0].controllers) == (1, ("cpu",))
    assert found[1].version == 2 and {"memory", "pids"} <= set(found[1].controllers)


def test_a_space_in_a_mount_point_is_understood() -> None:
    found = parse_mountinfo("1 2 0:3 / /sys/fs/a\\040b rw - cgroup x rw,memory\n")
    assert found[0].root == Path("/sys/fs/a b")


def test_version_2_limits_are_written_in_its_own_words(unified: Path) -> None:
    Cgroups([Hierarchy(2, unified, V2)]).apply("g/pod/web-0", LIMITS)
    written = {path.name: path.read_text() for path in (unified / "g/pod/web-0").iterdir()}
    assert written["cpu.weight"] == "20" and written["cpu.max"] == "50000 100000"
    assert written["memory.max"] == str(64 << 20) and written["memory.swap.max"] == "0"
    assert written["memory.oom.group"] == "1" and written["pids.max"] == "7"


def test_version_2_hands_controllers_down_to_the_group_and_joins_it(unified: Path) -> None:
    cgroups = Cgroups([Hierarchy(2, unified, V2)])
    cgroups.create("g/pod/web-0")
    assert set((unified / "g/pod/cgroup.subtree_control").read_text().split()) == {f"+{name}" for name in V2}
    assert (unified / "g/pod/web-0/cgroup.subtree_control").read_text() == ""
    cgroups.join("g/pod/web-0")
    assert (unified / "g/pod/web-0/cgroup.procs").read_text() == "0"


def test_version_2_usage_and_kills_are_read(unified: Path) -> None:
    group = unified / "g/pod/web-0"
    (group / "cpu.stat").write_text("usage_usec 12\nuser_usec 7\n")
    (group / "memory.current").write_text("1000\n")
    (group / "memory.stat").write_text("anon 1\ninactive_file 300\n")
    (group / "memory.events").write_text("low 0\noom 1\noom_kill 2\n")
    cgroups = Cgroups([Hierarchy(2, unified, V2)])
    usage = cgroups.usage("g/pod/web-0")
    assert usage is not None
    assert (usage.cpu_nanoseconds, usage.memory_bytes, usage.working_set_bytes) == (12_000, 1000, 700)
    assert cgroups.oom_kills("g/pod/web-0") == 2


@pytest.mark.parametrize(("shares", "weight"), [(2, 1), (1024, 39), (262144, 10000), (0, 1), (10**9, 10000)])
def test_shares_become_weights(shares: int, weight: int) -> None:
    assert v2.weight(shares) == weight


def test_version_1_limits(tmp_path: Path) -> None:
    for name in ("cpu.shares", "cpu.cfs_period_us", "cpu.cfs_quota_us", "memory.limit_in_bytes", "pids.max"):
        (tmp_path / name).write_text("")
    for controller in ("cpu", "memory", "pids"):
        v1.apply(controller, tmp_path, LIMITS)
    assert (tmp_path / "cpu.shares").read_text() == "512"
    assert (tmp_path / "cpu.cfs_quota_us").read_text() == "50000"
    assert (tmp_path / "memory.limit_in_bytes").read_text() == str(64 << 20)
    assert (tmp_path / "pids.max").read_text() == "7"


def test_version_1_fills_a_new_cpuset_from_its_parent(tmp_path: Path) -> None:
    (tmp_path / "g").mkdir()
    for directory, content in ((tmp_path, "0-1\n"), (tmp_path / "g", "\n")):
        for name in ("cpuset.cpus", "cpuset.mems"):
            (directory / name).write_text(content)
    v1.prepare("cpuset", tmp_path / "g")
    assert (tmp_path / "g/cpuset.cpus").read_text().strip() == "0-1"


def test_device_rules_as_version_1_takes_them() -> None:
    rules = [DeviceRule(False), DeviceRule(True, "c", 1, 3), DeviceRule(True, "c", 136, None, "rw")]
    assert [v1.device_line(rule) for rule in rules] == ["a", "c 1:3 rwm", "c 136:* rw"]


def test_a_failed_write_names_file_and_value(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"pids\.max"):
        v1.apply("pids", tmp_path, LIMITS)


def test_limits_come_from_an_oci_config() -> None:
    limits = limits_from_resources({"cpu": {"shares": 5}, "devices": [{"allow": True, "type": "c", "major": 1}]})
    assert limits == Limits(cpu_shares=5, devices=(DeviceRule(True, "c", 1),))


@pytest.mark.root
def test_the_device_program_of_version_2_is_accepted_and_decides() -> None:
    """On a real version 2 tree, where there is one: the kernel's verifier is the judge, then two opens."""
    trees = [
        line.split(" ")[4] for line in Path("/proc/self/mountinfo").read_text().splitlines() if " cgroup2 " in line
    ]
    if os.geteuid() != 0 or not trees:
        pytest.skip("needs root and a mounted cgroup2")
    group = Path(trees[0]) / f"gantry-test-{os.getpid()}"
    group.mkdir()
    try:
        device_filter.attach(group, [DeviceRule(False), DeviceRule(True, "c", 1, 3), DeviceRule(True, "c", 1, 5, "r")])
        child = os.fork()
        if child == 0:
            (group / "cgroup.procs").write_text("0")
            answers = [_opens("/dev/null", os.O_RDWR), _opens("/dev/zero", os.O_RDONLY)]
            refused = [_opens("/dev/zero", os.O_WRONLY), _opens("/dev/full", os.O_RDONLY)]
            os._exit(0 if all(answers) and not any(refused) else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    finally:
        group.rmdir()


def _opens(path: str, flags: int) -> bool:
    try:
        os.close(os.open(path, flags))
    except PermissionError:
        return False
    return True
