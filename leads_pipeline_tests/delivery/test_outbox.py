"""The outbox and the log beside it: what is put is read again, and what is due is found."""

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from leads_pipeline.delivery.crm import CallOutcome, CrmCall
from leads_pipeline.delivery.delivery_log import DeliveryLog
from leads_pipeline.delivery.outbox import Outbox
from leads_pipeline.delivery.outbox_rows import Delivery, DeliveryRun, DeliveryState, Standing
from leads_pipeline_tests.delivery.memory_crm import DAY, NOON

MINUTE = timedelta(minutes=1)
NEXT_DAY = DAY + timedelta(days=1)


def row(query_id: str, state: DeliveryState = DeliveryState.CREATED, **values: Any) -> Delivery:
    known: dict[str, Any] = {"content_hash": "c", "tried_hash": "t", **values}
    return Delivery("acme", known.pop("destination", "crm"), query_id, known.pop("lead_date", DAY),
                    known.pop("query_time", NOON), NOON, state, **known)  # fmt: skip


def test_rows_are_read_as_they_were_put_and_replaced_by_later_ones(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path)
    assert not outbox.exists
    full = row(
        "1", sent_hash="s", remote_id="r", record_key="k", attempts=3, last_error="why", first_delivered_at=NOON,
        delivered_at=NOON + MINUTE, last_attempt_at=NOON, next_try_at=NOON, activity="done", activity_id="a",
    )  # fmt: skip
    others = [row(f"{number}") for number in range(2, 1_203)]

    outbox.put([full, *others])
    outbox.put([row("2", DeliveryState.PARKED)])
    outbox.put([])
    found = outbox.of_leads("acme", "crm", ["1", *(one.query_id for one in others), "unknown"])

    assert found["1"] == replace(full, change=1)
    assert found["2"] == replace(row("2", DeliveryState.PARKED), change=2)
    assert len(found) == 1_202
    assert outbox.of_leads("acme", "other", ["1"]) == {}
    assert (tmp_path / "deliveries.sqlite").stat().st_mode & 0o777 == 0o600


def test_the_standing_of_a_record_is_its_newest_enquiry_that_the_crm_has(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path)
    has: dict[str, Any] = {"sent_hash": "s", "record_key": "k"}
    outbox.put(
        [
            row("1", query_time=NOON, remote_id="r1", **has),
            row("2", query_time=NOON + MINUTE, remote_id="r2", **has),
            row("3", DeliveryState.FAILED, query_time=NOON + 2 * MINUTE, remote_id="r3", record_key="k"),
            row("4", query_time=NOON + 3 * MINUTE, **has),
            row("5", query_time=NOON + 4 * MINUTE, remote_id="r5", destination="other", **has),
        ]
    )
    assert outbox.standing("acme", "crm", ["k", "unknown"]) == {"k": Standing("2", NOON + MINUTE, "r2")}


def test_days_to_try_again_are_those_of_rows_that_are_due(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path)
    outbox.put(
        [
            row("1", DeliveryState.FAILED, next_try_at=NOON),
            row("2", DeliveryState.FAILED, next_try_at=NOON + MINUTE, lead_date=NEXT_DAY),
            row("3", DeliveryState.HELD, lead_date=date(2026, 3, 9)),
        ]
    )
    assert outbox.days_to_try_again("acme", "crm", NOON - MINUTE) == []
    assert outbox.days_to_try_again("acme", "crm", NOON) == [DAY]
    assert outbox.days_to_try_again("acme", "crm", NOON + MINUTE) == [DAY, NEXT_DAY]
    assert outbox.days_to_try_again("acme", "other", NOON) == []


