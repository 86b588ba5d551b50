"""What the agent sees of one pod on its node, as plain data; the input of plan.py and status.py.

Built by agent/syncing.py from the runtime's state, the images being pulled, probe results and the agent's memory.
Times are seconds since the epoch.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Object = Mapping[str, Any]  # a Kubernetes object as it comes from the API

SANDBOX = ""  # the name under which failures of the pod's sandbox are remembered


@dataclass(frozen=True)
class ContainerSeen:
    """One attempt of a container, as the runtime tells it."""

    name: str
    attempt: int
    phase: str  # created, running, exited
    pid: int = 0
    created_at: float = 0.0
    started_at: float = 0.0
    finished_at: float = 0.0
    exit_code: int = 0
    signal: int = 0
    oom_killed: bool = False
    error: str = ""  # why it could not be run at all
    reason: str = ""  # the runtime's word for its end; empty: from exit code

    @property
    def alive(self) -> bool:
        return self.phase != "exited"

    @property
    def succeeded(self) -> bool:
        return self.phase == "exited" and self.exit_code == 0 and not self.signal and not self.error


@dataclass(frozen=True)
class PodSeen:
    """The pod's sandbox and the attempts in it; `alive` is false after a reboot or when the shim has ended."""

    uid: str
    alive: bool
    containers: tuple[ContainerSeen, ...] = ()
    address: str = ""

    def newest(self, name: str) -> ContainerSeen | None:
        attempts = [container for container in self.containers if container.name == name]
        return max(attempts, key=lambda container: container.attempt, default=None)


@dataclass(frozen=True)
class ImageSeen:
    """The image of one container's next attempt."""

    phase: str  # pulling, ready, failed
    reason: str = ""  # ErrImagePull, InvalidImageName, ErrImageNeverPull
    message: str = ""
    failed_at: float = 0.0
    retry_at: float = 0.0


@dataclass(frozen=True)
class Crash:
    """How long the next restart waits after an exit, and when the last restart was."""

    delay: float
    at: float


@dataclass(frozen=True)
class Failure:
    """Something that could not be made (sandbox, container); tried again at `retry_at`."""

    reason: str
    message: str
    at: float
    retry_at: float


@dataclass(frozen=True)
class Kill:
    """SIGTERM was sent `at`; SIGKILL follows at `deadline`, `forced` says that it has been sent."""

    at: float
    deadline: float
    forced: bool = False


@dataclass(frozen=True)
class Hook:
    """A lifecycle hook of one attempt: begun `at`, and with `ended_at` over."""

    at: float
    ended_at: float = 0.0
    failed: bool = False


@dataclass(frozen=True)
class Probed:
    """What the probes of a running attempt say."""

    started: bool = True
    ready: bool = True
    failed: str = ""  # liveness or startup, when the container must be restarted
    message: str = ""


@dataclass(frozen=True)
class Memory:
    """What the agent remembers of a pod besides the runtime's state; kept on disk."""

    started_at: float = 0.0  # status.startTime
    address: str = ""
    attempts: Mapping[str, int] = field(default_factory=dict)  # newest attempt ever made
    last: Mapping[str, ContainerSeen] = field(
        default_factory=dict
    )  # newest finished attempt that the runtime may have dropped
    crashes: Mapping[str, Crash] = field(default_factory=dict)
    failures: Mapping[str, Failure] = field(default_factory=dict)
    kills: Mapping[str, Kill] = field(default_factory=dict)  # by attempt_key
    hooks: Mapping[str, Hook] = field(default_factory=dict)  # by hook_key
    image_ids: Mapping[str, str] = field(default_factory=dict)  # container -> imageID of its newest attempt


def attempt_key(name: str, attempt: int) -> str:
    """One attempt of a container as a key of a JSON object."""
    return f"{name}/{attempt}"


def hook_key(name: str, attempt: int, kind: str) -> str:
    """One hook of one attempt, likewise."""
    return f"{name}/{attempt}/{kind}"


@dataclass(frozen=True)
class View:
    """Everything a decision about one pod is based on."""

    pod: Object | None  # None: its object is gone from the API
    observed: PodSeen | None
    memory: Memory = Memory()
    images: Mapping[str, ImageSeen] = field(default_factory=dict)  # by container name
    probes: Mapping[str, Probed] = field(default_factory=dict)  # by container name
    hooks: Mapping[str, Hook] = field(default_factory=dict)  # by hook_key
    host_address: str = ""
