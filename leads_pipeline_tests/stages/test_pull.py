from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from leads_pipeline.days import ONE_DAY, day_of, day_start, days_between, utc_now
from leads_pipeline.fake_indiamart.faults import FaultName
from leads_pipeline.fake_indiamart.server import FakeIndiaMart
from leads_pipeline.indiamart import v2
from leads_pipeline.indiamart.call_slot import key_fingerprint
from leads_pipeline.indiamart.outcomes import Outcome
from leads_pipeline.stages.pull import (
    MAX_TRANSIENT_FAILURES,
    SCHEDULE_PRIORITY,
    Pulled,
    PullFailedError,
    PullLater,
)
from leads_pipeline.storage.coverage import DayState
from leads_pipeline_tests.fault_outcomes import OUTCOME_OF_FAULT
from leads_pipeline_tests.stages.pulls import DAYS, SELLERS, FakeSeller, Installation, claim_of_another
from leads_pipeline_tests.storage.raw_responses import name_of, store, window_of
from leads_pipeline_tests.support import (
    KEY,
    answer_body,
    bare_server,
    closed_port_url,
    complete_days,
    forms_found,
    http_answer,
    make_settings,
    records_of,
)

INTERVAL = 0.05
BEFORE_REACH = days_between(day_of(utc_now()) - timedelta(days=400), day_of(utc_now()) - timedelta(days=398))

_keys = iter(SELLERS)


@pytest.fixture(scope="module")
def server() -> Iterator[FakeIndiaMart]:
    with FakeIndiaMart(keys=SELLERS, interval_seconds=INTERVAL, block_seconds=0.15, leads_per_day=4) as shared:
        yield shared


@pytest.fixture
def fake(server: FakeIndiaMart) -> FakeSeller:
    return FakeSeller(server, next(_keys))


@pytest.fixture
def installation(tmp_path: Path, fake: FakeSeller) -> Installation:
    return Installation(make_settings(tmp_path, fake.url, fake.key, interval=INTERVAL), fake)


# What a call brings


def test_seven_days_take_one_call_whose_answer_is_stored_with_all_its_facts(installation: Installation) -> None:
    result = installation.pull()
    assert isinstance(result, Pulled)
    response = result.response
    assert response is not None
    assert [str(response.window), response.outcome.value] == [f"{DAYS[0]} to {DAYS[-1]}", "leads"]
    assert installation.answers == [response]
    assert len(installation.fake.calls) == 1
    assert installation.fetched() == {*DAYS}
    assert installation.stored_ids() == installation.true_ids()
    assert response.records == response.total_records == len(installation.true_ids())
    assert (response.http_status, response.code, response.run_id) == (200, 200, "run-1")
    assert response.key_fingerprint == key_fingerprint(installation.fake.key)
    assert response.server_date is not None


def test_the_call_log_has_the_call_as_the_sidecar_has_it(installation: Installation) -> None:
    installation.pull()
    [call] = installation.workspace.call_log.after(0)
    [answer] = installation.answers
    for fact in ("response_id", "outcome", "records", "http_status", "run_id", "window_start", "latency_seconds"):
        assert getattr(call, fact) == getattr(answer, fact)
    assert call.key_fingerprint == key_fingerprint(installation.fake.key)


def test_the_slot_is_closed_for_the_interval_after_the_call(installation: Installation) -> None:
    slow = replace(installation.settings.accounts[0], call_interval_seconds=100.0)
    other = Installation(replace(installation.settings, accounts=(slow,)), installation.fake)
    other.pull()
    state = other.slot()
    assert 95 < state.seconds_left <= 100
    assert (state.holder, state.reason) == (None, "the last call ended as leads")


def test_a_pulled_day_is_not_complete_until_it_is_merged(installation: Installation) -> None:
    installation.pull()
    coverage = installation.workspace.coverage("indiamart", DAYS, utc_now())
    assert {day.state for day in coverage} == {DayState.PARTIAL}
    assert [answer.merged for answer in installation.workspace.catalog.unmerged("indiamart")] == [False]


def test_today_is_asked_for_up_to_now_and_never_fetched(installation: Installation) -> None:
    today = day_of(utc_now())
    result = installation.pull_to_the_end([today])
    assert result.response is not None
    assert result.response.window_start == day_start(today)
    assert result.response.window_end <= utc_now()
    assert installation.fetched([today]) == set()
    assert installation.pull_to_the_end([today], "run-2").response is not None


