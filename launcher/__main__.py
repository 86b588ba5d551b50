"""The command line: `./gantry COMMAND`. Each command is a function in a module of its own."""

import argparse
import os
import sys
from pathlib import Path

from launcher.errors import LauncherError

DEFAULT_HOME = "/var/lib/gantry"


def parser() -> argparse.ArgumentParser:
    """Return the whole command line with its help."""
    top = argparse.ArgumentParser(prog="gantry", description="A container platform in one Python project.")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    command = _command(commands, "up", "start the instance (or upgrade it); prints the console's address")
    command.add_argument("--listen", metavar="ADDR:PORT", help="the console's address (default 127.0.0.1:8000)")
    command.add_argument("--api-listen", metavar="ADDR:PORT", help="the API's address (default 127.0.0.1:6443, HTTPS)")
    command.add_argument("--pod-cidr", metavar="RANGE", help="addresses of pods (default 10.244.0.0/16)")
    command.add_argument("--service-cidr", metavar="RANGE", help="addresses of services (default 10.96.0.0/16)")
    command.add_argument("--foreground", action="store_true", help="stay in the foreground until Ctrl-C")
    command.add_argument("--no-systemd", action="store_true", help="install no systemd unit")

    command = _command(commands, "down", "stop the processes; pods go on running")
    command.add_argument("--pods", action="store_true", help="stop the pods too")
    _command(commands, "status", "show what runs")
    command = _command(commands, "logs", "show the processes' logs")
    command.add_argument("process", nargs="?", help="broker, web, controller, nodeworker or supervisor; all if absent")
    command.add_argument("-f", "--follow", action="store_true", help="go on with new lines")
    command.add_argument("-n", "--lines", type=int, default=50, help="how many lines (default 50)")
    _command(commands, "signin", "print a new one-time sign-in link")
    _command(commands, "purge", "stop everything and remove the home and all that the instance made on this machine")

    image = commands.add_parser("image", help="import, list and remove images")
    actions = image.add_subparsers(dest="action", required=True, metavar="ACTION")
    command = _command(actions, "import", "import an archive of docker save, podman save or skopeo")
    command.add_argument("file", help="the archive; - for standard input")
    _command(actions, "ls", "list images")
    command = _command(actions, "rm", "remove an image")
    command.add_argument("reference")
    command.add_argument("--force", action="store_true", help="even while a container uses it")

    command = _command(commands, "run", "run one process in the foreground (for containers and other supervisors)")
    command.add_argument("process", choices=("setup", "web", "controller", "nodeworker"))
    for flag in ("--listen", "--api-listen", "--pod-cidr", "--service-cidr"):
        command.add_argument(flag, help=argparse.SUPPRESS)

    _command(commands, "build", "prepare environment and front end without starting anything")
    command = _command(commands, "test", "run the tests; further words go to pytest")
    command.add_argument("arguments", nargs=argparse.REMAINDER)
    _command(commands, "check", "format, lint, types, import contracts, migrations, strings, compose file")
    return top


def _command(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, text: str
) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
    default = Path(os.environ.get("GANTRY_HOME", DEFAULT_HOME))
    command.add_argument("--home", type=_home, default=_home(str(default)), metavar="DIR", help=f"default {default}")
    command.add_argument("--yes", action="store_true", help="install missing Debian packages without asking")
    command.add_argument("--no-install", action="store_true", help="never install Debian packages; print the list")
    return command


def _home(text: str) -> Path:
    return Path(text).resolve()


def run(arguments: argparse.Namespace) -> int:
    """Run the command and return its exit code; modules are imported here so that a small command starts quickly."""
    if arguments.command in ("check", "test", "build"):
        from launcher import quality

        if arguments.command == "test":
            return quality.test(arguments.arguments)
        return quality.check() if arguments.command == "check" else 0
    if arguments.command == "image":
        from launcher import images

        {"import": images.image_import, "ls": images.image_ls, "rm": images.image_rm}[arguments.action](arguments)
        return 0
    if arguments.command == "up":
        from launcher.up import up

        up(arguments)
        return 0
    from launcher import operate

    if arguments.command == "status":
        return operate.status(arguments)
    {
        "down": operate.down,
        "logs": operate.logs,
        "signin": operate.signin,
        "purge": operate.purge,
        "run": operate.run,
    }[arguments.command](arguments)
    return 0


def main() -> int:
    """Parse, run, and turn an error that a person can act on into one line."""
    arguments = parser().parse_args()
    try:
        return run(arguments)
    except LauncherError as error:
        print(f"gantry: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


if __name__ == "__main__":
    sys.exit(main())
