"""`./gantry down|status|logs|signin|purge|run`: what one does with an instance that exists."""

import argparse
import os
import subprocess
import sys
from pathlib import Path

from launcher import control, systemd
from launcher.configuration import configure
from launcher.environment import CHECKOUT
from launcher.errors import LauncherError
from launcher.prepare import prepare, use_django
from launcher.processes import Program, controller, nodeworker, supervisor_environment, web
from launcher.terminal import step, table
from launcher.up import console_address, home_lock, sign_in_link, unit_of
from nodeworker.wire.instance import Instance

_STATES = {"ready": "ok", "starting": "warn", "waiting": "fail", "stopped": "info"}


def down(arguments: argparse.Namespace) -> None:
    """Stop the processes; with --pods, then the pods."""
    home, instance = _existing(arguments)
    with home_lock(home):
        was_running = control.is_running(home)
        if was_running:
            with step("Processes stopped"):
                control.stop(home, unit_of(home, arguments))
        if arguments.pods:
            from launcher.machine import stop_pods

            with step("Pods stopped"):
                stop_pods(home, instance)
        elif was_running:
            print("Pods go on running; ./gantry down --pods stops them, ./gantry up takes them over again.")
        else:
            print(f"Gantry does not run ({home}).")


def status(arguments: argparse.Namespace) -> int:
    """Print the state of each process and the addresses; exit code 3 when it does not run (as systemctl does)."""
    home, instance = _existing(arguments)
    children = next(control.states(home, 5.0), None)
    if children is None:
        print(f"Gantry does not run ({home}). Start it: ./gantry up")
        return 3
    rows = [(_STATES.get(c.state, "warn"), name, _sentence(c)) for name, c in children.items()]
    table(rows)
    print(f"  Console {console_address(instance)}   API https://{instance.api_listen}   Home {home}")
    return 0 if all(child.state == "ready" for child in children.values()) else 1


def logs(arguments: argparse.Namespace) -> None:
    """Print the newest lines of one process or of all, and go on with --follow."""
    home, _ = _existing(arguments)
    files = sorted((home / "log").glob("*.log"))
    if arguments.process:
        files = [file for file in files if file.stem == arguments.process]
        if not files:
            known = ", ".join(file.stem for file in sorted((home / "log").glob("*.log"))) or "none yet"
            raise LauncherError(f"there is no log of {arguments.process!r}; there are: {known}")
    command = ["tail", "-n", str(arguments.lines), *(["-F"] if arguments.follow else []), *map(str, files)]
    if files:
        subprocess.run(command, check=False)


def signin(arguments: argparse.Namespace) -> None:
    """Print a new one-time link."""
    home, instance = _existing(arguments)
    use_django(home)
    print(sign_in_link(home, instance))


def purge(arguments: argparse.Namespace) -> None:
    """Remove the instance from this machine: processes, unit, pods, network, cgroups, files."""
    home, instance = _existing(arguments)
    if sys.stdin.isatty() and not arguments.yes:
        answer = input(f"This deletes everything in {home}: database, images, logs. Type its name to go on: ")
        if answer.strip() != str(home):
            raise LauncherError("nothing was deleted")
    from launcher import machine

    with home_lock(home):
        unit = unit_of(home, arguments)
        with step("Processes stopped"):
            control.stop(home, unit)
            if unit:
                systemd.remove(unit)
        with step("Pods, network and cgroups removed"):
            machine.stop_pods(home, instance)
            machine.remove_all(home, instance)
        with step(f"{home} deleted"):
            machine.remove_home(home)


def run(arguments: argparse.Namespace) -> None:
    """Run one process in the foreground, for containers and other supervisors; `setup` prepares the home and ends."""
    home: Path = arguments.home
    if arguments.process == "setup":
        home.mkdir(mode=0o711, parents=True, exist_ok=True)
        with home_lock(home):
            prepare(home, configure(home, arguments))
        return
    _existing(arguments)
    program: Program = {"web": web, "controller": controller, "nodeworker": nodeworker}[arguments.process](home)
    environment = {**supervisor_environment(home), **program.environment}
    os.chdir(CHECKOUT)
    os.execve(program.command[0], list(program.command), environment)


def _existing(arguments: argparse.Namespace) -> tuple[Path, Instance]:
    home: Path = arguments.home
    try:
        return home, Instance.load(home)
    except FileNotFoundError:
        raise LauncherError(f"there is no instance in {home}; ./gantry up makes one, --home names another") from None


def _sentence(child: control.ChildState) -> str:
    pid = f", pid {child.pid}" if child.pid else ""
    restarts = f", restarted {child.restarts} times, last {child.last_exit}" if child.restarts else ""
    return f"{child.state}{pid}{restarts}"
