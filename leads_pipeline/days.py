"""India's calendar: the zone, days and their borders. Every timestamp inside the program is zone-aware."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

IST = ZoneInfo("Asia/Kolkata")
ONE_DAY = timedelta(days=1)


def utc_now() -> datetime:
    """Return this machine's wall clock in UTC."""
    return datetime.now(UTC)


def day_start(day: date) -> datetime:
    """Return the day's first instant in India (00:00:00 IST)."""
    return datetime.combine(day, time.min, tzinfo=IST)


def day_end(day: date) -> datetime:
    """Return the first instant after the day in India (the next 00:00:00 IST)."""
    return day_start(day + ONE_DAY)


def day_of(moment: datetime) -> date:
    """Return the Asia/Kolkata calendar day that a zone-aware moment lies in."""
    return moment.astimezone(IST).date()


def days_between(first: date, last: date) -> list[date]:
    """Return every day from first to last, both included."""
    return list(each_day(first, last + ONE_DAY))


def each_day(first: date, end: date) -> Iterator[date]:
    """Yield the days of the half-open range [first, end)."""
    day = first
    while day < end:
        yield day
        day += ONE_DAY


def contiguous_ranges(days: list[date]) -> list[tuple[date, date]]:
    """Return the (first, last) pairs, both included, of the runs of neighbouring days."""
    ranges: list[tuple[date, date]] = []
    for day in sorted(set(days)):
        if ranges and day == ranges[-1][1] + ONE_DAY:
            ranges[-1] = (ranges[-1][0], day)
        else:
            ranges.append((day, day))
    return ranges
