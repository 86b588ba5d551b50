"""Carries out the actions of a plan through the runtime, the images and the API. Called by agent/syncing.py.

Each action may be repeated safely. One that fails is remembered with a time for the next try (memory.failures), told as
an event, and ends the plan: the caller looks again.
"""

import logging
import signal
import time
from collections.abc import Callable
from typing import Any

from nodeworker.agent.api import ApiClient, ApiError, pod_path
from nodeworker.agent.building import container_spec, pod_spec
from nodeworker.agent.hooks import Hooks
from nodeworker.agent.logic import actions as do
from nodeworker.agent.logic import backoff, podspec
from nodeworker.agent.logic.environment import (
    ConfigurationError,
    References,
    Surroundings,
    container_environment,
    wanted_references,
)
from nodeworker.agent.logic.observed import SANDBOX, ContainerSeen, Kill, View, attempt_key, hook_key
from nodeworker.agent.memory import MemoryStore
from nodeworker.agent.pod_addresses import PodAddresses
from nodeworker.agent.pulling import Pulling, image_id
from nodeworker.agent.recorder import Recorder
from nodeworker.agent.references import ReferencedObjects
from nodeworker.network.addresses import OutOfAddresses
from nodeworker.network.host import allow_hairpin
from nodeworker.runtime.errors import ContainerRuntimeError, NotFound, StartError
from nodeworker.runtime.oci import Bind
from nodeworker.runtime.runtime import Runtime
from nodeworker.volumes.payload import Source, config_map_source, secret_source, wanted_by_volume
from nodeworker.volumes.pod_volumes import PodVolumes, VolumeError

log = logging.getLogger(__name__)
Object = dict[str, Any]


class ActionFailed(Exception):  # noqa: N818
    """An action could not be carried out; it is remembered, the rest of the plan is void."""


