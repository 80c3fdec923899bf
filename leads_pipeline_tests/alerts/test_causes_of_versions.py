"""Alerts of an account with keys for two versions: the one's success says nothing of the other's trouble."""

from dataclasses import replace
from datetime import timedelta

from leads_pipeline.alerts.causes import State
from leads_pipeline.alerts.events import CauseBook, drop_other_versions, heed_call
from leads_pipeline.indiamart.call_log import CallRecord
from leads_pipeline.indiamart.outcomes import Outcome
from leads_pipeline_tests.support import ist

AT = ist("2026-03-02 10:00:00")
CALL = CallRecord(
    account="acme",
    source_api="v1",
    window_start=AT - timedelta(days=2),
    window_end=AT - timedelta(days=1),
    sent_at=AT,
    received_at=AT,
    latency_seconds=0.1,
    waited_seconds=0.0,
    outcome=Outcome.KEY_REJECTED,
    http_status=200,
    code=None,
    message="",
    records=0,
    total_records=None,
    response_id="one",
    run_id="run-1",
)
GOOD = replace(CALL, outcome=Outcome.LEADS, sent_at=AT + timedelta(minutes=1))


def book_after(*calls: CallRecord) -> CauseBook:
    book = CauseBook(())
    for call in calls:
        heed_call(book, call, "v1")
    return book


def test_a_dead_key_of_the_other_version_is_over_with_its_own_success_alone() -> None:
    book = book_after(CALL, replace(GOOD, source_api="v2"))
    [cause] = book.unresolved
    assert (cause.state, cause.detail) == (State.OPEN, "v1")
    assert cause.what.startswith("With the account's other version, v1: IndiaMART rejected the CRM key")

    heed_call(book, GOOD, "v1")
    assert not book.unresolved


def test_a_success_of_the_other_version_ends_no_trouble_of_the_main_one() -> None:
    [cause] = book_after(replace(CALL, source_api="v2"), GOOD).unresolved
    assert (cause.state, cause.detail) == (State.OPEN, "")


def test_the_trouble_of_a_version_that_is_not_asked_any_more_is_over() -> None:
    book = book_after(CALL)
    drop_other_versions(book, {"acme": "v1"}, AT)
    assert book.unresolved
    drop_other_versions(book, {}, AT)
    assert not book.unresolved