def test_what_is_tried_again_is_due_with_all_attempts_and_unsure_rows_stay_unsure(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path)
    outbox.put(
        [
            row("1", DeliveryState.PARKED, attempts=8, lead_date=NEXT_DAY),
            row("2", DeliveryState.UNSURE, attempts=2),
            row("3", DeliveryState.CREATED, attempts=1),
            row("4", DeliveryState.PARKED, attempts=8, destination="other"),
        ]
    )
    before = outbox.changes_after(0)[-1].change

    days = outbox.try_again("acme", "crm", [DeliveryState.PARKED, DeliveryState.UNSURE])

    assert days == [DAY, NEXT_DAY]
    rows = outbox.of_leads("acme", "crm", ["1", "2", "3"])
    assert [rows[one].state.value for one in "123"] == ["failed", "unsure", "created"]
    assert [rows[one].attempts for one in "123"] == [0, 0, 1]
    assert {one.query_id for one in outbox.changes_after(before)} == {"1", "2"}
    assert outbox.of_leads("acme", "other", ["4"])["4"].state is DeliveryState.PARKED


def test_changes_rise_when_rows_change_again_and_when_others_were_forgotten(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path)
    outbox.put([row("1"), row("2")])
    outbox.put([row("1", DeliveryState.UPDATED)])
    assert [(one.query_id, one.change) for one in outbox.changes_after(0)] == [("2", 1), ("1", 2)]
    assert outbox.changes_after(2) == []

    outbox.forget("acme")
    outbox.put([row("1")])
    assert [one.change for one in outbox.changes_after(2)] == [3]


def test_counts_and_states_are_told_by_destination(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path)
    outbox.put([row("1"), row("2"), row("3", DeliveryState.PARKED), row("3", destination="other")])
    assert outbox.counts() == {
        ("acme", "crm", DeliveryState.CREATED): 2,
        ("acme", "crm", DeliveryState.PARKED): 1,
        ("acme", "other", DeliveryState.CREATED): 1,
    }
    states = [DeliveryState.CREATED, DeliveryState.PARKED]
    assert [one.query_id for one in outbox.in_states(states, "acme", "crm")] == ["1", "2", "3"]
    assert len(outbox.in_states(states)) == 4
    assert outbox.in_states(states, "bharat") == []


def test_a_destination_was_first_seen_once_and_its_looks_are_remembered(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path)
    assert outbox.first_seen_on("acme", "crm", DAY) == DAY
    assert outbox.first_seen_on("acme", "crm", NEXT_DAY) == DAY

    outbox.set_looked_at("acme", "crm", {DAY: "one", NEXT_DAY: "two"})
    outbox.set_looked_at("acme", "crm", {DAY: "three"})
    assert outbox.looked_at("acme", "crm") == {DAY: "three", NEXT_DAY: "two"}

    outbox.forget("acme")
    assert outbox.looked_at("acme", "crm") == {}
    assert outbox.first_seen_on("acme", "crm", NEXT_DAY) == NEXT_DAY


def test_calls_and_runs_are_read_as_they_were_logged(tmp_path: Path) -> None:
    log = DeliveryLog(tmp_path)
    call = CrmCall("createLeads", NOON, 0.25, 10, 200, CallOutcome.PARTLY, "one was refused", 8, 1, 1)
    silent = CrmCall("createLeads", NOON, 60.0, 10, None, CallOutcome.NO_ANSWER, "no answer within the time limit")
    runs = [DeliveryRun("acme", "crm", f"run-{n}", NOON + n * MINUTE, "", "", n, 0, 0, 0) for n in range(3)]

    for one in (call, silent):
        log.log_call("acme", "crm", "run-1", one)
    for run in runs:
        log.end_run(run)

    logged = log.calls_after(0)
    assert [one.call for one in logged] == [call, silent]
    assert [one.run_id for one in logged] == ["run-1", "run-1"]
    assert [one.call for one in log.calls_after(logged[0].attempt_id)] == [silent]
    assert [one.run_id for one in log.last_runs("acme", "crm", 2)] == ["run-2", "run-1"]
    assert [replace(one, number=0) for one in log.runs_after(0)] == runs
    assert log.last_runs("acme", "other", 2) == []