# Calls that are not needed


def test_days_that_are_fetched_make_no_call(installation: Installation) -> None:
    installation.pull()
    result = installation.pull(run_id="run-2")
    assert result == Pulled(None, ())
    assert len(installation.fake.calls) == 1
    assert "no call is made" in installation.lines[-1]


def test_days_that_are_fetched_are_asked_for_again_if_wanted(installation: Installation) -> None:
    installation.pull()
    assert installation.pull_to_the_end(run_id="run-2", again=True).response is not None
    assert len(installation.fake.calls) == 2
    assert len(installation.answers) == 2


def test_a_runs_window_takes_in_lacking_days_beyond_it(installation: Installation) -> None:
    first = installation.pull_to_the_end(DAYS[:2]).response
    assert first is not None
    assert {*first.window.days} >= {*DAYS}
    assert installation.pull(DAYS[2:], "run-2") == Pulled(None, ())


def test_a_run_that_needs_no_call_leaves_the_queue(installation: Installation) -> None:
    granted = installation.take_the_slot()
    assert isinstance(installation.pull(), PullLater)
    assert len(installation.slot().queue) == 1
    installation.workspace.slots.give_back(granted)
    installation.pull_to_the_end(DAYS, "run-2", priority=SCHEDULE_PRIORITY)
    assert installation.pull() == Pulled(None, ())
    assert installation.slot().queue == ()


