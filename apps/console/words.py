"""States as colour class and word, and the sentences that say why: what the lists, the pages and the overview print.

A state class is one of healthy, progress, pending, failed, leaving, done, unknown; the style sheet gives each a colour
and a shape, the word comes from Kubernetes. Pure functions of an object and the time.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _

from nodeworker.wire.podstatus import is_pod_ready, ready_count, restarts, status_word

Object = Mapping[str, Any]

_PROGRESS = {"ContainerCreating", "PodInitializing"}
_FAILED_WORDS = {
    "Error",
    "OOMKilled",
    "Failed",
    "CrashLoopBackOff",
    "ErrImagePull",
    "ImagePullBackOff",
    "ErrImageNeverPull",
    "InvalidImageName",
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
    "ContainerCannotRun",
    "DeadlineExceeded",
    "Evicted",
    "StartError",
}
_SIGNALS = {
    1: "SIGHUP",
    2: "SIGINT",
    3: "SIGQUIT",
    4: "SIGILL",
    6: "SIGABRT",
    7: "SIGBUS",
    8: "SIGFPE",
    9: "SIGKILL",
    11: "SIGSEGV",
    13: "SIGPIPE",
    15: "SIGTERM",
}


@dataclass(frozen=True)
class State:
    """A colour class with its word, and the reason in a few words where one is known."""

    look: str
    word: str
    note: str = ""

    def cell(self) -> list[str]:
        """The state as a list cell carries it."""
        return [self.look, self.word, self.note] if self.note else [self.look, self.word]


@dataclass(frozen=True)
class Explanation:
    """Why an object is not as it should be: a sentence, what was said about it, and what to do."""

    look: str
    sentence: str
    detail: str = ""
    advice: str = ""


def pod_state(pod: Object, now: datetime) -> State:
    """kubectl's status word with its colour; running but not ready is never green."""
    word = status_word(dict(pod), now)
    if word == "Terminating":
        return State("leaving", word)
    if word == "Running":
        return State("healthy", word) if is_pod_ready(dict(pod)) else State("pending", word, _("not ready"))
    if word in ("Completed", "Succeeded"):
        return State("done", word)
    if word in ("Pending", "NotReady", "SchedulingGated"):
        return State("pending", word)
    if word in _PROGRESS or (word.startswith("Init:") and word[5:6].isdigit()):
        return State("progress", word)
    if word.removeprefix("Init:") in _FAILED_WORDS or word.removeprefix("Init:").startswith(("ExitCode:", "Signal:")):
        return State("failed", word)
    return State("unknown", word)


def condition(object_: Object, kind: str) -> Object:
    """The condition of that type, or an empty one."""
    for entry in object_.get("status", {}).get("conditions") or ():
        if entry.get("type") == kind:
            return dict(entry)
    return {}


def deployment_state(deployment: Object) -> State:
    """One word for a deployment: Healthy, Deploying, Degraded, Paused, Scaled down, Failed."""
    spec, status = deployment.get("spec", {}), deployment.get("status", {})
    desired = int(spec.get("replicas", 1))
    updated, total, available = (int(status.get(f, 0)) for f in ("updatedReplicas", "replicas", "availableReplicas"))
    progressing = condition(deployment, "Progressing")
    if deployment["metadata"].get("deletionTimestamp"):
        return State("leaving", "Terminating")
    if spec.get("paused"):
        return State("pending", "Paused")
    if progressing.get("reason") == "ProgressDeadlineExceeded":
        return State("failed", "Failed", _("no progress within its deadline"))
    if condition(deployment, "ReplicaFailure").get("status") == "True":
        return State("failed", "Degraded", _("pods cannot be created"))
    if int(status.get("observedGeneration", 0)) < int(deployment["metadata"].get("generation", 0)):
        return State("progress", "Deploying")
    if desired == 0 and total == 0:
        return State("done", "Scaled down")
    if updated < desired or total > updated:
        return State(
            "progress", "Deploying", _("%(updated)s of %(desired)s updated") % {"updated": updated, "desired": desired}
        )
    if available >= desired:
        return State("healthy", "Healthy")
    if progressing.get("reason") == "NewReplicaSetAvailable":
        return State(
            "failed" if available == 0 else "pending",
            "Degraded",
            _("%(available)s of %(desired)s available") % {"available": available, "desired": desired},
        )
    return State(
        "progress",
        "Deploying",
        _("%(available)s of %(desired)s available") % {"available": available, "desired": desired},
    )


def replica_set_state(replica_set: Object) -> State:
    """Healthy when all replicas that are wanted are ready."""
    desired = int(replica_set.get("spec", {}).get("replicas", 1))
    ready = int(replica_set.get("status", {}).get("readyReplicas", 0))
    if desired == 0:
        return State("done", "Scaled down")
    return State("healthy", "Healthy") if ready >= desired else State("progress", "Progressing", f"{ready}/{desired}")


def node_state(node: Object) -> State:
    """kubectl's word for a node: Ready, NotReady, Unknown, with SchedulingDisabled when cordoned."""
    ready = condition(node, "Ready").get("status")
    word = {"True": "Ready", "False": "NotReady"}.get(str(ready), "Unknown")
    if node.get("spec", {}).get("unschedulable"):
        return State("pending" if word == "Ready" else "failed", f"{word},SchedulingDisabled")
    return State({"Ready": "healthy", "NotReady": "failed"}.get(word, "unknown"), word)


def namespace_state(namespace: Object) -> State:
    """Active or Terminating."""
    phase = namespace.get("status", {}).get("phase", "Active")
    return State("healthy" if phase == "Active" else "leaving", phase)


