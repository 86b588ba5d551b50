"""What to do next for one pod: the node's half of "observe, decide, apply". Called by agent/syncing.py.

`plan` looks at one moment; the caller applies it, observes again and plans again until nothing is left to do. So a plan
never has to foresee what its own actions lead to, and one that was interrupted half-way is simply made again.
"""

from dataclasses import dataclass
from enum import Enum

from nodeworker.agent.logic import backoff, podspec
from nodeworker.agent.logic.actions import (
    Action,
    CreateContainer,
    DeletePod,
    EnsureSandbox,
    KillContainer,
    Plan,
    PullImage,
    RemoveContainer,
    RemovePod,
    RunHook,
    SetStatus,
    StartContainer,
    StopPod,
)
from nodeworker.agent.logic.observed import SANDBOX, ContainerSeen, Hook, Object, View, attempt_key, hook_key

PULL_FAILURE_SHOWN = 3.0  # so long ErrImagePull stands in the status before it becomes ImagePullBackOff
FORCED_GRACE = 2.0  # an object that vanished was deleted by force: its processes get this long after SIGTERM
POST_START_LIMIT = 600.0  # Kubernetes sets none; a hook that hangs would keep the pod from ever being looked after
LEAST_GRACE = 2.0  # what SIGTERM gets when preStop has used up the grace period, as the kubelet grants it
KEPT_ATTEMPTS = 2  # the running attempt and the one before it (`kubectl logs --previous`)


class Next(Enum):
    """What a container's next step is."""

    KEEP = "keep"  # it runs
    DONE = "done"  # it has ended and stays ended
    WAIT = "wait"  # for an image, a time, or the init containers
    PULL = "pull"
    CREATE = "create"
    HOOK = "hook"  # it runs, its postStart is due
    START = "start"  # it was created, its init waits
    KILL = "kill"


@dataclass(frozen=True)
class Decision:
    """The next step of one container; for WAIT the reason as the status shows it, and when to look again."""

    next: Next
    reason: str = ""
    message: str = ""
    wake_at: float | None = None
    attempt: int = 0


def plan(view: View, now: float) -> Plan:
    """The actions that bring the pod on this node one step nearer to what its object wants."""
    if view.pod is None:
        return _plan_gone(view, now)
    if podspec.is_deleting(view.pod):
        return _plan_termination(view.pod, view, now)
    if podspec.phase(view.pod) in podspec.FINISHED or is_finished(view.pod, view):
        return _plan_finished(view)
    if not _sandbox_alive(view):
        return _plan_sandbox(view.pod, view, now)
    return _plan_containers(view.pod, view, now)


def current(view: View, name: str, *, init: bool = False) -> ContainerSeen | None:
    """The newest attempt of a container; the remembered one when the sandbox it ran in is gone."""
    seen = view.observed.newest(name) if view.observed else None
    if seen is None and not init:  # init containers run again in every new sandbox
        return view.memory.last.get(name)
    return seen


def should_restart(policy: str, ended: ContainerSeen) -> bool:
    return policy == "Always" or (policy == "OnFailure" and not ended.succeeded)


def is_initialized(pod: Object, view: View) -> bool:
    """All init containers have succeeded, or a container proper was made in this sandbox, which proves it."""
    observed = view.observed
    if observed and any(observed.newest(container["name"]) for container in podspec.containers(pod)):
        return True
    for container in podspec.init_containers(pod):
        seen = observed.newest(container["name"]) if observed else None
        if seen is None or not seen.succeeded:
            return False
    return True


def failed_init(pod: Object, view: View) -> str | None:
    """The init container whose failure is final."""
    if podspec.restart_policy(pod) != "Never" or is_initialized(pod, view):
        return None
    for container in podspec.init_containers(pod):
        seen = current(view, container["name"], init=True)
        if seen is not None and seen.phase == "exited" and not seen.succeeded:
            return str(container["name"])
    return None


def is_finished(pod: Object, view: View) -> bool:
    """No container runs and none will be started again."""
    if failed_init(pod, view):
        return True
    policy = podspec.restart_policy(pod)
    if policy == "Always":
        return False
    for container in podspec.containers(pod):
        seen = current(view, container["name"])
        if seen is None or seen.alive or should_restart(policy, seen):
            return False
    return True


def decide(pod: Object, container: Object, view: View, now: float, *, init: bool = False) -> Decision:
    """The next step of one container."""
    name = str(container["name"])
    seen = current(view, name, init=init)
    if seen is not None and seen.alive:
        return _decide_alive(container, seen, view)
    if seen is not None and (seen.succeeded if init else not should_restart(podspec.restart_policy(pod), seen)):
        return Decision(Next.DONE)
    if init and seen is not None and podspec.restart_policy(pod) == "Never":
        return Decision(Next.DONE)
    return _waiting_for_time(name, seen, view, now) or _waiting_for_image(container, seen, view, now)


