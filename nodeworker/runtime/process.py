"""How a process of a container gives up its powers and becomes a command: the same code for `init.py` and `enter.py`.

The order is the point of this module:

1. limits and out-of-memory score, while there is still a /proc of the host's and CAP_SYS_RESOURCE
2. no_new_privs: from here on no execve can give anything back
3. bounding set, groups, group, user, then the capability sets themselves (inheritable and ambient stay empty)
4. the working directory, entered as the user and checked to lie inside the container (CVE-2024-21626)
5. the command is looked for in PATH, so that a missing one is reported before anything starts
6. seccomp last, since it would forbid some of the above; without no_new_privs it must come before step 3
7. descriptors above 2 are marked close-on-exec, and execve
"""

from __future__ import annotations

import errno
import os
import resource
import signal
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NoReturn

from nodeworker.kernel import capabilities, prctl, seccomp
from nodeworker.kernel.calls import syscall
from nodeworker.runtime.errors import StartError
from nodeworker.runtime.seccomp_cache import filter_of
from nodeworker.runtime.users import User, resolve_user

# What Python and the shim change; the zygote has reset all others, and what runs below it inherits that.
_CHANGED_SIGNALS = (signal.SIGINT, signal.SIGPIPE, signal.SIGXFSZ, signal.SIGCHLD)
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
NON_ROOT_ANNOTATION = "gantry.internal/run-as-non-root"


@dataclass(frozen=True, slots=True)
class Process:
    """The `process` of a config.json, checked and translated."""

    arguments: tuple[str, ...]
    environment: dict[str, str]
    working_directory: str
    user: str
    group: int | None
    additional_groups: tuple[int, ...]
    must_not_be_root: bool
    terminal: bool
    capabilities: int
    no_new_privileges: bool
    limits: tuple[tuple[int, int, int], ...]
    oom_score_adjustment: int | None
    filter: bytes | None


def process_from_config(config: Mapping[str, Any]) -> Process:
    """Read `process` (and `linux.seccomp`) of a config.json."""
    process = config["process"]
    user = process.get("user", {})
    bounding = (process.get("capabilities") or {}).get("bounding", [])
    try:
        mask = capabilities.mask(bounding) & capabilities.bounding()
        limits = tuple(_limit(entry) for entry in process.get("rlimits", []))
    except KeyError as error:
        raise StartError(f"{error.args[0]} is not known to Linux", "CreateContainerConfigError") from None
    name = user.get("username")
    return Process(
        arguments=check_arguments(process["args"]),
        environment=parse_environment(process.get("env", [])),
        working_directory=check_working_directory(process.get("cwd") or "/"),
        user=name if name is not None else str(user.get("uid", 0)),
        group=user.get("gid"),
        additional_groups=tuple(user.get("additionalGids", ())),
        must_not_be_root=config.get("annotations", {}).get(NON_ROOT_ANNOTATION) == "true",
        terminal=bool(process.get("terminal")),
        capabilities=mask,
        no_new_privileges=bool(process.get("noNewPrivileges")),
        limits=limits,
        oom_score_adjustment=process.get("oomScoreAdj"),
        filter=filter_of(config),
    )


def for_exec(
    process: Process, arguments: Sequence[str], environment: Sequence[str], directory: str, user: str, terminal: bool
) -> Process:
    """The container's process with another command: everything that restricts it stays."""
    changed = replace(
        process,
        arguments=check_arguments(arguments),
        environment={**process.environment, **parse_environment(environment)},
        working_directory=check_working_directory(directory or process.working_directory),
        terminal=terminal,
    )
    return replace(changed, user=user, group=None) if user else changed


def _limit(entry: Mapping[str, Any]) -> tuple[int, int, int]:
    number: int = vars(resource)[entry["type"]]
    return number, min(entry["soft"], 2**63 - 1), min(entry["hard"], 2**63 - 1)


def check_arguments(arguments: Sequence[str]) -> tuple[str, ...]:
    """The command line, if execve could take it."""
    if not arguments or not arguments[0]:
        raise StartError("no command: neither the image nor the pod names one", "CreateContainerConfigError")
    if any("\0" in argument for argument in arguments):
        raise StartError("an argument of the command contains a NUL character", "CreateContainerConfigError")
    return tuple(arguments)


def check_working_directory(path: str) -> str:
    """The working directory, if it is an absolute path."""
    if not path.startswith("/") or "\0" in path:
        raise StartError(f'the working directory "{path}" must be an absolute path', "CreateContainerConfigError")
    return path


