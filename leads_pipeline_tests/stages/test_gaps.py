"""What the gap sensor requests, and when it requests nothing."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leads_pipeline.days import ONE_DAY, day_end, day_start, days_between
from leads_pipeline.indiamart.call_log import CallRecord
from leads_pipeline.indiamart.call_slot import key_fingerprint
from leads_pipeline.indiamart.outcomes import Outcome
from leads_pipeline.indiamart.windows import first_day_in_reach, plan_windows
from leads_pipeline.settings import Account
from leads_pipeline.stages.gaps import (
    MAX_REQUESTS,
    GapDecision,
    GapFacts,
    GapRun,
    Refusal,
    decide_gaps,
    last_gap_day,
    settings_fingerprint,
)
from leads_pipeline.storage.coverage import DayCoverage, DayState
from leads_pipeline_tests.support import KEY, ist, make_settings

NOW = ist("2026-11-20 12:00:00")
YESTERDAY = date(2026, 11, 19)
OTHER_KEY = "another/Key+of-the-tests=="
ACCOUNT = make_settings(Path("unused"), "http://127.0.0.1:1/", interval=310.0).accounts[0]
COMPLETE, MISSING = DayState.COMPLETE, DayState.MISSING


def ago(days: int) -> date:
    return YESTERDAY - (days - 1) * ONE_DAY


WEEK_START = ago(7)


def covered(day: date, state: DayState = COMPLETE, *, fetched: bool | None = None) -> DayCoverage:
    is_fetched = state is COMPLETE if fetched is None else fetched
    return DayCoverage(day, state, is_fetched, state is COMPLETE, None, ())


def history(*lacking: date, unmerged: Iterable[date] = (), days: int = 30) -> tuple[DayCoverage, ...]:
    """So many days until yesterday, complete but for those named."""
    merge = set(unmerged)
    return tuple(
        covered(day, DayState.PARTIAL, fetched=True)
        if day in merge
        else covered(day, MISSING if day in lacking else COMPLETE)
        for day in days_between(ago(days), YESTERDAY)
    )


def call(
    outcome: Outcome = Outcome.LEADS,
    *,
    call_id: int = 1,
    sent_at: datetime = NOW - timedelta(days=10),
    key: str | None = KEY,
    first: date = WEEK_START,
    last: date = YESTERDAY,
    message: str = "",
) -> CallRecord:
    return CallRecord(
        account="indiamart",
        source_api="v2",
        window_start=day_start(first),
        window_end=day_end(last),
        sent_at=sent_at,
        received_at=sent_at,
        latency_seconds=0.1,
        waited_seconds=0.0,
        outcome=outcome,
        http_status=200,
        code=200,
        message=message,
        records=0,
        total_records=None,
        response_id=f"r{call_id}",
        run_id="run",
        call_id=call_id,
        key_fingerprint=key_fingerprint(key) if key else "",
    )


def facts(coverage: tuple[DayCoverage, ...], **more: object) -> GapFacts:
    """The facts of an account whose last call succeeded."""
    return replace(GapFacts(ACCOUNT, NOW, coverage, last_call=call()), **more)  # type: ignore[arg-type]


def failed_runs(count: int, *, minutes_ago: float = 1, days: tuple[date, ...] = (YESTERDAY,)) -> tuple[GapRun, ...]:
    ended = NOW - timedelta(minutes=minutes_ago)
    return tuple(GapRun(days, ended - number * timedelta(hours=1), False, None) for number in range(count))


def ranges(decision: GapDecision) -> list[tuple[date, date]]:
    return [(request.first, request.last) for request in decision.requests]


OUTAGE = tuple(ago(number) for number in range(1, 11))


def test_complete_days_request_nothing() -> None:
    decision = decide_gaps(facts(history()))

    assert ranges(decision) == []
    assert decision.reason == f"Every day from {ago(30)} to {YESTERDAY} is complete, or out of reach."


def test_an_outage_of_ten_days_is_two_windows_with_a_full_week_of_the_newest_days_first() -> None:
    assert ranges(decide_gaps(facts(history(*OUTAGE)))) == [(ago(7), ago(1)), (ago(10), ago(8))]


def test_days_that_are_fetched_and_not_merged_come_first_for_they_cost_no_call() -> None:
    decision = decide_gaps(facts(history(ago(1), ago(2), unmerged=[ago(20), ago(19), ago(15)])))

    assert ranges(decision) == [(ago(15), ago(15)), (ago(20), ago(19)), (ago(2), ago(1))]


def test_one_run_merges_at_most_a_week() -> None:
    unmerged = [ago(number) for number in range(1, 11)]

    assert ranges(decide_gaps(facts(history(unmerged=unmerged)))) == [(ago(7), ago(1)), (ago(10), ago(8))]


def test_an_account_that_takes_six_days_at_most_gets_windows_of_six() -> None:
    decision = decide_gaps(facts(history(*OUTAGE), longest_window=timedelta(days=6)))

    assert ranges(decision) == [(ago(6), ago(1)), (ago(10), ago(7))]


DAYS_AGO = st.sets(st.integers(1, 60), max_size=40)


@given(lacking=DAYS_AGO, in_progress=DAYS_AGO, longest=st.sampled_from([6, 7]))
def test_requests_hold_exactly_what_lacks_and_nothing_in_progress(
    lacking: set[int], in_progress: set[int], longest: int
) -> None:
    busy = frozenset(ago(number) for number in in_progress)
    coverage = history(*(ago(number) for number in lacking), days=60)
    wanted = {ago(number) for number in lacking} - busy
    requested: set[date] = set()

    while decision := decide_gaps(
        facts(coverage, in_progress=busy | requested, longest_window=timedelta(days=longest))
    ).requests:
        assert len(decision) <= MAX_REQUESTS
        assert [request.first for request in decision] == sorted((one.first for one in decision), reverse=True)
        for request in decision:
            days = {*days_between(request.first, request.last)}
            assert len(days) <= longest
            assert not days & (busy | requested)
            assert {request.first, request.last} <= wanted
            requested |= days

    assert wanted <= requested


@given(lacking=DAYS_AGO, longest=st.sampled_from([6, 7]))
def test_the_windows_are_as_few_as_can_be(lacking: set[int], longest: int) -> None:
    days = [ago(number) for number in lacking]
    left, runs = set(days), 0

    while requests := decide_gaps(facts(history(*left, days=60), longest_window=timedelta(days=longest))).requests:
        runs += len(requests)
        left -= {day for request in requests for day in days_between(request.first, request.last)}

    assert runs == len(plan_windows(days, NOW, timedelta(days=longest)))


def test_what_is_queued_or_running_is_never_requested() -> None:
    decision = decide_gaps(facts(history(*OUTAGE), in_progress=frozenset(OUTAGE)))

    assert ranges(decision) == []
    assert decision.reason == "10 day(s) lack, and all of them are queued or running already."


@pytest.mark.parametrize(("unfinished", "expected"), [(0, 5), (3, 2), (5, 0), (9, 0)])
def test_no_more_than_five_runs_are_queued_at_once(unfinished: int, expected: int) -> None:
    year = facts(history(*days_between(ago(300), YESTERDAY), days=300), unfinished=unfinished)

    assert len(decide_gaps(year).requests) == expected


@pytest.mark.parametrize(
    "last_call",
    [None, call(Outcome.UNREACHABLE), call(key=OTHER_KEY), call(Outcome.KEY_REJECTED, key=OTHER_KEY)],
)
def test_until_a_call_with_the_key_has_succeeded_only_one_run_is_queued(last_call: CallRecord | None) -> None:
    lacking = facts(history(*OUTAGE), last_call=last_call)

    assert ranges(decide_gaps(lacking)) == [(ago(7), ago(1))]
    assert ranges(decide_gaps(replace(lacking, unfinished=1))) == []


def test_an_account_without_a_key_is_left_alone_but_for_what_needs_no_call() -> None:
    keyless = replace(ACCOUNT, key="")

    lacking = decide_gaps(facts(history(*OUTAGE), account=keyless))
    unmerged = decide_gaps(facts(history(*OUTAGE, unmerged=[ago(20)]), account=keyless))

    assert ranges(lacking) == []
    assert "no CRM key" in lacking.reason
    assert ranges(unmerged) == [(ago(20), ago(20))]


@pytest.mark.parametrize("key", [KEY, None])
def test_a_rejected_key_is_not_used_again(key: str | None) -> None:
    """A call whose key is not known counts as one with the present key."""
    decision = decide_gaps(facts(history(*OUTAGE), last_call=call(Outcome.KEY_REJECTED, key=key)))

    assert ranges(decision) == []
    assert decision.reason == (
        "The newest call (10 Nov 12:00 IST) ended as key_rejected, so nothing is asked until the key or the settings "
        "change or a call succeeds; who must act: the seller."
    )


def test_a_new_key_ends_that_at_once_also_after_many_failures() -> None:
    dead = facts(history(*OUTAGE), last_call=call(Outcome.KEY_REJECTED), finished=failed_runs(8))
    remembered = decide_gaps(dead).refusal

    renewed = decide_gaps(replace(dead, account=replace(ACCOUNT, key=OTHER_KEY), refusal=remembered))

    assert ranges(renewed) == [(ago(7), ago(1))]


@pytest.mark.parametrize("changed", [{"api_url": "http://127.0.0.1:2/"}, {"start": ago(9)}, {"timeout_seconds": 9.0}])
def test_a_refused_request_is_made_again_once_the_settings_change(changed: dict[str, object]) -> None:
    refused = facts(history(*OUTAGE), last_call=call(Outcome.BAD_REQUEST))
    first = decide_gaps(refused)
    later = decide_gaps(replace(refused, refusal=first.refusal))
    other: Account = replace(ACCOUNT, **changed)  # type: ignore[arg-type]

    mended = decide_gaps(replace(refused, account=other, refusal=later.refusal))
    refused_again = decide_gaps(
        replace(refused, account=other, refusal=mended.refusal, last_call=call(Outcome.BAD_REQUEST, call_id=2))
    )

    assert first.refusal == later.refusal == Refusal(1, settings_fingerprint(ACCOUNT))
    assert (ranges(first), ranges(later), ranges(mended)) == ([], [], [(ago(7), ago(1))])
    assert ranges(refused_again) == []
    assert refused_again.refusal == Refusal(2, settings_fingerprint(other))


def test_a_window_found_too_wide_is_no_refusal_for_good() -> None:
    too_wide = call(
        Outcome.BAD_REQUEST,
        message="Maximum allowed difference between start_time and end_time is 7 days",
    )

    assert ranges(decide_gaps(facts(history(ago(1)), last_call=too_wide))) == [(ago(1), ago(1))]


def test_what_is_not_available_yet_waits_a_day_and_so_do_earlier_days() -> None:
    asked_at = NOW - timedelta(hours=23)
    not_yet = call(Outcome.NOT_YET_AVAILABLE, sent_at=asked_at, first=ago(9), last=ago(3))
    waiting = facts(history(*OUTAGE), not_yet_available=(not_yet,))

    assert ranges(decide_gaps(waiting)) == [(ago(2), ago(1))]
    assert ranges(decide_gaps(replace(waiting, now=NOW + timedelta(hours=1)))) == [(ago(7), ago(1)), (ago(10), ago(8))]


def test_a_wait_for_availability_says_until_when() -> None:
    not_yet = call(Outcome.NOT_YET_AVAILABLE, sent_at=NOW - timedelta(hours=1))
    decision = decide_gaps(facts(history(*OUTAGE), last_call=not_yet, not_yet_available=(not_yet,)))

    assert ranges(decision) == []
    assert decision.reason == (
        f"10 day(s) lack: those up to {YESTERDAY} are not available before 21 Nov 11:00 IST, and 0 are queued or "
        "running."
    )


def test_a_new_key_ends_the_wait_for_availability() -> None:
    not_yet = call(Outcome.NOT_YET_AVAILABLE, sent_at=NOW - timedelta(hours=1), key=OTHER_KEY)

    assert ranges(decide_gaps(facts(history(ago(1)), not_yet_available=(not_yet,)))) == [(ago(1), ago(1))]


@pytest.mark.parametrize(
    ("failures", "pause"),
    [
        (1, timedelta(seconds=310)),
        (2, timedelta(seconds=620)),
        (4, timedelta(seconds=2480)),
        (7, timedelta(seconds=19_840)),
        (8, timedelta(hours=6)),
        (20, timedelta(hours=6)),
    ],
)
def test_the_pause_doubles_while_runs_fail_up_to_six_hours(failures: int, pause: timedelta) -> None:
    lacking = facts(history(ago(1)), finished=failed_runs(failures, minutes_ago=0))

    almost = decide_gaps(replace(lacking, now=NOW + pause - timedelta(seconds=1)))
    after = decide_gaps(replace(lacking, now=NOW + pause))

    assert ranges(almost) == []
    assert almost.reason.startswith(
        f"The last {failures} run(s) of this sensor did not help; the next is requested at "
    )
    assert ranges(after) == [(ago(1), ago(1))]


def test_failures_before_a_run_that_helped_do_not_count() -> None:
    failed, older = failed_runs(1), failed_runs(5, minutes_ago=120)
    helped = GapRun((ago(5),), NOW - timedelta(minutes=60), True, call())

    decision = decide_gaps(facts(history(ago(1)), now=NOW + timedelta(minutes=5), finished=(*failed, helped, *older)))

    assert ranges(decision) == [(ago(1), ago(1))]


def test_a_later_call_of_anybody_that_succeeded_ends_the_pause() -> None:
    paused = facts(history(ago(1)), finished=failed_runs(8))

    assert ranges(decide_gaps(replace(paused, last_call=call(sent_at=NOW)))) == [(ago(1), ago(1))]


def test_a_run_that_succeeded_and_healed_nothing_is_followed_by_a_pause() -> None:
    """A server's clock that is hours behind proves no day, however often it is asked."""
    useless = GapRun((ago(1),), NOW, True, call(sent_at=NOW - timedelta(seconds=1)))

    assert ranges(decide_gaps(facts(history(ago(1)), finished=(useless,)))) == []


