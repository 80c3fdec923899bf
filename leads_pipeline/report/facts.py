"""What the report tells of each account: counts, shares and moments, and what follows from them; no personal data."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property

from leads_pipeline.days import day_of

WEEK = 7
_FEWEST_DAYS = 4
"""A mean of a week needs so many of its days: fewer say little, and more would leave gaps for every lacking day."""
COMPLETE = "complete"
UNASKED = "missing"


@dataclass(frozen=True)
class Period:
    """The days in India that the report is about, both included."""

    first: date
    last: date

    @property
    def days(self) -> int:
        """Return how many days they are; none if they end before they begin."""
        return max(0, (self.last - self.first).days + 1)

    def within(self, other: "Period") -> "Period":
        """Return the days that both have."""
        return Period(max(self.first, other.first), min(self.last, other.last))


@dataclass(frozen=True)
class Day:
    """One day in India."""

    day: date
    state: str
    """The state in coverage; of several accounts the worst."""
    by_type: Mapping[str, int]
    """Leads by query type; a lead without one counts under the empty text."""

    @property
    def leads(self) -> int:
        """Return the day's leads."""
        return sum(self.by_type.values())

    @property
    def is_complete(self) -> bool:
        """Tell whether all leads of the day are there."""
        return self.state == COMPLETE


@dataclass(frozen=True)
class Counted:
    """Leads of one product or place."""

    label: str
    leads: int


@dataclass(frozen=True)
class Ranking:
    """The products or places with the most leads."""

    top: tuple[Counted, ...]
    """Most leads first."""
    labels: int = 0
    """How many different ones there are."""
    leads: int = 0
    """Leads of all of them."""
    unnamed: int = 0
    """Leads that name none."""

    @property
    def others(self) -> int:
        """Return the leads of those that are not at the top."""
        return self.leads - sum(one.leads for one in self.top)


@dataclass(frozen=True)
class Buyers:
    """Who asks: how many, and how often they come back."""

    leads: int = 0
    """Leads whose buyer is known."""
    repeat_leads: int = 0
    """Leads of buyers who had asked before, within the period or earlier."""
    by_enquiries: tuple[Counted, ...] = ()
    """Buyers (as `leads`) by the number of enquiries in the period."""

    @property
    def buyers(self) -> int:
        """Return the number of different buyers."""
        return sum(one.leads for one in self.by_enquiries)


@dataclass(frozen=True)
class Lateness:
    """How long after the enquiry leads were first seen."""

    as_they_went: tuple[int, ...]
    """Leads per span of WAITS, of days that were asked for as they went."""
    afterwards: tuple[int, ...]
    """The same of days that were first asked for completely over a day after they had ended."""
    median_seconds: float | None = None
    """Half of those as they went were seen within so many seconds; None if there are none."""
    most_seconds: float | None = None
    """Nine of ten of them were."""
    on_proven_days: int = 0
    """Leads of days that some answer proved complete."""
    late: int = 0
    """Those of them that came only after that answer."""


WAITS = ("15 minutes", "1 hour", "3 hours", "6 hours", "1 day", "2 days", "7 days", "longer")
"""The spans of lateness; queries.py has their ends in seconds."""


@dataclass(frozen=True)
class OpenAlert:
    """Something that is wrong now."""

    account: str
    title: str
    level: str
    since: datetime


@dataclass(frozen=True)
class Health:
    """Whether the data can be relied upon."""

    last_good_call: datetime | None
    """When the newest call was sent that did its work, None if none did; of several accounts the oldest of these."""
    calls: int = 0
    """Calls in the 30 days before the database was published."""
    good_calls: int = 0
    """Those of them that did their work."""
    records: int = 0
    """Leads and quarantined records, of all days."""
    quarantined: int = 0
    """Records that cannot be leads, of all days."""
    alerts: tuple[OpenAlert, ...] = ()


