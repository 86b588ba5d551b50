"""The runtime's exceptions, raised to the agent.

    ContainerRuntimeError        anything below; `str()` is a sentence for a user
    ├── InvalidTransition        the state machine does not know this step
    ├── NotFound                 no such pod or container
    ├── RuntimeUnavailable       the zygote or a shim does not answer
    └── StartError               a container could not be created or started; `.reason`, `.exit_code`

Across the sockets an error travels as {"error": sentence, "type": class name, "reason": ..., "exit_code": ...}.
"""

from __future__ import annotations

from typing import Any


class ContainerRuntimeError(Exception):
    """Something the runtime could not do; the message is a sentence for a user."""


class InvalidTransition(ContainerRuntimeError):  # noqa: N818 - named for what happened
    """A step that the container's phase does not allow."""


class NotFound(ContainerRuntimeError):  # noqa: N818
    """No such pod or container on this node."""


class RuntimeUnavailable(ContainerRuntimeError):  # noqa: N818
    """The zygote or the pod's shim does not answer."""


class StartError(ContainerRuntimeError):
    """The container's process could not be brought up.

    `reason` is the word for the container's status (ContainerCannotRun: the command itself; StartError: what surrounds
    it; CreateContainerConfigError: what was asked for is not allowed), `exit_code` what a shell would say (127 not
    found, 126 not executable, 128 otherwise).
    """

    def __init__(self, message: str, reason: str = "StartError", exit_code: int = 128) -> None:
        super().__init__(message)
        self.reason = reason
        self.exit_code = exit_code


_TYPES: dict[str, type[ContainerRuntimeError]] = {
    kind.__name__: kind for kind in (ContainerRuntimeError, InvalidTransition, NotFound, RuntimeUnavailable)
}


def to_message(error: BaseException) -> dict[str, Any]:
    """The error as it travels over a socket or pipe."""
    if isinstance(error, StartError):
        return {"error": str(error), "type": "StartError", "reason": error.reason, "exit_code": error.exit_code}
    kind = type(error).__name__ if isinstance(error, ContainerRuntimeError) else "ContainerRuntimeError"
    return {"error": str(error) or type(error).__name__, "type": kind}


def is_error(message: dict[str, Any]) -> bool:
    """True for what `to_message` made (a container's state has an "error" of its own, but no "type")."""
    return "type" in message


def from_message(message: dict[str, Any]) -> ContainerRuntimeError:
    """The exception that `to_message` described."""
    if message.get("type") == "StartError":
        return StartError(message["error"], message.get("reason", "StartError"), message.get("exit_code", 128))
    return _TYPES.get(str(message.get("type")), ContainerRuntimeError)(message["error"])
