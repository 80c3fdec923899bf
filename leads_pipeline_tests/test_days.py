from datetime import UTC, date, datetime
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from leads_pipeline.days import contiguous_ranges, day_end, day_of, day_start, days_between
from leads_pipeline_tests.support import ist

DAYS = st.dates(date(2000, 1, 1), date(2100, 1, 1))


def test_a_day_begins_at_midnight_in_india() -> None:
    assert day_start(date(2026, 3, 2)) == datetime(2026, 3, 1, 18, 30, tzinfo=UTC)
    assert day_end(date(2026, 3, 2)) == ist("2026-03-03 00:00:00")


def test_the_last_second_of_a_day_belongs_to_it_and_the_next_does_not() -> None:
    assert day_of(datetime(2026, 3, 2, 18, 29, 59, tzinfo=UTC)) == date(2026, 3, 2)
    assert day_of(datetime(2026, 3, 2, 18, 30, tzinfo=UTC)) == date(2026, 3, 3)


@given(DAYS)
def test_both_ends_of_a_day_agree_with_the_day_that_moments_lie_in(day: date) -> None:
    assert day_of(day_start(day)) == day
    assert day_of(day_end(day)) > day


@given(st.sets(st.dates(date(2026, 1, 1), date(2026, 2, 1))))
def test_ranges_hold_exactly_the_days_and_never_touch(days: set[date]) -> None:
    ranges = contiguous_ranges(list(days))
    assert [day for first, last in ranges for day in days_between(first, last)] == sorted(days)
    assert all((later[0] - earlier[1]).days > 1 for earlier, later in pairwise(ranges))
