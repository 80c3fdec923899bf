"""The first asset: when a call can't be made now, when it can't ever, and who is not held up by that."""

import threading
import time
from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest
from dagster import DagsterEventType

from leads_pipeline.fake_indiamart.server import FakeIndiaMart
from leads_pipeline.indiamart.call_slot import Claim, Granted, SlotTimes, key_fingerprint
from leads_pipeline.indiamart.outcomes import Outcome
from leads_pipeline_tests.assets.installations import (
    ACME_KEY,
    BHARAT_KEY,
    DEAD_KEY,
    STAGES,
    WEEK,
    Installation,
    account,
    days_ago,
    failure_of,
    settings_of,
    stored_instance,
    strict_server,
)

POOL = "indiamart_api_acme"
STEP = "acme__raw_responses"
WAIT_SECONDS = 2.5
NEXT_WEEK = days_ago(9, 3)


def waits_of(installation: Installation, result: dg.ExecuteInProcessResult, step: str = STEP) -> list[float]:
    return installation.times_of(result.run_id, DagsterEventType.STEP_UP_FOR_RETRY, step)


def restarts_of(installation: Installation, result: dg.ExecuteInProcessResult, step: str = STEP) -> list[float]:
    return installation.times_of(result.run_id, DagsterEventType.STEP_RESTARTED, step)


def test_a_closed_slot_is_a_wait_that_ends_in_success(acme: Installation, server: FakeIndiaMart) -> None:
    seconds = 3.0
    other_tool = Claim(key_fingerprint(ACME_KEY), "another tool", SlotTimes(seconds, timeout=0.0, block=0.0))
    acme.workspace.prepare()
    granted = acme.workspace.slots.request(other_tool)

    result = acme.run(WEEK)

    assert isinstance(granted, Granted)
    assert result.success
    assert [call.outcome for call in server.calls] == ["leads"]
    assert len(waits_of(acme, result)) == len(restarts_of(acme, result)) >= 1
    messages = [entry.message for entry in acme.instance.all_logs(result.run_id)]
    assert any("waits for its slot" in message and "Next try at" in message for message in messages)


def test_a_wait_holds_no_pool_slot_and_a_call_does(tmp_path: Path) -> None:
    """With pools of one place, as installations have them, a waiting run must not keep another from its turn."""
    with strict_server(WAIT_SECONDS) as server, stored_instance(tmp_path / "dagster") as instance:
        acme = Installation(settings_of(tmp_path, account(server, interval=WAIT_SECONDS)), instance)
        server.inject("server_error")  # its repetition waits for the next slot
        server.inject("slow", seconds=1.0)
        seen: list[tuple[float, float, bool]] = []
        done = threading.Event()

        def watch() -> None:
            while not done.wait(0.1):
                before = time.time()
                claimed = bool(instance.event_log_storage.get_concurrency_info(POOL).claimed_slots)
                seen.append((before, time.time(), claimed))

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            result = acme.run(WEEK)
        finally:
            done.set()
            watcher.join()
        (wait,), (restart,) = waits_of(acme, result), restarts_of(acme, result)

    assert result.success
    assert not server.refused_calls
    waiting = [claimed for before, after, claimed in seen if wait < before and after < restart]
    calling = [claimed for before, _, claimed in seen if before > restart]
    assert waiting
    assert not waiting[-1]  # it is given back a moment after the wait began, and taken a moment before its end
    assert any(calling)


@pytest.mark.parametrize(
    ("fault", "outcome", "who"),
    [
        ("key_incorrect", Outcome.KEY_REJECTED, "Copy the current key from the seller panel"),
        ("key_expired", Outcome.KEY_REJECTED, "Copy the current key from the seller panel"),
        ("bad_request", Outcome.BAD_REQUEST, "report it"),
        ("not_yet_available_401", Outcome.NOT_YET_AVAILABLE, "asked for again a day later"),
    ],
)
def test_a_permanent_outcome_fails_at_once_and_says_who_must_do_what(
    acme: Installation, server: FakeIndiaMart, fault: str, outcome: Outcome, who: str
) -> None:
    server.inject(fault, times=3)

    result = acme.run(WEEK)
    sentence, metadata = failure_of(result)

    assert not result.success
    assert len(server.calls) == 1
    assert waits_of(acme, result) == []
    assert sentence.startswith(outcome.rule.sentence)
    assert who in sentence
    assert metadata == {"outcome": outcome.value}
    assert [acme.materialized(stage) for stage in STAGES] == [[], [], [], []]