def _decide_alive(container: Object, seen: ContainerSeen, view: View) -> Decision:
    if seen.phase == "created":
        return Decision(Next.START, attempt=seen.attempt)
    probed = view.probes.get(seen.name)
    if attempt_key(seen.name, seen.attempt) in view.memory.kills or (probed is not None and probed.failed):
        message = probed.message if probed else ""
        return Decision(Next.KILL, message=message, attempt=seen.attempt)
    if _hook(view, seen.name, seen.attempt, "preStop") is not None:  # what has begun to stop is stopped
        return Decision(Next.KILL, attempt=seen.attempt)
    if podspec.hook_of(container, "postStart") is not None:
        hook = _hook(view, seen.name, seen.attempt, "postStart")
        if hook is None:
            return Decision(Next.HOOK, attempt=seen.attempt)
        if hook.failed:
            return Decision(Next.KILL, message="FailedPostStartHook", attempt=seen.attempt)
    return Decision(Next.KEEP, attempt=seen.attempt)


def post_start_pending(container: Object, seen: ContainerSeen, view: View) -> bool:
    """Whether the container has not started in the eyes of its users: its postStart is not over."""
    if podspec.hook_of(container, "postStart") is None:
        return False
    hook = _hook(view, seen.name, seen.attempt, "postStart")
    return hook is None or not hook.ended_at


def _hook(view: View, name: str, attempt: int, kind: str) -> Hook | None:
    return view.hooks.get(hook_key(name, attempt, kind))


def _waiting_for_time(name: str, seen: ContainerSeen | None, view: View, now: float) -> Decision | None:
    failure = view.memory.failures.get(name)
    if failure is not None and now < failure.retry_at:
        return Decision(Next.WAIT, failure.reason, failure.message, failure.retry_at)
    if seen is None:
        return None
    at = backoff.restart_at(view.memory.crashes.get(name), seen.finished_at)
    if now >= at:
        return None
    crash = view.memory.crashes[name]
    where = "{}_{}({})".format(*_name_and_namespace(view), view.observed.uid if view.observed else "")
    message = f"back-off {_duration(crash.delay)} restarting failed container={name} pod={where}"
    return Decision(Next.WAIT, "CrashLoopBackOff", message, at)


def _waiting_for_image(container: Object, seen: ContainerSeen | None, view: View, now: float) -> Decision:
    name = str(container["name"])
    newest = max(view.memory.attempts.get(name, -1), seen.attempt if seen else -1)
    image = view.images.get(name)
    if image is None:
        return Decision(Next.PULL, "ContainerCreating", attempt=newest + 1)
    if image.phase == "ready":
        return Decision(Next.CREATE, "ContainerCreating", attempt=newest + 1)
    if image.phase == "pulling":
        return Decision(Next.WAIT, "ContainerCreating", attempt=newest + 1)
    if now >= image.retry_at:
        return Decision(Next.PULL, image.reason, image.message, attempt=newest + 1)
    shown_until = image.failed_at + PULL_FAILURE_SHOWN
    if image.reason == "ErrImagePull" and now >= shown_until:
        message = f'Back-off pulling image "{container["image"]}": ErrImagePull: {image.message}'
        return Decision(Next.WAIT, "ImagePullBackOff", message, image.retry_at)
    wake_at = min(shown_until, image.retry_at) if image.reason == "ErrImagePull" else image.retry_at
    return Decision(Next.WAIT, image.reason, image.message, wake_at)


def _plan_sandbox(pod: Object, view: View, now: float) -> Plan:
    failure = view.memory.failures.get(SANDBOX)
    if failure is not None and now < failure.retry_at:
        return Plan((), failure.retry_at)
    # The images that are needed first are fetched while the sandbox is made.
    first = podspec.init_containers(pod)[:1] or podspec.containers(pod)
    pulls = tuple(PullImage(str(entry["name"])) for entry in first if view.images.get(entry["name"]) is None)
    if view.observed is not None:
        return Plan((StopPod(), RemovePod(), *pulls, EnsureSandbox()))
    return Plan((*pulls, EnsureSandbox()))


def _plan_containers(pod: Object, view: View, now: float) -> Plan:
    actions: list[Action] = []
    wake_at: float | None = None
    if is_initialized(pod, view):
        due = [(container, False) for container in podspec.containers(pod)]
    else:
        due = [(_next_init(pod, view), True)]
    for container, init in due:
        decision = decide(pod, container, view, now, init=init)
        step, wakes = _carry_out(decision, str(container["name"]), podspec.grace_seconds(pod), view, now)
        actions += step
        wake_at = _earlier(_earlier(wake_at, decision.wake_at), wakes)
    return Plan((*actions, *_old_attempts(view)), wake_at)


def _next_init(pod: Object, view: View) -> Object:
    for container in podspec.init_containers(pod):
        seen = current(view, container["name"], init=True)
        if seen is None or not seen.succeeded:
            return container
    raise AssertionError("a pod that is not initialized has an init container that has not succeeded")


