"""The systemd unit of an instance, on machines that have systemd: it survives reboots and login sessions."""

import subprocess
from pathlib import Path

from launcher.environment import CHECKOUT, PYTHON
from launcher.errors import LauncherError
from launcher.processes import supervisor_environment

UNITS = Path("/etc/systemd/system")
DEFAULT_HOME = Path("/var/lib/gantry")

UNIT = """\
[Unit]
Description=Gantry container platform ({home})
Documentation=file://{checkout}/README.md
After=network-online.target
Wants=network-online.target

[Service]
Type=notify
NotifyAccess=main
ExecStart={python} -m launcher.supervisor --home {home}
WorkingDirectory={checkout}
{environment}
Restart=always
RestartSec=2
TimeoutStartSec=120
TimeoutStopSec=60
# Pods live in cgroups of their own and outlive the service: only its main process is stopped, the rest it stops itself.
Delegate=yes
KillMode=process
TasksMax=infinity
LimitNOFILE=524288

[Install]
WantedBy=multi-user.target
"""


def available() -> bool:
    """Whether systemd runs this machine (sd_booted(3))."""
    return Path("/run/systemd/system").is_dir()


def unit_name(home: Path, instance_id: str) -> str:
    """Return the unit's name: `gantry.service` for the default home, else one that carries the instance's id."""
    return "gantry.service" if home == DEFAULT_HOME else f"gantry-{instance_id}.service"


def unit_text(home: Path) -> str:
    """Return the unit file of the instance at `home`."""
    variables = supervisor_environment(home)
    lines = "\n".join(f'Environment="{name}={_escaped(value)}"' for name, value in sorted(variables.items()))
    return UNIT.format(home=home, checkout=CHECKOUT, python=PYTHON, environment=lines)


def install(unit: str, home: Path) -> None:
    """Write the unit when it changed, and let it start with the machine."""
    path = UNITS / unit
    text = unit_text(home)
    if not path.exists() or path.read_text() != text:
        path.write_text(text)
        path.chmod(0o600)  # the database URL in it may hold a password
        _systemctl("daemon-reload")
    _systemctl("enable", "--quiet", unit)


def start(unit: str) -> None:
    """Start the unit without waiting: `up` follows the processes itself and shows their progress."""
    _systemctl("start", "--no-block", unit)


def stop(unit: str) -> None:
    """Stop the unit and wait for it."""
    _systemctl("stop", unit)


def is_active(unit: str) -> bool:
    """Whether the unit runs or is starting."""
    answer = subprocess.run(["systemctl", "is-active", unit], capture_output=True, text=True, check=False).stdout
    return answer.strip() in ("active", "activating", "deactivating")


def remove(unit: str) -> None:
    """Stop the unit, disable it and delete its file."""
    path = UNITS / unit
    if not path.exists():
        return
    _systemctl("disable", "--now", "--quiet", unit)
    path.unlink()
    _systemctl("daemon-reload")


def _systemctl(*arguments: str) -> None:
    done = subprocess.run(["systemctl", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise LauncherError(f"systemctl {' '.join(arguments)} failed: {done.stderr.strip()}")


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("\n", " ")
