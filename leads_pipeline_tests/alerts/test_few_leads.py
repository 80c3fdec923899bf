"""Few leads: judged by the account's own weekdays, with the spread that its weeks show; seldom wrong."""

import random
from datetime import date, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leads_pipeline.alerts.few_leads import find_few_leads, tail

SUNDAY = date(2026, 11, 1)


def weeks(per_day: int, count: int = 8, sundays: int | None = None) -> dict[date, int]:
    days = [SUNDAY - timedelta(days=offset) for offset in range(7 * count + 1)]
    return {day: sundays if sundays is not None and day.weekday() == 6 else per_day for day in days}


def test_a_tenth_of_the_usual_is_found_with_what_was_expected() -> None:
    found = find_few_leads({**weeks(30), SUNDAY: 3}, SUNDAY)

    assert found is not None
    assert (found.first, found.last, found.leads, found.expected) == (SUNDAY, SUNDAY, 3, 30.0)


def test_a_weekday_is_judged_by_its_own_kind() -> None:
    assert find_few_leads(weeks(30, sundays=1), SUNDAY) is None
    assert find_few_leads({**weeks(30, sundays=30), SUNDAY: 1}, SUNDAY) is not None


def test_a_small_seller_is_judged_by_a_longer_span() -> None:
    quiet = {SUNDAY - timedelta(days=offset): 0 for offset in range(7)}

    assert find_few_leads({**weeks(3), SUNDAY: 0}, SUNDAY) is None
    found = find_few_leads({**weeks(3), **quiet}, SUNDAY)
    assert found is not None
    assert (found.last - found.first).days == 6


def test_less_than_four_weeks_of_history_tell_nothing() -> None:
    assert find_few_leads({**weeks(50, count=3), SUNDAY: 0}, SUNDAY) is None
    assert find_few_leads({**weeks(50, count=4), SUNDAY: 0}, SUNDAY) is not None


def test_a_day_that_is_not_known_is_not_judged() -> None:
    counts = weeks(50)
    del counts[SUNDAY]

    assert find_few_leads(counts, SUNDAY) is None


def test_an_erratic_account_is_given_more_room() -> None:
    erratic = {day: 60 if day.toordinal() % 2 else 2 for day in weeks(0)}

    assert find_few_leads({**erratic, SUNDAY: 8}, SUNDAY) is None
    assert find_few_leads({**weeks(31), SUNDAY: 8}, SUNDAY) is not None


@pytest.mark.parametrize("mean", [4, 15])
def test_an_account_where_nothing_is_wrong_is_seldom_accused(mean: int) -> None:
    """Poisson days, the hardest case as the spread is only guessed: at most 2 alerts in two years."""
    chance = random.Random(mean)
    days = [SUNDAY + timedelta(days=offset) for offset in range(730 + 70)]
    counts = {day: _poisson(chance, mean) for day in days}
    accused = [find_few_leads(counts, day) is not None for day in days[70:]]

    assert sum(now and not before for before, now in pairwise([False, *accused])) <= 2


def _poisson(chance: random.Random, mean: float) -> int:
    """Return one draw: how many arrivals of rate `mean` fall into a unit of time."""
    count, at = 0, chance.expovariate(mean)
    while at < 1:
        count, at = count + 1, at + chance.expovariate(mean)
    return count


@given(st.integers(0, 80), st.floats(0.5, 60), st.floats(1, 6))
def test_the_tail_is_a_distribution(count: int, mean: float, spread: float) -> None:
    one, next_one = tail(count, mean, mean * spread), tail(count + 1, mean, mean * spread)

    assert 0 <= one <= next_one <= 1
    assert tail(2000, mean, mean * spread) == pytest.approx(1, abs=1e-6)
