from dataclasses import replace
from datetime import date, datetime, timedelta
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leads_pipeline.days import ONE_DAY, day_end, day_start
from leads_pipeline.indiamart.outcomes import Outcome
from leads_pipeline.indiamart.windows import Window
from leads_pipeline.storage.catalog import StoredAnswer
from leads_pipeline.storage.coverage import DayCoverage, DayState, coverage_of, proven_from_start, times_of
from leads_pipeline_tests.storage.raw_responses import stored
from leads_pipeline_tests.support import ist

DAY = date(2026, 3, 4)
NEXT = DAY + ONE_DAY
NOW = ist("2026-03-20 12:00:00")
END = day_end(DAY)


def cover(*answers: StoredAnswer, in_tables: bool = True, now: datetime = NOW) -> DayCoverage:
    [day] = coverage_of([DAY], map(times_of, answers), [DAY] if in_tables else [], now)
    return day


def part(start: datetime, end: datetime, name: str = "a") -> StoredAnswer:
    return replace(stored(DAY, DAY, name=name), window=Window(start, end))


def test_a_day_that_was_asked_for_after_it_ended_and_merged_is_complete() -> None:
    asked = END + timedelta(minutes=10)
    day = cover(stored(DAY, DAY, fetched_at=asked))
    assert day == DayCoverage(DAY, DayState.COMPLETE, True, True, END, ("a",), asked)


def test_a_day_that_nothing_is_known_of_is_missing() -> None:
    assert cover() == DayCoverage(DAY, DayState.MISSING, False, False, None, ())


def test_an_answer_for_other_days_says_nothing() -> None:
    assert cover(stored(NEXT, NEXT), stored(DAY - ONE_DAY, DAY - ONE_DAY)).state is DayState.MISSING


@pytest.mark.parametrize(("minutes", "state"), [(-60, "partial"), (0, "partial"), (4.9, "partial"), (5, "complete")])
def test_a_day_is_not_complete_before_it_ended_five_minutes_ago(minutes: float, state: str) -> None:
    asked = END + timedelta(minutes=minutes)
    assert cover(stored(DAY, DAY, fetched_at=asked)).state == state


def test_an_answer_from_before_the_days_end_tells_up_to_when_it_was_asked_for() -> None:
    asked = day_start(DAY) + timedelta(hours=15)
    day = cover(stored(DAY, DAY, fetched_at=asked))
    assert (day.fetched, day.fetched_until, day.proofs) == (False, asked, ())


def test_several_windows_together_cover_a_day() -> None:
    noon = day_start(DAY) + timedelta(hours=12)
    morning, evening = part(day_start(DAY), noon, "a"), part(noon, END, "b")
    assert cover(morning).state is DayState.PARTIAL
    assert cover(evening).fetched_until is None
    for order in permutations([morning, evening]):
        assert cover(*order).state is DayState.COMPLETE


def test_a_day_was_first_complete_when_the_last_needed_answer_came() -> None:
    noon = day_start(DAY) + timedelta(hours=12)
    times = [END + timedelta(hours=hours) for hours in (1, 2, 3)]
    evening = replace(part(noon, END, "a"), fetched_at=times[0], proven_until=times[0])
    morning = replace(part(day_start(DAY), noon, "b"), fetched_at=times[1], proven_until=times[1])
    again = stored(DAY, DAY, name="c", fetched_at=times[2])
    assert cover(evening).first_complete_at is None
    assert cover(evening, morning, again).first_complete_at == times[1]


def test_a_gap_of_a_second_between_windows_is_a_gap() -> None:
    noon = day_start(DAY) + timedelta(hours=12)
    day = cover(part(day_start(DAY), noon, "a"), part(noon + timedelta(seconds=1), END, "b"))
    assert (day.state, day.fetched_until) == (DayState.PARTIAL, noon)


def test_a_day_is_complete_only_when_all_answers_that_prove_it_are_merged() -> None:
    day = cover(stored(DAY, DAY), stored(DAY, NEXT, merged=False, name="b"))
    assert (day.state, day.fetched, day.merged) == (DayState.PARTIAL, True, False)


def test_a_day_whose_parquet_file_is_missing_is_not_complete() -> None:
    day = cover(stored(DAY, DAY), in_tables=False)
    assert (day.state, day.fetched, day.merged) == (DayState.PARTIAL, True, False)


@pytest.mark.parametrize("outcome", [outcome for outcome in Outcome if not outcome.rule.covers])
def test_only_whole_answers_cover(outcome: Outcome) -> None:
    day = cover(stored(DAY, DAY, outcome=outcome))
    assert not day.fetched
    assert day.proofs == ()
    assert cover(stored(DAY, DAY, outcome=outcome), stored(DAY, DAY, name="b")).state is DayState.COMPLETE


def test_an_empty_window_covers_like_one_with_leads() -> None:
    assert cover(stored(DAY, DAY, outcome=Outcome.NO_LEADS)).state is DayState.COMPLETE


def test_days_before_the_key_are_not_yet_available_until_an_answer_says_otherwise() -> None:
    not_yet = stored(DAY, DAY, outcome=Outcome.NOT_YET_AVAILABLE)
    assert cover(not_yet).state is DayState.NOT_YET_AVAILABLE
    assert cover(not_yet, stored(DAY, DAY, name="b")).state is DayState.COMPLETE
    assert cover(stored(DAY, DAY, outcome=Outcome.TRUNCATED), not_yet).state is DayState.NOT_YET_AVAILABLE


def test_days_that_the_api_serves_no_more_are_out_of_reach_unless_they_are_fetched() -> None:
    later = NOW + timedelta(days=365)
    assert cover(now=later).state is DayState.OUT_OF_REACH
    assert cover(stored(DAY, DAY, fetched_at=END), now=later).state is DayState.OUT_OF_REACH
    assert cover(stored(DAY, DAY), now=later).state is DayState.COMPLETE
    assert cover(stored(DAY, DAY, merged=False), now=later).state is DayState.PARTIAL


def test_days_come_back_once_each_and_in_order() -> None:
    days = coverage_of([NEXT, DAY, NEXT], [times_of(stored(DAY, NEXT))], [DAY], NOW)
    assert [(day.day, day.state) for day in days] == [(DAY, DayState.COMPLETE), (NEXT, DayState.PARTIAL)]


def test_what_is_proven_from_a_days_start_counts_only_answers_from_after_the_day() -> None:
    noon = day_start(DAY) + timedelta(hours=12)
    assert proven_from_start(DAY, [part(day_start(DAY), noon)]) == noon
    assert proven_from_start(DAY, [stored(DAY, DAY, fetched_at=END)]) is None


@given(st.lists(st.tuples(st.integers(0, 47), st.integers(1, 47)), max_size=8))
def test_a_day_is_fetched_exactly_when_every_half_hour_of_it_was_asked_for(parts: list[tuple[int, int]]) -> None:
    half_hour = timedelta(minutes=30)
    asked: set[int] = set()
    answers = []
    for number, (first, length) in enumerate(parts):
        end = min(first + length, 48)
        asked |= {*range(first, end)}
        answers.append(part(day_start(DAY) + first * half_hour, day_start(DAY) + end * half_hour, str(number)))
    assert cover(*answers).fetched == (asked == {*range(48)})
