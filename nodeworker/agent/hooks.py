"""Runs lifecycle hooks (postStart, preStop), each in a thread of its own; when and why is decided in logic/plan.py.

Called by agent/applying.py. A hook that has ended wakes the pod's sync, which finds the result in `seen`.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from nodeworker.agent.logic import podspec, probes
from nodeworker.agent.logic.observed import Hook, Object, hook_key
from nodeworker.agent.loop import LoopThread
from nodeworker.agent.probing import Probing
from nodeworker.runtime.errors import ContainerRuntimeError

Failed = Callable[[Object, str, str, str], None]  # pod, container, kind, sentence


class Hooks:
    """The hooks that run or have run since this agent started."""

    def __init__(self, loop: LoopThread, probing: Probing, wake: Callable[[str], None], failed: Failed) -> None:
        self._loop, self._probing, self._wake, self._failed = loop, probing, wake, failed
        self._lock = threading.Lock()
        self._hooks: dict[str, dict[str, Hook]] = {}

    def seen(self, uid: str, remembered: Mapping[str, Hook]) -> dict[str, Hook]:
        """What is known of the pod's hooks. One that an agent before this one began counts as ended."""
        with self._lock:
            known = dict(self._hooks.get(uid, {}))
        lost = {key: Hook(hook.at, hook.ended_at or hook.at, hook.failed) for key, hook in remembered.items()}
        return {**lost, **known}

    def start(self, pod: Object, container: Object, attempt: int, kind: str, timeout: float) -> Hook:
        """Begin a hook; returns what is to be remembered of it."""
        hook = Hook(time.time())
        uid, name = podspec.uid(pod), str(container["name"])
        self._put(uid, hook_key(name, attempt, kind), hook)
        work = (pod, container, attempt, kind, timeout, hook)
        threading.Thread(target=self._run, args=work, name=f"{kind} {name}", daemon=True).start()
        return hook

    def forget(self, uid: str) -> None:
        with self._lock:
            self._hooks.pop(uid, None)

    def _put(self, uid: str, key: str, hook: Hook) -> None:
        with self._lock:
            self._hooks.setdefault(uid, {})[key] = hook

    def _run(self, pod: Object, container: Object, attempt: int, kind: str, timeout: float, hook: Hook) -> None:
        uid, name = podspec.uid(pod), str(container["name"])
        problem = self._problem(pod, container, attempt, podspec.hook_of(container, kind) or {}, timeout)
        if problem:
            self._failed(pod, name, kind, problem)
        self._put(uid, hook_key(name, attempt, kind), Hook(hook.at, time.time(), bool(problem)))
        self._wake(uid)

    def _problem(self, pod: Object, container: Object, attempt: int, handler: Object, timeout: float) -> str:
        """Carry it out; the sentence that says why it failed, or nothing."""
        try:
            return self._carry_out(pod, container, attempt, handler, timeout)
        except TimeoutError:
            return f"it did not end within {timeout:g} s"
        except (OSError, ValueError, EOFError, asyncio.LimitOverrunError, ContainerRuntimeError) as problem:
            return str(problem) or type(problem).__name__

    def _carry_out(self, pod: Object, container: Object, attempt: int, handler: Object, timeout: float) -> str:
        target = (podspec.uid(pod), str(container["name"]), attempt)
        if "exec" in handler:
            command = [str(word) for word in handler["exec"].get("command") or ()]
            success, message = self._probing.execute(target, command, timeout)
            return "" if success else message
        if "sleep" in handler:
            threading.Event().wait(min(float(handler["sleep"].get("seconds") or 0), timeout))
            return ""
        probe = probes.Probe("hook", handler, timeout=timeout)
        # As in the kubelet any answer will do, whatever its status.
        self._loop.wait_for(self._within(timeout, self._probing.run(target, pod, container, probe)), timeout + 5)
        return ""

    @staticmethod
    async def _within(timeout: float, work: Any) -> None:
        await asyncio.wait_for(work, timeout)