def event_state(event: Object) -> State:
    """Normal events are quiet, warnings are not."""
    return State("pending", "Warning") if event.get("type") == "Warning" else State("normal", "Normal")


def exit_sentence(code: int, signal: int = 0, reason: str = "") -> str:
    """What an exit code means, for someone who has never looked one up."""
    if reason == "OOMKilled":
        return _("The kernel killed it because it used more memory than its limit allows (OOMKilled).")
    number = signal or (code - 128 if 128 < code < 160 else 0)
    if number:
        name = _SIGNALS.get(number, _("signal %s") % number)
        if number == 9:
            return (
                _("It was killed (%s): by hand, by the kernel, or because it did not end within its grace period.")
                % name
            )
        if number == 15:
            return _("It was asked to stop (%s) and ended.") % name
        if number == 11:
            return _("It crashed: it touched memory that is not its own (%s).") % name
        return _("It was ended by %s.") % name
    meaning = {
        0: _("It ended normally (exit code 0)."),
        1: _("It ended with an error (exit code 1); its log says more."),
        2: _("It ended with exit code 2, which usually means that it was called with wrong arguments."),
        126: _("Its command was found but could not be executed (exit code 126)."),
        127: _("Its command was not found in the image (exit code 127)."),
    }
    return meaning.get(code, _("It ended with exit code %s; its log says more.") % code)


def explain_pod(pod: Object, now: datetime) -> Explanation | None:
    """Why this pod is not simply running; None when there is nothing to explain."""
    if pod["metadata"].get("deletionTimestamp"):
        seconds = pod["metadata"].get("deletionGracePeriodSeconds", 30)
        return Explanation(
            "leaving", _("It is being stopped."), _("Its processes have %s seconds to end by themselves.") % seconds
        )
    status = pod.get("status", {})
    scheduled = condition(pod, "PodScheduled")
    if not pod.get("spec", {}).get("nodeName"):
        if scheduled.get("status") == "False":
            return Explanation(
                "pending",
                _("No node can take it at present."),
                str(scheduled.get("message", "")),
                _("The table of nodes below says what each one lacks."),
            )
        return Explanation("pending", _("It waits for the scheduler to choose a node."))
    for entry in _container_statuses(pod):
        found = _explain_container(pod, entry)
        if found:
            return found
    if status.get("phase") == "Failed":
        return Explanation("failed", _("It failed."), str(status.get("message") or status.get("reason") or ""))
    if status.get("phase") == "Pending":
        return Explanation("progress", _("Its containers are being made ready on %s.") % pod["spec"]["nodeName"])
    if status.get("phase") == "Running" and not is_pod_ready(dict(pod)):
        ready, total = ready_count(dict(pod))
        detail = str(condition(pod, "Ready").get("message", ""))
        return Explanation(
            "pending",
            _("It runs, but %(ready)s of %(total)s containers are ready, so no Service sends it traffic.")
            % {"ready": ready, "total": total},
            detail,
        )
    return None


def _container_statuses(pod: Object) -> list[Object]:
    status = pod.get("status", {})
    return [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]


def _explain_container(pod: Object, entry: Object) -> Explanation | None:
    state = entry.get("state") or {}
    name = entry.get("name", "")
    waiting = state.get("waiting") or {}
    reason, message = str(waiting.get("reason", "")), str(waiting.get("message", ""))
    last = (entry.get("lastState") or {}).get("terminated") or {}
    if reason in ("ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName"):
        return Explanation(
            "failed",
            _("The image %s could not be fetched.") % entry.get("image", ""),
            message,
            _("Check the name, or import the image under Images."),
        )
    if reason == "CrashLoopBackOff":
        return _explain_crash_loop(name, last, message)
    if reason in _FAILED_WORDS:
        return Explanation(
            "failed", _("The container %(name)s cannot start (%(reason)s).") % {"name": name, "reason": reason}, message
        )
    ended = state.get("terminated") or {}
    if ended and (int(ended.get("exitCode", 0)) != 0 or ended.get("reason") == "OOMKilled"):
        said = exit_sentence(int(ended.get("exitCode", 0)), int(ended.get("signal", 0)), str(ended.get("reason", "")))
        return Explanation("failed", _("The container %s ended.") % name, f"{said} {ended.get('message', '')}".strip())
    return None


def _explain_crash_loop(name: str, last: Object, message: str) -> Explanation:
    sentence = _("The container %s ends again and again; it is started anew after a pause that grows to five minutes.")
    said = exit_sentence(int(last.get("exitCode", 0)), int(last.get("signal") or 0), str(last.get("reason", "")))
    return Explanation(
        "failed", sentence % name, said if last else message, _("The log of its previous run usually says why.")
    )


def ports_text(service: Object) -> str:
    """A service's ports as kubectl prints them: 80:30080/TCP."""
    parts = []
    for port in service.get("spec", {}).get("ports") or ():
        node_port = f":{port['nodePort']}" if port.get("nodePort") else ""
        parts.append(f"{port.get('port')}{node_port}/{port.get('protocol', 'TCP')}")
    return ",".join(parts) or "<none>"


def images_of(template_spec: Object) -> str:
    """The images of a pod specification, as one text."""
    return ", ".join(str(c.get("image", "")) for c in template_spec.get("containers") or ())


def total_restarts(pods: Iterable[Object]) -> int:
    """Restarts of all containers of these pods."""
    return sum(restarts(dict(pod)) for pod in pods)