@pytest.mark.parametrize(
    "part",
    [call(Outcome.TRUNCATED), replace(call(), window_end=day_start(ago(7)) + timedelta(hours=3))],
)
def test_the_parts_of_a_window_cut_short_follow_each_other_without_a_pause(part: CallRecord) -> None:
    run = GapRun((ago(1),), NOW, True, part)

    assert ranges(decide_gaps(facts(history(ago(1)), finished=(run,)))) == [(ago(1), ago(1))]


def test_days_out_of_reach_are_requested_only_if_they_are_fetched() -> None:
    earliest = first_day_in_reach(NOW)
    coverage = (
        covered(earliest - 2 * ONE_DAY, DayState.PARTIAL, fetched=True),
        covered(earliest - ONE_DAY, DayState.OUT_OF_REACH),
        covered(earliest, MISSING),
    )

    assert ranges(decide_gaps(facts(coverage))) == [
        (earliest - 2 * ONE_DAY, earliest - 2 * ONE_DAY),
        (earliest, earliest),
    ]


@pytest.mark.parametrize(
    ("moment", "last"),
    [
        ("2026-11-20 00:59:59", date(2026, 11, 18)),
        ("2026-11-20 01:00:00", date(2026, 11, 19)),
        ("2026-11-20 23:59:59", date(2026, 11, 19)),
    ],
)
def test_yesterday_is_left_to_the_daily_schedule_for_the_first_hour(moment: str, last: date) -> None:
    assert last_gap_day(ist(moment)) == last


def test_an_account_whose_first_day_is_today_lacks_nothing() -> None:
    assert decide_gaps(facts(())).reason == "No day is over yet that the account should have."


def test_the_settings_fingerprint_shows_no_key() -> None:
    assert KEY not in settings_fingerprint(ACCOUNT)
    assert settings_fingerprint(ACCOUNT) != settings_fingerprint(replace(ACCOUNT, key=OTHER_KEY))
