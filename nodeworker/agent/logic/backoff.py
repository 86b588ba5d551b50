"""Restart back-off, as the kubelet's: first restart at once, then 10 s doubling to 5 min; 10 quiet minutes reset it."""

from nodeworker.agent.logic.observed import Crash, Failure

FIRST_DELAY = 10.0
LONGEST_DELAY = 300.0
RESET_AFTER = 600.0


def restart_at(crash: Crash | None, finished_at: float) -> float:
    """When a container that ended at `finished_at` may start again."""
    if crash is None or finished_at - crash.at > RESET_AFTER:
        return finished_at
    return finished_at + crash.delay


def after_restart(crash: Crash | None, finished_at: float, now: float) -> Crash:
    """What to remember once it was started again."""
    if crash is None or finished_at - crash.at > RESET_AFTER:
        return Crash(FIRST_DELAY, now)
    return Crash(min(crash.delay * 2, LONGEST_DELAY), now)


def after_failure(previous: Failure | None, reason: str, message: str, now: float) -> Failure:
    """A failure that doubles the wait of the one before it, 1 s at first."""
    wait = 1.0
    if previous is not None and previous.reason == reason:
        wait = min(max((previous.retry_at - previous.at) * 2, wait), LONGEST_DELAY)
    return Failure(reason, message, now, now + wait)


def pull_delay(failures: int) -> float:
    """How long to wait after the n-th failed pull of an image in a row."""
    return float(min(FIRST_DELAY * 2 ** (max(failures, 1) - 1), LONGEST_DELAY))
