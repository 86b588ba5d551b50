"""The systemd unit: pods outlive it, it outlives the login session, and no value can break out of its line."""

import configparser
from pathlib import Path

import pytest

from launcher.systemd import unit_name, unit_text


def parsed(home: Path) -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(unit_text(home))
    return parser


def test_only_the_main_process_is_stopped_so_that_pods_run_on() -> None:
    service = parsed(Path("/var/lib/gantry"))["Service"]
    assert (service["KillMode"], service["Delegate"], service["Type"]) == ("process", "yes", "notify")


def test_it_starts_the_supervisor_of_this_home() -> None:
    assert parsed(Path("/srv/gantry"))["Service"]["ExecStart"].endswith("-m launcher.supervisor --home /srv/gantry")


def test_each_home_but_the_default_has_a_unit_of_its_own() -> None:
    assert unit_name(Path("/var/lib/gantry"), "abcdef") == "gantry.service"
    assert unit_name(Path("/srv/gantry"), "abcdef") == "gantry-abcdef.service"


def test_a_value_cannot_end_its_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANTRY_REDIS_URL", 'redis://x"\nExecStartPre=/bin/evil %n')
    lines = unit_text(Path("/srv/gantry")).splitlines()
    assert not any(line.startswith("ExecStartPre") for line in lines)
    assert any("%%n" in line for line in lines)
