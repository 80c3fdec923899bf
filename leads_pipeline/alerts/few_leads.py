"""Whether the last days brought improbably few leads, judged by the account's own weeks before. Pure arithmetic.

Counts of leads vary more than a Poisson law says, so its tail is widened by the dispersion that the history shows,
and by how little a few weeks tell of the mean (a negative binomial of the same mean and variance).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from leads_pipeline.days import ONE_DAY, days_between

FEWEST_WEEKS = 4
"""Every weekday concerned must have been seen so often before anything is said."""
MOST_WEEKS = 8
SPANS = (1, 3, 7)
"""Days looked at together: a seller with few leads a day is judged by longer spans."""
IMPROBABLE = 0.0005
"""A chance below this is an alert: by simulation about one false alarm in four years."""


@dataclass(frozen=True)
class FewLeads:
    """A span of days with improbably few leads."""

    first: date
    last: date
    leads: int
    expected: float
    chance: float
    """How likely so few or fewer are by the account's own history."""


def find_few_leads(counts: Mapping[date, int], last: date) -> FewLeads | None:
    """Return the least likely span that ends with `last`, if it is improbable; None also without enough history.

    `counts` holds complete days only; a day that is not in it is not known.
    """
    found = [few for days in SPANS if (few := _judged(counts, last - (days - 1) * ONE_DAY, last)) is not None]
    least = min(found, key=lambda few: few.chance, default=None)
    return least if least is not None and least.chance < IMPROBABLE else None


def _judged(counts: Mapping[date, int], first: date, last: date) -> FewLeads | None:
    days = days_between(first, last)
    if any(day not in counts for day in days):
        return None
    histories: list[list[int]] = [_weeks_before(counts, day, first) for day in days]
    if any(len(history) < FEWEST_WEEKS for history in histories):
        return None
    means = [sum(history) / len(history) for history in histories]
    expected = sum(means)
    leads = sum(counts[day] for day in days)
    if expected <= 0 or leads >= expected:
        return None
    weeks = min(len(history) for history in histories)
    variance = _dispersion(counts, first) * expected * (1 + 1 / weeks)
    return FewLeads(first, last, leads, expected, tail(leads, expected, variance))


def _weeks_before(counts: Mapping[date, int], day: date, before: date) -> list[int]:
    """Return the counts of the same weekday in the weeks before the span."""
    earlier = [day - week * timedelta(days=7) for week in range(1, MOST_WEEKS + 2)]
    return [counts[each] for each in earlier if each < before and each in counts][:MOST_WEEKS]


def _dispersion(counts: Mapping[date, int], before: date) -> float:
    """Return variance over mean of the history around its weekday means; at least 1, the Poisson law's."""
    squares = total = 0.0
    freedom = 0
    for weekday in range(7):
        own: list[int] = [
            counts[day]
            for offset in range(1, 7 * MOST_WEEKS + 1)
            if (day := before - offset * ONE_DAY).weekday() == weekday and day in counts
        ]
        if len(own) > 1 and any(own):
            mean = sum(own) / len(own)
            squares += sum((count - mean) ** 2 for count in own) / mean
            freedom += len(own) - 1
            total += sum(own)
    return max(squares / freedom, 1.0) if freedom and total else 1.0


def tail(count: int, mean: float, variance: float) -> float:
    """Return how likely `count` or fewer are, by a law with that mean and variance (at least the mean)."""
    if variance <= mean * (1 + 1e-9):
        logs = [number * math.log(mean) - mean - math.lgamma(number + 1) for number in range(count + 1)]
    else:
        size, share = mean**2 / (variance - mean), mean / variance
        logs = [
            math.lgamma(number + size)
            - math.lgamma(size)
            - math.lgamma(number + 1)
            + size * math.log(share)
            + (number * math.log1p(-share) if number else 0.0)
            for number in range(count + 1)
        ]
    return min(math.fsum(math.exp(each) for each in logs), 1.0)
