"""The actions a plan consists of; agent/applying.py carries each out, and each may be repeated safely."""

from dataclasses import dataclass


@dataclass(frozen=True)
class EnsureSandbox:
    """Address, network and shim of the pod."""


@dataclass(frozen=True)
class PullImage:
    container: str


@dataclass(frozen=True)
class CreateContainer:
    name: str
    attempt: int


@dataclass(frozen=True)
class StartContainer:
    name: str
    attempt: int


@dataclass(frozen=True)
class RunHook:
    """Begin postStart or preStop; its end wakes the pod. `message` says why the container stops."""

    name: str
    attempt: int
    kind: str
    timeout: float
    message: str = ""


@dataclass(frozen=True)
class KillContainer:
    """SIGTERM and remember the deadline; with `grace` 0 SIGKILL."""

    name: str
    attempt: int
    grace: float
    message: str = ""


@dataclass(frozen=True)
class RemoveContainer:
    """Drop an old attempt, its logs included."""

    name: str
    attempt: int


@dataclass(frozen=True)
class StopPod:
    """End the shim and the network; state and logs stay."""


@dataclass(frozen=True)
class RemovePod:
    """Forget the sandbox and its files; `forget` also drops what the agent remembers."""

    forget: bool = False


@dataclass(frozen=True)
class SetStatus:
    """Write the status now and wait for it, before what follows in the plan."""


@dataclass(frozen=True)
class DeletePod:
    """The final DELETE with grace 0: nothing of the pod is left on this node."""


Action = (
    EnsureSandbox
    | PullImage
    | CreateContainer
    | StartContainer
    | RunHook
    | KillContainer
    | RemoveContainer
    | StopPod
    | RemovePod
    | SetStatus
    | DeletePod
)


@dataclass(frozen=True)
class Plan:
    """What to do now, and when to look again without any event (None: only an event can change anything)."""

    actions: tuple[Action, ...] = ()
    wake_at: float | None = None