@dataclass(frozen=True)
class DeliveredTo:
    """What became of the period's leads on their way to one CRM."""

    account: str
    destination: str
    arrived: int
    late: int
    """Those of them that took longer than an hour from when the program first saw them."""
    waiting: int
    """Failed, and tried again."""
    held: int
    parked: int
    median_seconds: float | None
    """Half arrived within so many seconds after the buyer asked."""
    reasons: tuple[Counted, ...] = ()
    """Why leads did not arrive, the commonest first."""

    @property
    def leads(self) -> int:
        """Return how many leads go there."""
        return self.arrived + self.waiting + self.held + self.parked


@dataclass(frozen=True)
class SectionFacts:
    """One account, or several together."""

    name: str
    """The account's name; empty for several together."""
    accounts: tuple[str, ...]
    days: tuple[Day, ...]
    """Every day of the period, in order."""
    hours: tuple[tuple[int, ...], ...]
    """Leads by weekday, Monday first, and hour in India."""
    products: Ranking
    states: Ranking
    cities: Ranking
    countries: Ranking
    buyers: Buyers
    calls: int
    """Buyers' calls."""
    answered_calls: int
    """Those of them that lasted."""
    lateness: Lateness
    health: Health
    published_at: datetime
    """When the database was published."""
    deliveries: tuple[DeliveredTo, ...] = ()
    """By account and CRM; empty if no leads are delivered."""

    @property
    def today(self) -> date:
        """Return the day in India on which that was: it was not over yet."""
        return day_of(self.published_at)

    @cached_property
    def leads(self) -> int:
        """Return the period's leads."""
        return sum(day.leads for day in self.days)

    @cached_property
    def by_type(self) -> dict[str, int]:
        """Return the leads by query type, most leads first."""
        counts = Counter[str]()
        for day in self.days:
            counts.update(day.by_type)
        return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))

    @cached_property
    def past_days(self) -> tuple[Day, ...]:
        """Return the days that were over when the database was published."""
        return tuple(day for day in self.days if day.day < self.today)

    @cached_property
    def weekly_means(self) -> tuple[float | None, ...]:
        """Return for each complete day the mean leads of the complete days among it and the 6 before.

        None for too few of them, and for a day that is not complete.
        """
        return tuple(
            mean_of_week(self.days[max(0, end - WEEK) : end]) if self.days[end - 1].is_complete else None
            for end in range(1, len(self.days) + 1)
        )

    @cached_property
    def last_weeks(self) -> tuple[float, float] | None:
        """Return the mean leads a day of the last 7 days and of the 7 before; None if either is not known."""
        complete = [number for number, day in enumerate(self.days, 1) if day.is_complete]
        if not complete or complete[-1] <= WEEK:
            return None
        end = complete[-1]
        last, before = self.weekly_means[end - 1], self.weekly_means[end - 1 - WEEK]
        return None if last is None or before is None else (last, before)

    @cached_property
    def hourly_means(self) -> tuple[tuple[float, ...], ...]:
        """Return the leads of an average hour of each weekday, over the days that have leads or are complete."""
        weekdays = Counter(day.day.weekday() for day in self.days if day.is_complete or day.leads)
        return tuple(
            tuple(leads / max(1, weekdays[weekday]) for leads in row) for weekday, row in enumerate(self.hours)
        )


@dataclass(frozen=True)
class ReportFacts:
    """All that the page tells."""

    version: int
    """Version of the published database."""
    published_at: datetime
    period: Period
    sections: tuple[SectionFacts, ...]
    """Of several accounts first all of them together."""


def mean_of_week(days: Sequence[Day]) -> float | None:
    """Return the mean leads of the complete ones among the days; None if they are too few to say."""
    complete = [day.leads for day in days if day.is_complete]
    return sum(complete) / len(complete) if len(complete) >= _FEWEST_DAYS else None


def days_by_state(days: Iterable[Day]) -> dict[str, int]:
    """Return how many days are in each state, complete ones first, then most days first."""
    counts = Counter(day.state for day in days)
    return dict(sorted(counts.items(), key=lambda item: (item[0] != COMPLETE, -item[1], item[0])))
