from dataclasses import replace
from datetime import date, datetime, timedelta

import pytest

from leads_pipeline.days import ONE_DAY
from leads_pipeline.indiamart.outcomes import Outcome
from leads_pipeline.stages.empty_answers import EmptyFacts, meaning_of_empty
from leads_pipeline.storage.catalog import StoredAnswer
from leads_pipeline.storage.raw import RawResponse
from leads_pipeline_tests.storage.raw_responses import name_of, response_of, window_of
from leads_pipeline_tests.support import ist

FIRST, LAST = date(2026, 3, 1), date(2026, 3, 7)
WEEK = window_of(FIRST, LAST)
SENT = ist("2026-03-08 00:20:00")
INTERVAL = timedelta(seconds=310)


def empty(sent_at: datetime = SENT, window_first: date = FIRST, window_last: date = LAST) -> RawResponse:
    """An answer that is empty without saying why, to a call for whole days."""
    name = name_of(window_of(window_first, window_last), sent_at=sent_at)
    return response_of(name, b"[]", outcome=Outcome.AMBIGUOUS_EMPTY, records=0, server_date=None)


def earlier(sent_at: datetime, window_first: date = FIRST, window_last: date = LAST) -> StoredAnswer:
    """The same as the catalogue has it."""
    answer = empty(sent_at, window_first, window_last)
    return StoredAnswer(
        answer.response_id,
        answer.account,
        "v1",
        answer.window,
        answer.proven_until,
        answer.received_at,
        answer.outcome,
        0,
        merged=True,
    )


FIRST_ASK = SENT - timedelta(seconds=320)
FACTS = EmptyFacts(
    known_leads=0, key_made_at=None, key_is_trusted=True, earlier=(earlier(FIRST_ASK),), call_interval=INTERVAL
)


def outcome(response: RawResponse, facts: EmptyFacts) -> Outcome:
    return meaning_of_empty(response, facts)[0]


def test_a_second_call_after_the_slot_that_says_the_same_means_no_leads_and_names_the_first() -> None:
    meaning, words = meaning_of_empty(empty(), FACTS)
    assert meaning is Outcome.NO_LEADS
    assert FACTS.earlier[0].response_id in words


def test_one_empty_answer_alone_means_nothing() -> None:
    assert outcome(empty(), replace(FACTS, earlier=())) is Outcome.AMBIGUOUS_EMPTY


@pytest.mark.parametrize("seconds", [0, 1, 300, 310])
def test_a_second_call_within_the_interval_means_nothing(seconds: float) -> None:
    too_early = earlier(SENT - timedelta(seconds=seconds))
    assert outcome(empty(), replace(FACTS, earlier=(too_early,))) is Outcome.AMBIGUOUS_EMPTY


def test_a_call_from_before_the_windows_end_confirms_nothing() -> None:
    before = earlier(ist("2026-03-08 00:02:00"))
    assert outcome(empty(), replace(FACTS, earlier=(before,))) is Outcome.AMBIGUOUS_EMPTY


@pytest.mark.parametrize(
    ("first", "last", "means"),
    [
        (FIRST, LAST, Outcome.NO_LEADS),
        (FIRST + ONE_DAY, LAST, Outcome.AMBIGUOUS_EMPTY),
        (FIRST, LAST - ONE_DAY, Outcome.AMBIGUOUS_EMPTY),
    ],
)
def test_only_what_both_were_asked_for_is_confirmed(first: date, last: date, means: Outcome) -> None:
    part = earlier(FIRST_ASK, first, last)
    assert outcome(empty(), replace(FACTS, earlier=(part,))) is means


def test_a_part_of_what_an_earlier_call_asked_for_is_confirmed_by_it() -> None:
    assert outcome(empty(window_first=FIRST + ONE_DAY, window_last=FIRST + ONE_DAY), FACTS) is Outcome.NO_LEADS


def test_a_key_that_has_brought_no_leads_of_that_time_confirms_nothing() -> None:
    meaning, words = meaning_of_empty(empty(), replace(FACTS, key_is_trusted=False))
    assert meaning is Outcome.AMBIGUOUS_EMPTY
    assert "wrong or new" in words


def test_an_empty_answer_for_days_with_known_leads_is_a_false_one() -> None:
    meaning, words = meaning_of_empty(empty(), replace(FACTS, known_leads=3))
    assert meaning is Outcome.AMBIGUOUS_EMPTY
    assert "3 lead(s) of these days are known" in words


@pytest.mark.parametrize(
    ("made_at", "means"),
    [
        ("2026-03-07 14:00:00", Outcome.NOT_YET_AVAILABLE),
        ("2026-03-07 00:21:00", Outcome.NOT_YET_AVAILABLE),
        ("2026-03-07 00:19:00", Outcome.NO_LEADS),
        ("2026-02-28 14:00:00", Outcome.NO_LEADS),
    ],
)
def test_days_from_before_a_newer_key_are_withheld_for_a_day(made_at: str, means: Outcome) -> None:
    assert outcome(empty(), replace(FACTS, key_made_at=ist(made_at))) is means


def test_days_after_the_newer_key_are_not_withheld() -> None:
    assert outcome(empty(window_first=LAST), replace(FACTS, key_made_at=ist("2026-03-07 00:00:00"))) is Outcome.NO_LEADS


def test_of_today_two_calls_up_to_their_own_moments_are_enough_for_there_is_nothing_to_prove() -> None:
    noon, later = ist("2026-03-07 12:00:00"), ist("2026-03-07 12:05:20")
    first, second = (replace(empty(moment, LAST, LAST), window_end=moment) for moment in (noon, later))
    known = replace(earlier(noon, LAST, LAST), window=first.window, proven_until=first.proven_until)
    assert outcome(second, replace(FACTS, earlier=(known,))) is Outcome.NO_LEADS


def test_a_first_call_of_before_midnight_confirms_nothing_of_the_day_that_ended_since() -> None:
    before, after = ist("2026-03-07 23:58:00"), ist("2026-03-08 00:06:00")
    first = replace(empty(before, LAST, LAST), window_end=before)
    known = replace(earlier(before, LAST, LAST), window=first.window, proven_until=first.proven_until)
    assert outcome(empty(after, LAST, LAST), replace(FACTS, earlier=(known,))) is Outcome.AMBIGUOUS_EMPTY
