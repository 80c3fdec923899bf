from datetime import datetime, timedelta

import pytest

from leads_pipeline.days import IST
from leads_pipeline.report.facts import Buyers, Day, Health, Lateness, Ranking, SectionFacts
from leads_pipeline.report.wording import compared, counted, number, share, span
from leads_pipeline_tests.storage.lead_tables import DAY, day_after


def section(leads: list[int], lacking: frozenset[int] = frozenset()) -> SectionFacts:
    """Facts of days with so many leads each, of which those numbers lack; the database is of the day after."""
    days = tuple(
        Day(day_after(position), "missing" if position in lacking else "complete", {"W": count})
        for position, count in enumerate(leads)
    )
    nothing = Ranking(())
    return SectionFacts(
        name="acme",
        accounts=("acme",),
        days=days,
        hours=tuple((3,) * 24 for _ in range(7)),
        products=nothing,
        states=nothing,
        cities=nothing,
        countries=nothing,
        buyers=Buyers(),
        calls=0,
        answered_calls=0,
        lateness=Lateness((0,) * 8, (0,) * 8),
        health=Health(None),
        published_at=datetime(2026, 3, 1, 12, tzinfo=IST) + timedelta(days=len(leads)),
    )


def test_the_weekly_mean_begins_with_the_fourth_day_and_then_moves_along() -> None:
    assert section([1, 2, 3, 4, 5, 6, 7, 8]).weekly_means == (None, None, None, 2.5, 3.0, 3.5, 4.0, 5.0)


def test_days_that_lack_neither_count_in_the_mean_nor_have_one() -> None:
    means = section([4] * 5 + [0] * 4 + [4] * 5, frozenset(range(5, 9))).weekly_means

    assert means[3:5] == (4.0, 4.0)
    assert means[5:12] == (None,) * 7
    assert means[12:] == (4.0, 4.0)


def test_the_last_week_is_compared_with_the_one_before() -> None:
    assert section([2] * 7 + [3] * 7).last_weeks == (3.0, 2.0)
    assert section([2] * 7 + [3] * 7 + [0], frozenset({14})).last_weeks == (3.0, 2.0)


@pytest.mark.parametrize("facts", [section([2] * 7), section([]), section([2] * 14, frozenset(range(6)))])
def test_weeks_that_are_not_known_are_not_compared(facts: SectionFacts) -> None:
    assert facts.last_weeks is None


def test_hours_are_means_over_the_days_of_that_weekday() -> None:
    means = section([1] * 8 + [0], frozenset({8})).hourly_means  # Sunday to Sunday, and a Monday that lacks

    assert means[6][0] == 1.5
    assert means[0][0] == 3.0


def test_today_is_no_past_day() -> None:
    facts = section([1, 1])

    assert [day.day for day in facts.past_days] == [DAY, day_after(1)]
    assert facts.today == day_after(2)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0, "0"),
        (999, "999"),
        (1000, "1,000"),
        (123456, "1,23,456"),
        (12345678, "1,23,45,678"),
        (2.3, "2.3"),
        (9.96, "10"),
        (21.4, "21"),
    ],
)
def test_numbers_are_grouped_as_in_india(value: float, written: str) -> None:
    assert number(value) == written


@pytest.mark.parametrize(
    ("part", "whole", "written"),
    [
        (0, 0, "0%"),
        (0, 9, "0%"),
        (1, 3, "33%"),
        (1, 40, "2.5%"),
        (999, 1000, "99.9%"),
        (1, 9999, "under 0.1%"),
        (5, 5, "100%"),
    ],
)
def test_shares_never_round_to_nothing_or_to_all(part: int, whole: int, written: str) -> None:
    assert share(part, whole) == written


@pytest.mark.parametrize(
    ("new", "old", "words"),
    [
        (12, 10, "20% more than"),
        (8, 10, "20% fewer than"),
        (10.4, 10, "about as many as"),
        (0, 0, "as many as"),
        (3, 0, "more than"),
    ],
)
def test_weeks_are_compared_in_words(new: float, old: float, words: str) -> None:
    assert compared(new, old) == words


@pytest.mark.parametrize(
    ("seconds", "words"), [(-5, "1 min"), (90 * 60, "90 min"), (3 * 3600, "3 hours"), (86400 * 5 / 2, "2.5 days")]
)
def test_spans_take_the_largest_unit_that_fits(seconds: float, words: str) -> None:
    assert span(seconds) == words


def test_a_noun_takes_its_plural() -> None:
    assert (counted(1, "lead"), counted(0, "lead"), counted(2000, "lead")) == ("1 lead", "0 leads", "2,000 leads")
