"""From days to the fewest windows that the API allows. Half-open IST intervals; the wire form is the version's."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from leads_pipeline.days import IST, ONE_DAY, day_end, day_of, day_start, days_between, each_day

MAX_WINDOW = timedelta(days=7)
"""The widest window of one call (contract: design 2)."""
NARROW_WINDOW = timedelta(days=6)
"""What is asked for once the API has refused 7 times 24 hours."""
REACH_DAYS = 365
"""How many days back a window may start (contract: design 2)."""
CLOCK_MARGIN = timedelta(minutes=5)
"""How far our clock and IndiaMART's may differ; also the overlap that IndiaMART advises (contract: design 7)."""


@dataclass(frozen=True, order=True)
class Span:
    """A half-open interval [start, end) of zone-aware time, of any length: what an imported answer tells of."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        if self.start.tzinfo is None or self.end.tzinfo is None:
            raise ValueError("a window's start and end need a time zone")
        if self.end <= self.start:
            raise ValueError("a window spans more than nothing")

    @property
    def days(self) -> list[date]:
        """Return the Asia/Kolkata days that the window touches."""
        return days_between(day_of(self.start), day_of(self.end - timedelta(microseconds=1)))

    def covers(self, day: date) -> bool:
        """Tell whether the window holds the whole day."""
        return self.start <= day_start(day) and day_end(day) <= self.end

    def __str__(self) -> str:
        first, last = self.days[0], self.days[-1]
        whole = self.covers(first) and self.covers(last)
        if whole:
            return f"{first}" if first == last else f"{first} to {last}"
        return f"{self.start.astimezone(IST):%Y-%m-%d %H:%M} to {self.end.astimezone(IST):%Y-%m-%d %H:%M} IST"


class Window(Span):
    """The interval that one call asks for: no wider than the API allows."""

    def __post_init__(self) -> None:
        if not timedelta(0) < self.end - self.start <= MAX_WINDOW:
            raise ValueError(f"a window spans more than nothing and at most {MAX_WINDOW.days} days")
        super().__post_init__()


def first_day_in_reach(now: datetime) -> date:
    """Return the earliest day whose start the API still serves at that moment, with the clock margin kept."""
    return day_of(now + CLOCK_MARGIN - timedelta(days=REACH_DAYS)) + ONE_DAY


def plan_windows(days: Iterable[date], now: datetime, longest: timedelta = MAX_WINDOW) -> list[Window]:
    """Return the fewest windows that hold the days, oldest first; none asks beyond now or out of reach.

    Days after today and days out of reach are left out: see `split_by_reach` to report them. Windows
    start at a day that is asked for and end after one; days between that nobody asked for may be inside,
    since a call costs the same for 7 days as for one.
    """
    now = _whole_second(now)
    wanted = sorted(set(split_by_reach(days, now).within))
    windows: list[Window] = []
    while wanted:
        first = wanted[0]
        inside = [day for day in wanted if day < first + longest]
        windows.append(Window(day_start(first), min(day_end(inside[-1]), now)))
        wanted = wanted[len(inside) :]
    return windows


def window_for_run(
    run_days: Collection[date], lacking: Collection[date], now: datetime, longest: timedelta = MAX_WINDOW
) -> Window | None:
    """Return the window of the run's one call, or None when it lacks nothing that can be asked for.

    It starts at the first of the run's days that is lacking and extends forward, also beyond the run, to the
    last lacking day that fits into 7 days. Today is asked for only if it is one of the run's days, for what
    follows midnight is not complete anyhow.
    """
    now = _whole_second(now)
    askable = set(split_by_reach(lacking, now).within)
    own = sorted(askable & set(run_days))
    if not own:
        return None
    first, today = own[0], day_of(now)
    inside = [day for day in each_day(first, first + longest) if day in askable and (day != today or day in run_days)]
    return Window(day_start(first), min(day_end(inside[-1]), now))


def _whole_second(moment: datetime) -> datetime:
    """Return the moment without fractions: on the wire a window has none, and what was not asked is not covered."""
    return moment.replace(microsecond=0)


@dataclass(frozen=True)
class Reach:
    """Days by what the API can say of them: within its reach, too old, or still to come."""

    within: tuple[date, ...]
    too_old: tuple[date, ...]
    future: tuple[date, ...]


def split_by_reach(days: Iterable[date], now: datetime) -> Reach:
    """Sort the days into those that can be asked for at that moment and those that can't."""
    ordered = sorted(set(days))
    earliest, today = first_day_in_reach(now), day_of(now)
    return Reach(
        within=tuple(day for day in ordered if earliest <= day <= today and day_start(day) < now),
        too_old=tuple(day for day in ordered if day < earliest),
        future=tuple(day for day in ordered if day > today or day_start(day) >= now),
    )