def _carry_out(
    decision: Decision, name: str, grace: float, view: View, now: float
) -> tuple[list[Action], float | None]:
    match decision.next:
        case Next.PULL:
            return [PullImage(name)], None
        case Next.CREATE:
            return [CreateContainer(name, decision.attempt), StartContainer(name, decision.attempt)], None
        case Next.START:
            return [StartContainer(name, decision.attempt)], None
        case Next.HOOK:
            return [RunHook(name, decision.attempt, "postStart", POST_START_LIMIT)], None
        case Next.KILL:
            return _kill(name, decision.attempt, grace, view, now, decision.message)
        case _:
            return [], None


def _kill(
    name: str, attempt: int, grace: float, view: View, now: float, message: str = ""
) -> tuple[list[Action], float | None]:
    """preStop, SIGTERM; SIGKILL once the grace, counted from the first of them, is over."""
    kill = view.memory.kills.get(attempt_key(name, attempt))
    if kill is None and grace > 0 and _has_pre_stop(view, name, attempt):
        hook = _hook(view, name, attempt, "preStop")
        if hook is None:
            return [RunHook(name, attempt, "preStop", grace, message)], now + grace
        if not hook.ended_at and now < hook.at + grace:
            return [], hook.at + grace
        grace = max(grace - ((hook.ended_at or now) - hook.at), LEAST_GRACE)
    if kill is None:
        return [KillContainer(name, attempt, max(grace, 0.0), message)], now + grace if grace > 0 else None
    deadline = min(kill.deadline, kill.at + grace)
    if kill.forced:
        return [], None
    if now >= deadline:
        return [KillContainer(name, attempt, 0.0, message)], None
    return [], deadline


def _has_pre_stop(view: View, name: str, attempt: int) -> bool:
    container = podspec.container_named(view.pod, name) if view.pod is not None else None
    seen = view.observed.newest(name) if view.observed else None
    runs = seen is not None and seen.attempt == attempt and seen.phase == "running"
    return runs and podspec.hook_of(container, "preStop") is not None


def _kill_all(view: View, grace: float, now: float) -> Plan:
    actions: list[Action] = []
    wake_at: float | None = None
    for seen in _alive(view):
        step, wakes = _kill(seen.name, seen.attempt, grace, view, now)
        actions += step
        wake_at = _earlier(wake_at, wakes)
    return Plan(tuple(actions), wake_at)


def _plan_termination(pod: Object, view: View, now: float) -> Plan:
    if _alive(view):
        killing = _kill_all(view, podspec.grace_seconds(pod), now)
        ready = podspec.condition(pod, "Ready")
        if killing.actions and ready is not None and ready.get("status") == "True":
            # Nobody may be sent to a pod that is about to get its SIGTERM.
            return Plan((SetStatus(), *killing.actions), killing.wake_at)
        return killing
    if view.observed is not None:
        return Plan((StopPod(), SetStatus(), RemovePod(), DeletePod()))
    return Plan((DeletePod(),))


def _plan_finished(view: View) -> Plan:
    if view.observed is None:
        return Plan()
    if _alive(view):  # told finished by somebody else: what still runs has no claim to run
        return Plan(
            tuple(KillContainer(seen.name, seen.attempt, 0.0) for seen in _alive(view) if not _forced(view, seen))
        )
    return Plan((StopPod(),)) if view.observed.alive else Plan()


def _plan_gone(view: View, now: float) -> Plan:
    if view.observed is None:
        return Plan()
    if _alive(view):
        return _kill_all(view, FORCED_GRACE, now)
    return Plan((StopPod(), RemovePod(forget=True)))


def _old_attempts(view: View) -> list[Action]:
    if view.observed is None:
        return []
    return [
        RemoveContainer(seen.name, seen.attempt)
        for seen in view.observed.containers
        if not seen.alive and seen.attempt <= _newest_attempt(view, seen.name) - KEPT_ATTEMPTS
    ]


def _newest_attempt(view: View, name: str) -> int:
    newest = view.observed.newest(name) if view.observed else None
    return newest.attempt if newest else -1


def _sandbox_alive(view: View) -> bool:
    return view.observed is not None and view.observed.alive


def _alive(view: View) -> list[ContainerSeen]:
    if view.observed is None or not view.observed.alive:
        return []
    return [seen for seen in view.observed.containers if seen.alive]


def _forced(view: View, seen: ContainerSeen) -> bool:
    kill = view.memory.kills.get(attempt_key(seen.name, seen.attempt))
    return kill is not None and kill.forced


def _earlier(left: float | None, right: float | None) -> float | None:
    if left is None or right is None:
        return right if left is None else left
    return min(left, right)


def _name_and_namespace(view: View) -> tuple[str, str]:
    if view.pod is None:
        return "", ""
    namespace, name = podspec.name_of(view.pod)
    return name, namespace


def _duration(seconds: float) -> str:
    """Go's way: 10s, 1m20s, 5m0s."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
