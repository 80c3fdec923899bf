"""Which requests the APIs accept: the times and windows they read. Pure; the keys are in `keys.py`."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from leads_pipeline.days import IST, ONE_DAY

WIDEST_WINDOW = timedelta(days=7)
FURTHEST_BACK = timedelta(days=365)

_FIRST_YEAR, _LAST_YEAR = 1900, 2999  # far from where a calendar overflows
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_TIME = r"(?P<hour>\d{2}):(?P<minute>\d{2}):(?P<second>\d{2})"
# The four forms of v2's contract and nothing else: note where the space is and where it is not.
V2_FORMATS = (
    re.compile(rf"(?P<day>\d{{2}})-(?P<month>\d{{2}})-(?P<year>\d{{4}}) {_TIME}", re.ASCII),
    re.compile(rf"(?P<day>\d{{2}})-(?P<month>[A-Za-z]{{3}})-(?P<year>\d{{4}}){_TIME}", re.ASCII),
    re.compile(r"(?P<day>\d{2})-(?P<month>[A-Za-z]{3})-(?P<year>\d{4})", re.ASCII),
    re.compile(r"(?P<day>\d{2})-(?P<month>\d{2})-(?P<year>\d{4})", re.ASCII),
)
V1_FORMATS = (V2_FORMATS[0], V2_FORMATS[2])


class Refusal(StrEnum):
    """Why the API refuses a request for good."""

    UNREADABLE_TIMES = "unreadable_times"
    TOO_WIDE = "too_wide"
    TOO_OLD = "too_old"
    KEY_INCORRECT = "key_incorrect"
    KEY_EXPIRED = "key_expired"
    KEY_REPLACED = "key_replaced"

    @property
    def is_about_the_key(self) -> bool:
        """Tell whether the key is at fault (CODE 401) rather than the times (CODE 400)."""
        return self in {Refusal.KEY_INCORRECT, Refusal.KEY_EXPIRED, Refusal.KEY_REPLACED}


@dataclass(frozen=True)
class WrittenTime:
    """A time as a request wrote it, in IST; without a time of day it stands for the whole day."""

    moment: datetime
    whole_day: bool


@dataclass(frozen=True)
class Window:
    """The times that a request asks for: start <= query_time < end, or <= end where the end is included."""

    start: datetime
    end: datetime
    end_included: bool = False

    @property
    def end_exclusive(self) -> datetime:
        """Return the first whole second after the window."""
        return self.end + timedelta(seconds=1) if self.end_included else self.end

    def last_week(self) -> "Window":
        """Return the last 7 days of the window, which is all that v1 answers of a wider one."""
        return replace(self, start=max(self.start, self.end - WIDEST_WINDOW))


def read_time(text: str, formats: Sequence[re.Pattern[str]] = V2_FORMATS) -> WrittenTime | None:
    """Return the time that one of the accepted forms writes, or None for anything else."""
    for pattern in formats:
        match = pattern.fullmatch(text)
        if match is None:
            continue
        parts = match.groupdict()
        if not _FIRST_YEAR <= int(parts["year"]) <= _LAST_YEAR:
            return None
        month = _month(parts["month"])
        try:
            moment = datetime(
                int(parts["year"]),
                month,
                int(parts["day"]),
                int(parts.get("hour") or 0),
                int(parts.get("minute") or 0),
                int(parts.get("second") or 0),
                tzinfo=IST,
            )
        except ValueError:
            return None
        return WrittenTime(moment, whole_day="hour" not in parts)
    return None


def read_window(
    parameters: Mapping[str, str], *, inclusive_end: bool, formats: Sequence[re.Pattern[str]] = V2_FORMATS
) -> Window | None:
    """Return the window that `start_time` and `end_time` ask for, or None where they cannot be read.

    `inclusive_end` says whether an end with a time of day includes its second (IndiaMART does not say). A date
    alone as the end means the end of that day either way.
    """
    start = read_time(parameters.get("start_time", ""), formats)
    end = read_time(parameters.get("end_time", ""), formats)
    if start is None or end is None:
        return None
    if end.whole_day:
        return Window(start.moment, end.moment + ONE_DAY)
    return Window(start.moment, end.moment, inclusive_end)


def window_refusal(window: Window, now: datetime, *, refuse_wide: bool = True) -> Refusal | None:
    """Return why a window is refused at this (zone-aware) moment, or None; an end in the future is accepted."""
    if window.end < window.start:
        return Refusal.UNREADABLE_TIMES
    if refuse_wide and window.end - window.start > WIDEST_WINDOW:
        return Refusal.TOO_WIDE
    if window.start < now - FURTHEST_BACK:
        return Refusal.TOO_OLD
    return None


def _month(text: str) -> int:
    if text.isdigit():
        return int(text)
    name = text.lower()
    return _MONTHS.index(name) + 1 if name in _MONTHS else 0
