"""Probes as decisions: when the next one is due, and what a row of results means. Executed by agent/probing.py."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from nodeworker.agent.logic.observed import Object, Probed

KINDS = ("startup", "readiness", "liveness")
EARLY_DELAY = 0.05


@dataclass(frozen=True)
class Probe:
    """One probe of a container with the defaults filled in."""

    kind: str
    handler: Mapping[str, Any]
    initial_delay: float = 0.0
    period: float = 10.0
    timeout: float = 1.0
    success_threshold: int = 1
    failure_threshold: int = 3


@dataclass(frozen=True)
class ProbeState:
    """What a probe has said so far. `passing` is the verdict, counted by the thresholds."""

    passing: bool
    successes: int = 0
    failures: int = 0
    message: str = ""


def probe_of(container: Object, kind: str) -> Probe | None:
    """The probe of that kind, as the pod asks for it."""
    asked = container.get(f"{kind}Probe")
    if not asked:
        return None
    return Probe(
        kind,
        {key: asked[key] for key in ("httpGet", "tcpSocket", "exec", "grpc") if key in asked},
        initial_delay=float(asked.get("initialDelaySeconds") or 0),
        period=float(asked.get("periodSeconds") or 10),
        timeout=float(asked.get("timeoutSeconds") or 1),
        success_threshold=int(asked.get("successThreshold") or 1),
        failure_threshold=int(asked.get("failureThreshold") or 3),
    )


def initial(kind: str) -> ProbeState:
    """Before the first result a container is alive, but neither started nor ready."""
    return ProbeState(passing=kind == "liveness")


def record(probe: Probe, state: ProbeState, success: bool, message: str = "") -> ProbeState:
    """The state after one more result."""
    if success:
        successes = state.successes + 1
        return ProbeState(state.passing or successes >= probe.success_threshold, successes, 0, "")
    failures = state.failures + 1
    if failures < probe.failure_threshold:
        return replace(state, failures=failures, successes=0, message=message)
    return ProbeState(False, 0, failures, message)


def has_failed(probe: Probe, state: ProbeState) -> bool:
    """Liveness and startup: the container must be restarted."""
    return not state.passing and state.failures >= probe.failure_threshold


def first_due(probe: Probe, started_at: float, now: float) -> float:
    """When the first probe of a container runs; a readiness probe without delay at once, so that it serves soon."""
    return max(started_at + probe.initial_delay, now)


def retry_delay(probe: Probe, tries: int, ever_passed: bool) -> float:
    """Seconds until the next probe.

    A readiness or startup probe that has never passed is tried more often at first (50 ms, doubling, never longer than
    the period): a server that listens after 80 ms is ready after 150 ms, not after ten seconds.
    """
    if ever_passed or probe.kind == "liveness":
        return probe.period
    return float(min(EARLY_DELAY * 2 ** min(tries, 16), probe.period))


def counts(probe: Probe, success: bool, last_counted_at: float, now: float) -> bool:
    """Whether a result counts towards the thresholds: every success, and one failure a period."""
    return success or not last_counted_at or now - last_counted_at >= probe.period * 0.95


def verdict(container: Object, states: Mapping[str, ProbeState]) -> Probed:
    """What the probes of one running container say together."""
    startup, liveness = probe_of(container, "startup"), probe_of(container, "liveness")
    readiness = probe_of(container, "readiness")
    started = startup is None or states.get("startup", initial("startup")).passing
    ready = readiness is None or states.get("readiness", initial("readiness")).passing
    for probe in (startup, liveness):
        if probe is None or (probe.kind == "liveness" and not started):
            continue
        state = states.get(probe.kind, initial(probe.kind))
        if has_failed(probe, state):
            message = f"Container {container['name']} failed {probe.kind} probe, will be restarted"
            return Probed(started, ready, probe.kind, message)
    return Probed(started, ready)