def test_an_account_without_a_key_fails_without_a_call(server: FakeIndiaMart, tmp_path: Path) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        keyless = Installation(settings_of(tmp_path, account(server, key="")), instance)
        sentence, metadata = failure_of(keyless.run(WEEK))

    assert server.calls == ()
    assert "has no CRM key" in sentence
    assert "INDIAMART_CRM_KEY" in sentence
    assert metadata == {}


def test_days_out_of_reach_fail_without_a_call(acme: Installation, server: FakeIndiaMart) -> None:
    start = acme.workspace.start_date()
    old = Installation(replace(acme.settings, start_date=start - (WEEK[1] - WEEK[0]) * 30), acme.instance)

    sentence, _ = failure_of(old.run(days_ago(380, 374)))

    assert server.calls == ()
    assert "last 365 days only" in sentence


def test_answers_of_another_origin_are_refused_before_a_call(complete: Installation, server: FakeIndiaMart) -> None:
    (here,) = complete.settings.accounts
    elsewhere = replace(here, origin="https://mapi.indiamart.com")

    result = Installation(replace(complete.settings, accounts=(elsewhere,)), complete.instance).run(NEXT_WEEK)
    sentence, _ = failure_of(result)

    assert server.calls == ()
    assert "can't mix" in sentence
    assert here.origin in sentence


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        ("server_error", Outcome.SERVER_ERROR),
        ("html_200", Outcome.UNREADABLE),
        ("truncated_json", Outcome.UNREADABLE),
        ("soft_429", Outcome.RATE_LIMITED),
        ("reset", Outcome.UNREACHABLE),
    ],
)
def test_a_passing_failure_is_tried_five_times_and_then_fails(
    acme: Installation, server: FakeIndiaMart, fault: str, outcome: Outcome
) -> None:
    server.inject(fault, times=6)

    result = acme.run(WEEK)
    sentence, _ = failure_of(result)

    assert not result.success
    assert [call.fault for call in server.calls] == [fault] * 5
    assert not server.refused_calls
    assert len(waits_of(acme, result)) >= 4
    assert "after 5 failed calls" in sentence
    assert outcome.rule.sentence in sentence
    assert [day.fetched for day in acme.coverage(WEEK)] == [False] * 7


def test_waits_do_not_count_as_failures(acme: Installation, server: FakeIndiaMart) -> None:
    server.inject("server_error", times=4)

    result = acme.run(WEEK)

    assert result.success
    assert [call.fault for call in server.calls] == ["server_error"] * 4 + [None]


def test_a_block_is_waited_out(acme: Installation, server: FakeIndiaMart) -> None:
    server.inject("hard_429")

    result = acme.run(WEEK)

    assert result.success
    assert [call.fault for call in server.calls] == ["hard_429", None]


def test_the_waits_of_two_accounts_in_one_run_overlap(tmp_path: Path) -> None:
    with strict_server(WAIT_SECONDS) as server, dg.DagsterInstance.ephemeral() as instance:
        accounts = (
            account(server, interval=WAIT_SECONDS),
            account(server, name="bharat", key=BHARAT_KEY, interval=WAIT_SECONDS),
        )
        both = Installation(settings_of(tmp_path, *accounts), instance)
        server.inject("server_error", times=2)  # each account's first call, so that each waits for its next slot
        result = both.run_all_accounts(WEEK)

        assert result.success
        (acme_waits,), (acme_goes_on,) = waits_of(both, result), restarts_of(both, result)
        (bharat_waits,), (bharat_goes_on,) = (
            times(both, result, "bharat__raw_responses") for times in (waits_of, restarts_of)
        )
    both_waits = (acme_goes_on - acme_waits) + (bharat_goes_on - bharat_waits)
    from_first_to_last = max(acme_goes_on, bharat_goes_on) - min(acme_waits, bharat_waits)

    assert [call.outcome for call in server.calls] == ["fault", "fault", "leads", "leads"]
    assert from_first_to_last < 0.75 * both_waits  # about one wait, not two


def test_a_dead_key_of_one_account_stops_nobody_else(server: FakeIndiaMart, tmp_path: Path) -> None:
    accounts = (account(server, key=DEAD_KEY), account(server, name="bharat", key=BHARAT_KEY))
    with dg.DagsterInstance.ephemeral() as instance:
        both = Installation(settings_of(tmp_path, *accounts), instance)
        result = both.run_all_accounts(WEEK)

        assert not result.success
        assert failure_of(result)[1] == {"outcome": "key_rejected"}
        assert [both.materialized(stage, "acme") for stage in STAGES] == [[], [], [], []]
        assert [len(both.materialized(stage, "bharat")) for stage in STAGES] == [7, 7, 7, 7]
    assert [call.outcome for call in server.calls] == ["key_rejected", "leads"]
    assert ACME_KEY not in str(both.settings)
