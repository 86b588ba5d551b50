"""Times and ages as Kubernetes writes them.

Called wherever a time enters or leaves an object; nobody formats a time by hand.
"""

from datetime import UTC, datetime


def format_time(moment: datetime) -> str:
    """Write a metav1.Time: whole seconds, UTC."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def format_micro_time(moment: datetime) -> str:
    """Write a metav1.MicroTime, as leases carry it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse_time(text: str) -> datetime:
    """Read RFC 3339 with an offset or Z; raise ValueError otherwise. Nanoseconds are cut to microseconds."""
    if len(text) > 40 or len(text) < 20:
        raise ValueError(f"{text[:40]!r} is not a time: write it as 2006-01-02T15:04:05Z")
    moment = datetime.fromisoformat(_cut_fraction(text))
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone: write it as 2006-01-02T15:04:05Z")
    return moment.astimezone(UTC)


def _cut_fraction(text: str) -> str:
    dot = text.find(".")
    if dot < 0:
        return text
    end = dot + 1
    while end < len(text) and text[end].isdigit():
        end += 1
    return text[: min(end, dot + 7)] + text[end:]


def short_age(seconds: float) -> str:
    """Write a duration as kubectl's AGE column does: 45s, 5m12s, 3h, 2d5h."""
    whole = int(seconds)
    if whole < -1:
        return "<invalid>"
    if whole < 0:
        return "0s"
    minutes, hours = whole // 60, whole // 3600
    if whole < 120:
        return f"{whole}s"
    if minutes < 10:
        return _two(minutes, "m", whole % 60, "s")
    if minutes < 180:
        return f"{minutes}m"
    if hours < 8:
        return _two(hours, "h", minutes % 60, "m")
    if hours < 48:
        return f"{hours}h"
    days = hours // 24
    if hours < 24 * 8:
        return _two(days, "d", hours % 24, "h")
    if hours < 24 * 365 * 2:
        return f"{days}d"
    if hours < 24 * 365 * 8:
        return _two(days // 365, "y", days % 365, "d")
    return f"{days // 365}y"


def _two(large: int, large_unit: str, small: int, small_unit: str) -> str:
    return f"{large}{large_unit}{small}{small_unit}" if small else f"{large}{large_unit}"