class Applier:
    """One method an action."""

    def __init__(
        self,
        *,
        runtime: Runtime,
        pulling: Pulling,
        hooks: Hooks,
        memory: MemoryStore,
        volumes: PodVolumes,
        references: ReferencedObjects,
        addresses: PodAddresses,
        recorder: Recorder,
        api: ApiClient,
        surroundings: Callable[[str], Surroundings],
        service_variables: Callable[[Object], dict[str, str]],
        write_status: Callable[[str], bool],
        forget: Callable[[str], None],
    ) -> None:
        self.hooks = hooks
        self.runtime, self.pulling, self.memory, self.volumes = runtime, pulling, memory, volumes
        self.references, self.addresses, self.recorder, self.api = references, addresses, recorder, api
        self.surroundings, self.service_variables = surroundings, service_variables
        self.write_status, self.forget = write_status, forget

    def apply(self, uid: str, action: do.Action, view: View) -> None:
        """Carry out one action. Raises ActionFailed."""
        match action:
            case do.EnsureSandbox():
                self._ensure_sandbox(uid, _pod(view))
            case do.PullImage(container):
                self._pull(uid, _pod(view), container)
            case do.CreateContainer(name, attempt):
                self._create(uid, _pod(view), name, attempt, view)
            case do.StartContainer(name, attempt):
                self._start(uid, _pod(view), name, attempt)
            case do.RunHook():
                self._run_hook(uid, _pod(view), action)
            case do.KillContainer(name, attempt, grace, message):
                self._kill(uid, view, name, attempt, grace, message)
            case do.RemoveContainer(name, attempt):
                self.runtime.remove_container(uid, name, attempt)
            case do.StopPod():
                self._stop(uid, view)
            case do.RemovePod(forget):
                self._remove(uid, forget)
            case do.SetStatus():
                if not self.write_status(uid):
                    raise ActionFailed
            case do.DeletePod():
                self._delete(uid, _pod(view))

    def _fail(self, uid: str, name: str, pod: Object, reason: str, message: str, event: str) -> ActionFailed:
        previous = self.memory.get(uid).failures.get(name)
        failure = backoff.after_failure(previous, reason, message, time.time())
        self.memory.put(uid, "failures", name, failure)
        self.recorder.event(pod, event, message, warning=True, container=name)
        return ActionFailed(message)

    # The sandbox

    def _ensure_sandbox(self, uid: str, pod: Object) -> None:
        began = time.perf_counter()
        namespace, name = podspec.name_of(pod)
        spec = pod["spec"]
        try:
            network = None if spec.get("hostNetwork") else self.addresses.allocate(uid)
            address = network.address.partition("/")[0] if network else self.surroundings("").host_address
            self.memory.change(uid, address=address)
            self._prepare_volumes(uid, pod, address)
        except VolumeError as problem:
            raise self._fail(uid, SANDBOX, pod, "ContainerCreating", str(problem), "FailedMount") from problem
        except (OutOfAddresses, OSError, ApiError) as problem:
            message = f"Failed to create pod sandbox: {problem}"
            raise self._fail(uid, SANDBOX, pod, "ContainerCreating", message, "FailedCreatePodSandBox") from problem
        prepared = time.perf_counter()
        try:
            state = self.runtime.create_pod(pod_spec(pod, network))
        except (ContainerRuntimeError, OSError) as problem:
            message = f"Failed to create pod sandbox: {problem}"
            raise self._fail(uid, SANDBOX, pod, "ContainerCreating", message, "FailedCreatePodSandBox") from problem
        if network is not None:
            allow_hairpin(network.host_interface)
        self.memory.put(uid, "failures", SANDBOX, None)
        steps = [("prepare", (prepared - began) * 1000), *state.steps]
        self.recorder.steps(pod, "", 0, _timings(began, steps))
        log.info("pod %s/%s has its sandbox (%s)", namespace, name, address)

    def _prepare_volumes(self, uid: str, pod: Object, address: str) -> None:
        if not pod["spec"].get("volumes"):
            return
        self.volumes.prepare(pod, self._sources(pod), self.surroundings(address))

    def refresh_volumes(self, uid: str, pod: Object) -> None:
        """Bring the files of a running pod's volumes up to date with their objects."""
        if not pod["spec"].get("volumes"):
            return
        try:
            self._prepare_volumes(uid, pod, self.memory.get(uid).address)
        except (VolumeError, OSError, ApiError) as problem:
            self.recorder.event(pod, "FailedMount", str(problem), warning=True)

    def _sources(self, pod: Object) -> dict[tuple[str, str], Source | None]:
        namespace, _ = podspec.name_of(pod)
        sources: dict[tuple[str, str], Source | None] = {}
        for volume in pod["spec"].get("volumes") or ():
            for kind, name, _optional in wanted_by_volume(volume):
                entry = self.references.get(kind, namespace, name)
                sources[(kind, name)] = config_map_source(entry) if kind == "ConfigMap" else secret_source(entry)
        return sources

    # Images

    def _pull(self, uid: str, pod: Object, name: str) -> None:
        container = _container(pod, name)
        image, policy = str(container["image"]), str(container.get("imagePullPolicy") or "IfNotPresent")
        self.pulling.start(uid, name, image, policy)

    def settle_pulls(self, uid: str, pod: Object) -> None:
        """Wait a moment for images that are here already, and tell what is known of them all."""
        self.pulling.settle(uid)
        for container in podspec.all_containers(pod):
            name = str(container["name"])
            pull = self.pulling.peek(uid, name)
            if pull is None:
                continue
            if not pull.announced and (pull.seen.phase == "pulling" or pull.fetched):
                pull.announced = True
                self.recorder.event(pod, "Pulling", f'Pulling image "{pull.reference}"', container=name)
            self.pull_ended(pod, name)

    def pull_ended(self, pod: Object, name: str) -> None:
        """Tell how a pull has ended, once."""
        pull = self.pulling.peek(podspec.uid(pod), name)
        if pull is None or pull.told:
            return
        pull.told = True
        if pull.seen.phase == "ready":
            fetched = pull.fetched or pull.announced
            self._tell_pulled(pod, name, pull.reference, fetched, time.time() - pull.started_at)
        elif pull.seen.phase == "failed":
            self._tell_pull_failure(pod, name, pull.reference, pull.seen.reason, pull.seen.message)

    def _tell_pulled(self, pod: Object, name: str, image: str, fetched: bool, seconds: float) -> None:
        text = f'Container image "{image}" already present on machine'
        if fetched:
            text = f'Successfully pulled image "{image}" in {seconds:.3f}s'
        self.recorder.event(pod, "Pulled", text, container=name)

    def _tell_pull_failure(self, pod: Object, name: str, image: str, reason: str, message: str) -> None:
        text = f'Failed to pull image "{image}": {message}'
        event = {"InvalidImageName": "InspectFailed", "ErrImageNeverPull": "ErrImageNeverPull"}.get(reason, "Failed")
        self.recorder.event(pod, event, message if event != "Failed" else text, warning=True, container=name)

    # Containers

    def _create(self, uid: str, pod: Object, name: str, attempt: int, view: View) -> None:
        container = _container(pod, name)
        pull = self.pulling.peek(uid, name)
        if pull is None or pull.ready is None:
            raise ActionFailed(f"the image of container {name} is not ready")
        began = time.perf_counter()
        try:
            environment = self._environment(uid, pod, container)
            binds = self._binds(uid, pod, container, environment)
            spec = container_spec(pod, container, attempt, pull.ready, environment, binds)
        except (ConfigurationError, StartError) as problem:
            reason = getattr(problem, "reason", "CreateContainerConfigError")
            raise self._fail(uid, name, pod, reason, str(problem), "Failed") from problem
        except (OSError, ApiError) as problem:
            raise self._fail(uid, name, pod, "CreateContainerConfigError", str(problem), "Failed") from problem
        built = time.perf_counter()
        try:
            state = self.runtime.create_container(uid, spec)
        except ContainerRuntimeError as problem:
            raise self._not_started(uid, pod, name, attempt, problem, view, image_id(pull.ready)) from problem
        self.pulling.take(uid, name)
        self._remember_attempt(uid, name, attempt, image_id(pull.ready), view)
        self.recorder.event(pod, "Created", f"Created container: {name}", container=name)
        steps = [("build", (built - began) * 1000), *state.steps]
        self.recorder.steps(pod, name, attempt, _timings(began, steps))

    def _remember_attempt(self, uid: str, name: str, attempt: int, image: str, view: View) -> None:
        memory = self.memory.get(uid)
        ended = view.observed.newest(name) if view.observed else None
        ended = ended or memory.last.get(name)
        crashes = dict(memory.crashes)
        if ended is not None:
            crashes[name] = backoff.after_restart(memory.crashes.get(name), ended.finished_at, time.time())
        self.memory.change(
            uid,
            attempts={**memory.attempts, name: attempt},
            image_ids={**memory.image_ids, name: image},
            crashes=crashes,
            failures={key: value for key, value in memory.failures.items() if key != name},
        )

    def _start(self, uid: str, pod: Object, name: str, attempt: int) -> None:
        try:
            self.runtime.start_container(uid, name, attempt)
        except ContainerRuntimeError as problem:
            raise self._not_started(uid, pod, name, attempt, problem) from problem
        self.recorder.event(pod, "Started", f"Started container {name}", container=name)

    def _not_started(
        self,
        uid: str,
        pod: Object,
        name: str,
        attempt: int,
        problem: ContainerRuntimeError,
        view: View | None = None,
        image: str = "",
    ) -> ActionFailed:
        """An attempt that the runtime recorded as ended counts as one; what left no trace is tried again later."""
        state = self.runtime.pod(uid)
        ended = any(
            (entry.name, entry.attempt, entry.phase) == (name, attempt, "exited")
            for entry in (state.containers if state else ())
        )
        reason = getattr(problem, "reason", "")
        if ended and reason != "CreateContainerConfigError":
            self.recorder.event(pod, "Failed", f"Error: {problem}", warning=True, container=name)
            if view is not None:
                self.pulling.take(uid, name)
                self._remember_attempt(uid, name, attempt, image, view)
            return ActionFailed(str(problem))
        self._discard(uid, name, attempt)
        reason = reason if reason == "CreateContainerConfigError" else "RunContainerError"
        return self._fail(uid, name, pod, reason, f"Error: {problem}", "Failed")

    def _discard(self, uid: str, name: str, attempt: int) -> None:
        try:
            self.runtime.remove_container(uid, name, attempt)
        except ContainerRuntimeError as problem:
            log.warning("container %s of pod %s cannot be removed: %s", name, uid, problem)

    def _environment(self, uid: str, pod: Object, container: Object) -> list[tuple[str, str]]:
        namespace, _ = podspec.name_of(pod)
        config_maps, secrets = wanted_references([container])
        found_maps = {name: self.references.get("ConfigMap", namespace, name) for name in config_maps}
        found_secrets = {name: self.references.get("Secret", namespace, name) for name in secrets}
        references = References(
            {name: None if entry is None else dict(entry.get("data") or {}) for name, entry in found_maps.items()},
            {
                name: None if (source := secret_source(entry)) is None else dict(source.data)
                for name, entry in found_secrets.items()
            },
        )
        surroundings = self.surroundings(self.memory.get(uid).address)
        return container_environment(pod, container, references, surroundings, self.service_variables(pod))

    def _binds(self, uid: str, pod: Object, container: Object, environment: list[tuple[str, str]]) -> list[Bind]:
        volumes = {volume["name"]: volume for volume in pod["spec"].get("volumes") or ()}
        binds = []
        for index, entry in enumerate(container.get("volumeMounts") or ()):
            if entry["name"] not in volumes:
                raise ConfigurationError(
                    f'volumeMounts[{index}] names the volume "{entry["name"]}", which is not there'
                )
            sub_path = self._sub_path(entry, environment)
            source = self.volumes.mount_source(uid, str(container["name"]), index, entry, sub_path)
            volume = volumes[entry["name"]]
            generated = any(kind in volume for kind in ("configMap", "secret", "projected", "downwardAPI"))
            binds.append(Bind(source, str(entry["mountPath"]), bool(entry.get("readOnly")) or generated))
        return binds

    @staticmethod
    def _sub_path(entry: Object, environment: list[tuple[str, str]]) -> str:
        from_variables = entry.get("subPathExpr")
        if not from_variables:
            return str(entry.get("subPath") or "")
        known = dict(environment)
        text = str(from_variables)
        for name, value in known.items():
            text = text.replace(f"$({name})", value)
        return text

    def _run_hook(self, uid: str, pod: Object, hook: do.RunHook) -> None:
        if hook.kind == "preStop":
            self.recorder.event(pod, "Killing", hook.message or f"Stopping container {hook.name}", container=hook.name)
        begun = self.hooks.start(pod, _container(pod, hook.name), hook.attempt, hook.kind, hook.timeout)
        self.memory.put(uid, "hooks", hook_key(hook.name, hook.attempt, hook.kind), begun)
        self.memory.flush(uid)  # an agent that dies here does not run it once more

    def _kill(self, uid: str, view: View, name: str, attempt: int, grace: float, message: str) -> None:
        now = time.time()
        kills = self.memory.get(uid).kills
        key = attempt_key(name, attempt)
        forced = grace <= 0
        told = hook_key(name, attempt, "preStop") in view.hooks
        if view.pod is not None and key not in kills and not told:
            text = message or f"Stopping container {name}"
            self.recorder.event(dict(view.pod), "Killing", text, container=name)
        self.memory.put(uid, "kills", key, Kill(kills[key].at if key in kills else now, now + grace, forced))
        # On disk before the signal: an agent that dies here must not grant the process a second grace period.
        self.memory.flush(uid)
        try:
            self.runtime.signal_container(uid, name, attempt, signal.SIGKILL if forced else signal.SIGTERM)
        except NotFound:
            log.debug("container %s of pod %s had ended", name, uid)

    # The end

    def _stop(self, uid: str, view: View) -> None:
        self.runtime.stop_pod(uid)
        self._remember_ends(uid)
        self.addresses.release(uid)

    def _remember_ends(self, uid: str) -> None:
        """Keep what the status still has to tell when the runtime's files are gone."""
        state = self.runtime.pod(uid)
        if state is None:
            return
        last = dict(self.memory.get(uid).last)
        for container in sorted(state.containers, key=lambda entry: entry.attempt):
            if container.phase == "exited":
                last[container.name] = seen_container(container)
        self.memory.change(uid, last=last)

    def _remove(self, uid: str, forget: bool) -> None:
        self.runtime.remove_pod(uid)
        self.addresses.release(uid)
        if forget:
            self.forget(uid)

    def _delete(self, uid: str, pod: Object) -> None:
        namespace, name = podspec.name_of(pod)
        self.volumes.remove(uid)
        body = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "gracePeriodSeconds": 0,
            "preconditions": {"uid": uid},
        }
        try:
            self.api.call("DELETE", pod_path(namespace, name), body)
        except ApiError as problem:
            if problem.code not in (404, 409):  # 409: the name has a new owner already
                raise
        log.info("pod %s/%s is gone", namespace, name)


def seen_container(state: Any) -> ContainerSeen:
    """The runtime's state of an attempt as the plan sees it."""
    return ContainerSeen(
        name=state.name,
        attempt=state.attempt,
        phase=state.phase,
        pid=state.pid or 0,
        created_at=state.created_at or 0.0,
        started_at=state.started_at or 0.0,
        finished_at=state.finished_at or 0.0,
        exit_code=state.exit_code or 0,
        signal=state.signal or 0,
        oom_killed=state.oom_killed,
        error=state.error,
        reason=state.reason,
    )


def _pod(view: View) -> Object:
    if view.pod is None:
        raise ActionFailed("the pod's object is gone")
    return dict(view.pod)


def _container(pod: Object, name: str) -> Object:
    container = podspec.container_named(pod, name)
    if container is None:
        raise ActionFailed(f"the pod has no container {name}")
    return dict(container)


def _timings(began: float, steps: list[tuple[str, float]]) -> list[dict[str, Any]]:
    """Steps with the wall-clock time at which each began."""
    moment = time.time() - (time.perf_counter() - began)
    result = []
    for name, milliseconds in steps:
        result.append({"name": name, "started": moment, "milliseconds": round(milliseconds, 3)})
        moment += milliseconds / 1000
    return result