def test_after_getting_the_slot_a_run_looks_again_whether_its_call_is_needed(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = type(installation.workspace.slots).request

    def fetched_meanwhile(*arguments: object) -> object:
        answer = store(
            installation.workspace.raw, name_of(window_of(DAYS[0], DAYS[-1]), sent_at=utc_now()), server_date=None
        )
        installation.workspace.catalog.add(replace(answer, origin=installation.settings.accounts[0].origin))
        return request(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(type(installation.workspace.slots), "request", fetched_meanwhile)
    assert installation.pull() == Pulled(None, ())
    assert installation.fake.calls == []
    assert installation.slot().seconds_left == 0
    assert installation.slot().holder is None


def test_days_before_the_accounts_start_are_never_asked_for(tmp_path: Path, fake: FakeSeller) -> None:
    installation = Installation(make_settings(tmp_path, fake.url, fake.key, start=DAYS[3]), fake)
    result = installation.pull_to_the_end()
    assert result.response is not None
    assert result.response.window_start == day_start(DAYS[3])
    assert installation.pull(DAYS[:3], "run-2") == Pulled(None, ())
    assert len(fake.calls) == 1


# Calls that can't be made


def test_without_a_key_no_call_is_made_and_the_text_says_where_to_put_it(tmp_path: Path, fake: FakeSeller) -> None:
    installation = Installation(make_settings(tmp_path, fake.url, ""), fake)
    with pytest.raises(PullFailedError, match=r"INDIAMART_CRM_KEY=\.\.\. into \.env"):
        installation.pull()
    assert fake.calls == []


def test_answers_of_another_origin_are_refused_before_any_call(tmp_path: Path, installation: Installation) -> None:
    installation.pull()
    elsewhere = Installation(
        make_settings(tmp_path, installation.fake.url, installation.fake.key, origin="https://elsewhere"),
        installation.fake,
    )
    with pytest.raises(PullFailedError, match="can't mix"):
        elsewhere.pull(again=True)
    assert len(installation.fake.calls) == 1


def test_days_that_are_all_too_old_fail_before_any_call(installation: Installation) -> None:
    with pytest.raises(PullFailedError, match="last 365 days only"):
        installation.pull(BEFORE_REACH)
    assert installation.fake.calls == []


def test_days_that_are_partly_too_old_are_clipped_and_reported(installation: Installation) -> None:
    result = installation.pull_to_the_end([*BEFORE_REACH, *DAYS])
    assert result.out_of_reach == tuple(BEFORE_REACH)
    assert result.response is not None
    assert result.response.window_start == day_start(DAYS[0])


def test_days_that_are_too_old_but_fetched_make_no_call_and_do_not_fail(installation: Installation) -> None:
    sent = day_start(BEFORE_REACH[-1] + 3 * ONE_DAY)
    name = name_of(window_of(BEFORE_REACH[0], BEFORE_REACH[-1]), sent_at=sent)
    origin = installation.settings.accounts[0].origin
    installation.workspace.catalog.add(store(installation.workspace.raw, name, origin=origin, server_date=None))
    assert installation.pull(BEFORE_REACH) == Pulled(None, tuple(BEFORE_REACH))


# Waiting


def test_a_run_whose_slot_is_closed_is_told_when_to_try_again(installation: Installation) -> None:
    installation.take_the_slot()
    later = installation.pull()
    assert isinstance(later, PullLater)
    assert 0 < later.seconds <= INTERVAL
    assert later.until > utc_now() - timedelta(seconds=1)
    assert later.reason.startswith(f"The call for {DAYS[0]} to {DAYS[-1]}")
    assert "a call is under way" in later.reason
    assert installation.fake.calls == []


def test_a_run_says_how_many_are_ahead_of_it(installation: Installation) -> None:
    installation.take_the_slot()
    ahead = replace(claim_of_another(installation.settings, "2000-01-01"), holder="earlier days")
    installation.workspace.slots.request(ahead)
    later = installation.pull()
    assert isinstance(later, PullLater)
    assert "behind 1 other(s)" in later.reason


def test_a_process_that_lost_its_slot_before_the_call_makes_none(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(installation.workspace.slots), "begin", lambda *_: False)
    later = installation.pull()
    assert isinstance(later, PullLater)
    assert "before the call could be made" in later.reason
    assert installation.fake.calls == []
    assert installation.workspace.catalog.announced() == []


# Calls that fail


@pytest.mark.parametrize("fault", FaultName)
def test_after_any_fault_clean_runs_end_in_the_truth_and_no_call_is_refused(
    installation: Installation, fault: FaultName
) -> None:
    outcome = OUTCOME_OF_FAULT[fault]
    installation.fake.inject(fault, seconds=0.1)
    try:
        result = installation.pull()
    except PullFailedError as error:
        assert not outcome.rule.is_transient
        assert error.outcome is outcome
        assert outcome.rule.sentence in str(error)
        assert not forms_found(KEY, str(error))
    else:
        assert isinstance(result, Pulled) == outcome.rule.is_success
    assert installation.outcomes == [outcome.value]
    assert (installation.fetched() == {*DAYS}) == outcome.rule.covers
    installation.pull_until_fetched()
    assert installation.fetched() == {*DAYS}
    assert installation.stored_ids() >= installation.true_ids()
    assert installation.fake.refused_calls == []
    assert all(gap >= INTERVAL for gap in installation.fake.gaps)
    for path in installation.settings.data_dir.rglob("*.json"):
        assert not forms_found(KEY, path.read_text())


def test_an_answer_is_stored_before_it_is_judged(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("the judge is ill")

    monkeypatch.setattr(v2, "judge", fail)
    with pytest.raises(RuntimeError):
        installation.pull()
    [name] = installation.workspace.raw.response_ids()
    assert installation.workspace.raw.read_body(name)


@pytest.mark.parametrize("fault", ["server_error", "reset"])
def test_passing_failures_are_tried_again_at_the_next_free_slot_and_a_bounded_number_of_times(
    installation: Installation, fault: str
) -> None:
    installation.fake.inject(fault, times=MAX_TRANSIENT_FAILURES)
    with pytest.raises(PullFailedError, match=f"gave up after {MAX_TRANSIENT_FAILURES} failed calls") as caught:
        installation.pull_to_the_end()
    assert caught.value.outcome is OUTCOME_OF_FAULT[FaultName(fault)]
    assert len(installation.outcomes) == len(installation.fake.calls) == MAX_TRANSIENT_FAILURES
    assert all(gap >= INTERVAL for gap in installation.fake.gaps)
    assert installation.pull_to_the_end(run_id="run-2").response is not None


def test_a_run_that_fails_less_often_than_that_gets_its_days(installation: Installation) -> None:
    installation.fake.inject("server_error", times=MAX_TRANSIENT_FAILURES - 1)
    assert installation.pull_to_the_end().response is not None


def test_permanent_failures_are_never_tried_again(installation: Installation) -> None:
    installation.fake.inject("key_expired", times=3)
    with pytest.raises(PullFailedError) as caught:
        installation.pull_to_the_end()
    assert caught.value.outcome is Outcome.KEY_REJECTED
    assert "IndiaMART said: Pull API Key that you are using has expired" in str(caught.value)
    assert len(installation.fake.calls) == 1


def test_a_block_is_waited_out(installation: Installation) -> None:
    installation.fake.inject("hard_429")
    later = installation.pull()
    assert isinstance(later, PullLater)
    assert INTERVAL < later.seconds <= installation.settings.accounts[0].block_seconds
    installation.pull_to_the_end()
    assert installation.fake.refused_calls == []


def test_a_server_that_is_down_is_logged_without_a_stored_answer(tmp_path: Path, fake: FakeSeller) -> None:
    installation = Installation(make_settings(tmp_path, closed_port_url()), fake)
    later = installation.pull()
    assert isinstance(later, PullLater)
    assert later.reason.endswith("Reason: the connection was refused")
    [call] = installation.workspace.call_log.after(0)
    assert (call.outcome, call.received_at, call.http_status) == (Outcome.UNREACHABLE, None, None)
    assert installation.answers == []
    assert installation.workspace.catalog.announced() == []
    assert installation.workspace.slots.in_flight() == []


def test_a_key_that_is_wrong_fails_at_once(tmp_path: Path, fake: FakeSeller) -> None:
    installation = Installation(make_settings(tmp_path, fake.url, "a/key+that=is-wrong=="), fake)
    with pytest.raises(PullFailedError) as caught:
        installation.pull()
    assert caught.value.outcome is Outcome.KEY_REJECTED
    assert "wrong==" not in str(caught.value)


def test_an_answer_that_echoes_the_key_is_stored_masked_and_says_so(installation: Installation) -> None:
    installation.fake.inject("echo_key")
    response = installation.pull_to_the_end().response
    assert response is not None
    assert response.key_masked
    assert "glusr_crm_key=***" in response.message
    body = installation.workspace.raw.read_body(response.response_id).decode()
    assert not forms_found(KEY, body)
    assert not forms_found(KEY, "\n".join(installation.lines))


@pytest.mark.parametrize("message", ["\ud83d half", "x" * 5000, "line\nline\ttab"])
def test_no_message_keeps_an_answer_from_being_stored_logged_and_entered(
    tmp_path: Path, fake: FakeSeller, message: str
) -> None:
    with bare_server(http_answer(answer_body(10**30, message, records_of("1")))) as server:
        installation = Installation(make_settings(tmp_path, server.url), fake)
        assert isinstance(installation.pull(), PullLater)
    assert len(installation.outcomes) == len(installation.answers) == 1
    assert installation.workspace.catalog.announced() == []


# Windows that the API finds too wide


def test_once_seven_days_were_refused_six_are_asked_for_and_it_is_remembered(installation: Installation) -> None:
    installation.fake.inject("too_wide")
    assert isinstance(installation.pull(), PullLater)
    response = installation.pull_to_the_end().response
    assert response is not None
    assert response.window.days == [*DAYS[:6]]
    assert installation.fetched() == {*DAYS[:6]}
    installation.pull_to_the_end(run_id="run-2")
    assert installation.fetched() == {*DAYS}
    earlier = complete_days(7, ago=20)
    widest = installation.pull_to_the_end(earlier, "run-3").response
    assert widest is not None
    assert widest.window_end - widest.window_start == timedelta(days=6)


def test_an_api_that_finds_every_window_too_wide_is_not_asked_for_ever(installation: Installation) -> None:
    installation.fake.inject("too_wide", times=20)
    with pytest.raises(PullFailedError, match="gave up") as caught:
        installation.pull_to_the_end()
    assert caught.value.outcome is Outcome.BAD_REQUEST
    assert len(installation.fake.calls) == MAX_TRANSIENT_FAILURES


# Cut answers


def test_fewer_records_than_told_are_kept_but_cover_nothing_and_the_rest_comes_in_parts(
    installation: Installation,
) -> None:
    installation.fake.inject("fewer_than_total")
    result = installation.pull()
    assert isinstance(result, Pulled)
    assert result.response is not None
    assert result.response.outcome is Outcome.TRUNCATED
    assert 0 < result.response.records < len(installation.true_ids())
    assert installation.fetched() == set()
    installation.pull_until_fetched()
    assert installation.stored_ids() >= installation.true_ids()
    assert {answer.window_end - answer.window_start for answer in installation.answers[1:]} <= {
        timedelta(days=days) for days in range(1, 5)
    }