def parse_environment(entries: Sequence[str]) -> dict[str, str]:
    """KEY=value pairs. An entry without "=" or without a key names nothing and is refused: it must never be completed
    from the host's environment (CVE-2026-57231)."""
    found = {}
    for entry in entries:
        key, equals, value = entry.partition("=")
        if not key or not equals or "\0" in entry:
            shown = entry.split("=")[0][:40]
            raise StartError(
                f"the environment entry {shown!r} is not of the form KEY=value", "CreateContainerConfigError"
            )
        found[key] = value
    return found


def find_user(process: Process, root: int) -> User:
    """Resolve the process's user in the root file system of the descriptor `root`."""
    user = resolve_user(root, process.user, group=process.group, additional=process.additional_groups)
    if process.must_not_be_root and user.uid == 0:
        raise StartError(
            f'the pod says runAsNonRoot, but the user "{process.user or "0"}" of the image is root (uid 0)',
            "CreateContainerConfigError",
        )
    return user


def reset_signals() -> None:
    """Default dispositions, nothing blocked: what Python ignores (SIGPIPE) would be ignored after execve too."""
    signal.set_wakeup_fd(-1)
    for number in _CHANGED_SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def reset_all_signals() -> None:
    """The same for every signal there is, for the zygote: whoever started it may have ignored some."""
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def assume(process: Process, user: User) -> None:
    """Steps 1 to 3, after which this process has no more than the container's command will have."""
    for number, soft, hard in process.limits:
        resource.setrlimit(number, (soft, hard))
    if process.no_new_privileges:
        prctl.set_no_new_privileges()
    elif process.filter:
        seccomp.install(process.filter)
    for stream in (0, 1, 2):
        # nginx and others open /dev/stderr anew, which needs the permission of the pipe behind it.
        if stat.S_ISFIFO(os.fstat(stream).st_mode) or (process.terminal and os.isatty(stream)):
            os.fchown(stream, user.uid, -1)
    capabilities.drop_bounding(process.capabilities)
    prctl.set_keep_capabilities(True)
    os.setgroups(user.groups)
    os.setresgid(user.gid, user.gid, user.gid)
    os.setresuid(user.uid, user.uid, user.uid)
    prctl.set_keep_capabilities(False)
    capabilities.clear_ambient()
    capabilities.capset(process.capabilities, process.capabilities, 0)


def enter_directory(process: Process) -> None:
    """Step 4. getcwd(2) fails or says "(unreachable)" for a directory that is not below our root."""
    try:
        os.chdir(process.working_directory)
        inside = os.getcwd().startswith("/")  # noqa: PTH109
    except OSError as error:
        raise StartError(
            f'cannot enter the working directory "{process.working_directory}": {error.strerror}', "ContainerCannotRun"
        ) from error
    if not inside:
        raise StartError(f'the working directory "{process.working_directory}" lies outside the container')


def find_command(process: Process) -> str:
    """Step 5: the path that execve gets, found as the user would find it."""
    name = process.arguments[0]
    if "/" in name:
        candidates = [name]
    else:
        path = process.environment.get("PATH", DEFAULT_PATH)
        candidates = [f"{directory or '.'}/{name}" for directory in path.split(":")]
    denied = False
    for candidate in candidates:
        try:
            mode = os.stat(candidate).st_mode  # noqa: PTH116
        except PermissionError:
            denied = True
            continue
        except (OSError, ValueError):
            continue
        if stat.S_ISREG(mode) and os.access(candidate, os.X_OK):
            return candidate
        denied = True
    if denied:
        raise StartError(f'cannot execute: exec "{name}": permission denied, or not a file', "ContainerCannotRun", 126)
    where = "no such file" if "/" in name else "no such file in PATH"
    raise StartError(f'command not found: exec "{name}": {where}', "ContainerCannotRun", 127)


def execute(process: Process, user: User, path: str) -> NoReturn:
    """Steps 6 and 7. Comes back only as StartError."""
    environment = {"HOME": user.home, **process.environment}
    environment.setdefault("PATH", DEFAULT_PATH)
    environment.setdefault("HOSTNAME", os.uname().nodename)
    if process.terminal:
        environment.setdefault("TERM", "xterm")
    syscall("close_range", 3, 0x7FFFFFFF, 4, about="CLOSE_RANGE_CLOEXEC")
    if process.filter and process.no_new_privileges:
        seccomp.install(process.filter)
    try:
        os.execve(path, process.arguments, environment)
    except OSError as error:
        raise _exec_error(process.arguments[0], error) from error


def _exec_error(name: str, error: OSError) -> StartError:
    if error.errno == errno.ENOENT:
        reason, code = "the interpreter or dynamic loader that it names is not in the image", 127
    elif error.errno == errno.ENOEXEC:
        reason, code = "exec format error: built for another architecture, or a script without #!", 126
    else:
        reason, code = os.strerror(error.errno or 0).lower(), 126
    return StartError(f'cannot execute: exec "{name}": {reason}', "ContainerCannotRun", code)
