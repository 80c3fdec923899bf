from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from leads_pipeline.indiamart.call_log import CallLog, CallRecord, calls_database, insert_call
from leads_pipeline.indiamart.outcomes import Outcome
from leads_pipeline.sqlite_files import immediate
from leads_pipeline_tests.support import ist

CALL = CallRecord(
    account="indiamart",
    source_api="v2",
    window_start=ist("2026-03-01 00:00:00"),
    window_end=ist("2026-03-08 00:00:00"),
    sent_at=ist("2026-03-08 00:20:00.123456"),
    received_at=None,
    latency_seconds=None,
    waited_seconds=1.5,
    outcome=Outcome.UNREACHABLE,
    http_status=None,
    code=None,
    message="the connection was refused",
    records=0,
    total_records=None,
    response_id="a",
    run_id="run-1",
    key_fingerprint="0123",
)
ANSWERED = replace(
    CALL,
    received_at=ist("2026-03-08 00:20:01"),
    latency_seconds=0.877,
    outcome=Outcome.LEADS,
    http_status=200,
    code=200,
    message="",
    records=7,
    total_records=7,
    response_id="b",
    run_id="run-2",
)


@pytest.fixture
def log(tmp_path: Path) -> CallLog:
    return CallLog(tmp_path / "calls.sqlite")


def enter(tmp_path: Path, *calls: CallRecord) -> None:
    with calls_database(tmp_path / "calls.sqlite") as connection, immediate(connection):
        for call in calls:
            insert_call(connection, call)


def test_a_call_comes_back_as_it_was_logged(tmp_path: Path, log: CallLog) -> None:
    enter(tmp_path, CALL, ANSWERED)
    assert log.after(0) == [replace(CALL, call_id=1), replace(ANSWERED, call_id=2)]


def test_a_call_that_is_logged_again_stays_as_it_is(tmp_path: Path, log: CallLog) -> None:
    enter(tmp_path, ANSWERED, replace(CALL, response_id="b"))
    assert log.after(0) == [replace(ANSWERED, call_id=1)]


def test_calls_are_read_from_where_a_reader_stopped(tmp_path: Path, log: CallLog) -> None:
    enter(tmp_path, CALL, ANSWERED, replace(CALL, response_id="c"))
    assert [call.call_id for call in log.after(1)] == [2, 3]
    assert [call.call_id for call in log.after(0, limit=2)] == [1, 2]
    assert log.after(3) == []


def test_calls_are_found_by_run_and_by_account(tmp_path: Path, log: CallLog) -> None:
    other = replace(CALL, response_id="c", account="other", run_id="run-3")
    enter(tmp_path, ANSWERED, CALL, other)
    assert [call.response_id for call in log.of_run("run-1")] == ["a"]
    assert [call.response_id for call in [log.last_of("indiamart"), log.last_of("other")] if call] == ["a", "c"]
    assert log.last_of("nobody") is None


def test_the_last_success_passes_over_later_failures(tmp_path: Path, log: CallLog) -> None:
    enter(tmp_path, ANSWERED, CALL)
    last = log.last_success_of("indiamart")
    assert last is not None
    assert last.response_id == "b"
    assert log.last_success_of("other") is None


def test_calls_of_an_outcome_are_found_from_a_moment_on(tmp_path: Path, log: CallLog) -> None:
    later = replace(CALL, response_id="c", sent_at=CALL.sent_at + timedelta(hours=1))
    enter(tmp_path, CALL, ANSWERED, later)
    found = log.of_outcome_since("indiamart", Outcome.UNREACHABLE, later.sent_at)
    assert [call.response_id for call in found] == ["c"]


def test_a_log_that_was_never_written_is_empty_and_is_not_made_by_reading(tmp_path: Path, log: CallLog) -> None:
    assert log.after(0) == []
    assert log.last_of("indiamart") is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("changes", "has"),
    [
        ({}, False),
        ({"outcome": Outcome.LEADS}, True),
        ({"outcome": Outcome.TRUNCATED}, True),
        ({"outcome": Outcome.NO_LEADS}, False),
        ({"outcome": Outcome.LEADS, "key_fingerprint": "4567"}, False),
        ({"outcome": Outcome.LEADS, "account": "other"}, False),
        ({"outcome": Outcome.LEADS, "window_end": ist("2026-03-08 00:00:01")}, False),
        (
            {"outcome": Outcome.LEADS, "window_end": ist("2026-03-08 00:00:01"), "sent_at": ist("2026-03-07 00:20:00")},
            True,
        ),
    ],
)
def test_a_key_has_brought_leads_from_before_a_moment_or_long_enough_ago(
    tmp_path: Path, log: CallLog, changes: dict[str, Any], has: bool
) -> None:
    enter(tmp_path, replace(CALL, **changes))
    by, before = ist("2026-03-07 00:20:00"), ist("2026-03-08 00:00:00")
    assert log.has_brought_leads("indiamart", "0123", from_before=before, sent_by=by) is has
