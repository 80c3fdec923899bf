"""How the commands write moments and spans of time: India's clock for people, ISO 8601 with +05:30 for machines."""

from datetime import datetime

from leads_pipeline.days import IST

_MINUTE, _HOUR, _DAY = 60, 3600, 86_400


def in_india(moment: datetime) -> str:
    """Return the zone-aware moment as the clock in India shows it."""
    return f"{moment.astimezone(IST):%Y-%m-%d %H:%M:%S} IST"


def iso(moment: datetime | None) -> str | None:
    """Return the zone-aware moment in ISO 8601 with India's offset; None for None."""
    return None if moment is None else moment.astimezone(IST).isoformat(timespec="seconds")


def ago(moment: datetime, now: datetime) -> str:
    """Return how long ago the moment was, in the largest fitting unit; moments to come say so."""
    seconds = (now - moment).total_seconds()
    return f"in {span(-seconds)}" if seconds < 0 else f"{span(seconds)} ago"


def span(seconds: float) -> str:
    """Return a length of time in the largest unit that it holds twice, or once in seconds."""
    if seconds < 2 * _MINUTE:
        return f"{seconds:.0f} s"
    if seconds < 2 * _HOUR:
        return f"{seconds / _MINUTE:.0f} min"
    if seconds < 2 * _DAY:
        return f"{seconds / _HOUR:.0f} h"
    return f"{seconds / _DAY:.0f} days"
