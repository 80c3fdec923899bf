"""Delivering an account's day files to a CRM in memory: which days are read, when, and by whom alone."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from leads_pipeline.delivery.crm import RowState, StopKind
from leads_pipeline.delivery.delivery_log import DeliveryLog
from leads_pipeline.delivery.destination import Destination, FieldSource
from leads_pipeline.delivery.outbox import Outbox
from leads_pipeline.delivery.outbox_rows import DeliveryRun, DeliveryState
from leads_pipeline.delivery.sending import Sent
from leads_pipeline.stages import deliver_leads
from leads_pipeline.stages.deliver_leads import (
    DeliveryError,
    LeadDelivery,
    days_due,
    delivery_lock,
    destinations_of,
    paused_until,
)
from leads_pipeline.stages.workspace import Workspace
from leads_pipeline.storage.merge_journal import DayReplacement
from leads_pipeline.storage.parquet import LeadFiles
from leads_pipeline_tests.delivery.memory_crm import (
    DEATH_AFTER_THE_WRITE,
    NO_ANSWER,
    NO_KEYS,
    NOON,
    Clock,
    Fault,
    MemoryCrm,
    destination,
)
from leads_pipeline_tests.storage.lead_tables import DAY, day_after, leads_of
from leads_pipeline_tests.support import make_settings, make_workspace

S = DeliveryState
PRIVATE = {
    "sender_name": "Canary Devi",
    "sender_mobile": "+919812345678",
    "query_message": "canary message",
    "sender_city": "Canary City",
}


@dataclass
class Desk:
    """An account's day files, the CRM that they go to, and the time."""

    workspace: Workspace
    to: Destination = field(default_factory=destination)
    crm: MemoryCrm = field(default_factory=MemoryCrm)
    clock: Clock = field(default_factory=Clock)
    lines: list[str] = field(default_factory=list)

    @property
    def outbox(self) -> Outbox:
        return Outbox(self.workspace.settings.state_dir)

    @property
    def log(self) -> DeliveryLog:
        return DeliveryLog(self.workspace.settings.state_dir)

    def put(self, day: date, *ids: str, **values: Any) -> None:
        """Write the day's file with these leads, as a merge does."""
        tables = [
            leads_of(day, [one], account="acme", **{"sender_email": f"buyer{one}@mail.example", **PRIVATE, **values})
            for one in ids
        ]
        replacement = DayReplacement(LeadFiles(self.workspace.settings.data_dir, "acme"))
        replacement.replace({day: pa.concat_tables(tables)}, {"merged": []})
        replacement.clear()

    def delivery(self) -> LeadDelivery:
        """What a new process delivers with."""
        return LeadDelivery(self.workspace, self.to, "run", crm=self.crm, clock=self.clock)

    def due(self) -> list[date]:
        return days_due(self.workspace, self.to, self.clock())

    def deliver(self, *days: date, by_hand: bool = False) -> Sent:
        return self.delivery().deliver(days or self.due(), self.lines.append, by_hand=by_hand)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(make_workspace(make_settings(tmp_path, "http://127.0.0.1:9/", account="acme")))


@pytest.fixture
def read_days(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[date]]:
    """The days whose files are read."""
    days: list[date] = []
    read = LeadFiles.read_columns

    def noted(files: LeadFiles, day: date, columns: Any) -> pa.Table:
        days.append(day)
        return read(files, day, columns)

    monkeypatch.setattr(LeadFiles, "read_columns", noted)
    yield days


def test_what_is_due_is_sent_and_days_without_news_are_not_read_again(desk: Desk, read_days: list[date]) -> None:
    desk.put(DAY, "1", "2")
    desk.put(day_after(1), "3")

    assert desk.due() == [DAY, day_after(1)]
    assert desk.deliver().states == {S.CREATED: 3}
    assert desk.lines == ["Delivered to acme.crm: 3 created."]
    assert desk.due() == []
    assert desk.deliver(DAY, day_after(1)).states == {}
    assert read_days == [DAY, day_after(1)]

    desk.put(day_after(1), "3", "4")
    assert desk.due() == [day_after(1)]
    assert desk.deliver().states == {S.CREATED: 1}
    assert read_days == [DAY, day_after(1), day_after(1)]
    assert desk.crm.batches == [["1", "2", "3"], ["4"]]


def test_days_before_the_start_are_delivered_by_hand_alone(desk: Desk) -> None:
    desk.put(DAY, "1")
    desk.put(day_after(1), "2")
    desk.to = destination(start=day_after(1))
    assert desk.due() == [day_after(1)]

    desk.to = destination(start=None)
    desk.clock.now = NOON + timedelta(days=1)
    assert desk.due() == [day_after(1)], "the day on which the destination was first seen"
    desk.clock.move(days=5)
    assert desk.due() == [day_after(1)]

    assert desk.deliver(DAY, by_hand=True).states == {S.CREATED: 1}


def test_a_stop_leaves_all_its_days_due(desk: Desk) -> None:
    for number in range(3):
        desk.put(day_after(number), f"{number}")
    desk.crm.rows_per_call = 2
    desk.crm.faults.extend([None, Fault(0, NO_ANSWER)])

    sent = desk.deliver()

    assert sent.stop == NO_ANSWER
    assert desk.lines == [
        "Delivered to acme.crm: 2 created, 1 failed. 1 wait for their next attempt; `leads deliver --retry` makes it "
        f"at once. Stopped: {NO_ANSWER.reason}"
    ]
    assert desk.due() == [DAY, day_after(1), day_after(2)]
    desk.clock.move(minutes=1)
    assert desk.deliver().states == {S.CREATED: 1}
    assert desk.due() == []


def test_a_failed_lead_makes_its_day_due_when_its_next_attempt_is(desk: Desk) -> None:
    desk.put(DAY, "1", "2")
    desk.crm.answers["1"].append(RowState.FAILED)
    assert desk.deliver().states == {S.CREATED: 1, S.FAILED: 1}
    assert desk.due() == []
    desk.clock.move(seconds=30)
    assert desk.due() == [DAY]
    assert desk.deliver().states == {S.CREATED: 1}
    assert desk.due() == []


def test_a_death_while_a_lead_is_tried_again_leaves_its_day_due(desk: Desk) -> None:
    desk.put(DAY, "1")
    desk.crm.answers["1"].append(RowState.FAILED)
    desk.deliver()
    desk.clock.move(seconds=30)
    desk.crm.faults.append(DEATH_AFTER_THE_WRITE)
    with pytest.raises(KeyboardInterrupt):
        desk.deliver()

    assert desk.due() == [DAY]
    assert desk.deliver().states == {S.UNCHANGED: 1}
    assert len(desk.crm.records) == 1


def test_a_due_lead_that_is_no_longer_among_the_leads_makes_no_day_due_for_ever(desk: Desk) -> None:
    desk.put(DAY, "1", "2")
    desk.crm.answers["1"].append(RowState.FAILED)
    desk.deliver()
    desk.put(DAY, "2")
    desk.clock.move(seconds=30)

    assert desk.due() == [DAY]
    assert desk.deliver().states == {}
    assert desk.due() == []
    row = desk.outbox.of_leads("acme", "crm", ["1"])["1"]
    assert (row.state, row.last_error) == (S.FAILED, "no longer among the leads of its day")

    desk.put(day_after(1), "1")
    assert desk.deliver().states == {S.CREATED: 1}


def test_leads_without_an_address_are_held_with_the_reason(desk: Desk) -> None:
    desk.put(DAY, "1", sender_email=None)
    assert desk.deliver().states == {S.HELD: 1}
    assert desk.due() == []
    desk.put(DAY, "1")
    assert desk.deliver().states == {S.CREATED: 1}


def test_a_changed_mapping_touches_nothing_by_itself_and_all_by_hand(desk: Desk) -> None:
    desk.put(DAY, "1")
    desk.deliver()
    desk.to = destination(fields=(*desk.to.fields, FieldSource("note", "{query_message}")))

    assert desk.due() == [DAY]
    assert desk.deliver().states == {}
    assert desk.due() == []
    assert desk.deliver(DAY, by_hand=True).states == {S.UPDATED: 1}
    assert [values["note"] for values in desk.crm.records.values()] == ["canary message"]

    desk.to = replace(desk.to, key_id="renewed", secret_key="renewed")
    assert desk.due() == [], "keys decide nothing about what is sent"


def test_many_leads_fill_their_calls_over_days_and_chunks(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deliver_leads, "_AT_ONCE", 4)
    desk.crm.rows_per_call = 2
    for number in range(3):
        desk.put(day_after(number), *(f"{number}{lead}" for lead in range(3)))
    assert desk.deliver().states == {S.CREATED: 9}
    assert [len(batch) for batch in desk.crm.batches] == [2, 2, 2, 2, 1]
    assert [one for batch in desk.crm.batches for one in batch] == sorted(
        f"{n}{lead}" for n in range(3) for lead in range(3)
    )


def test_what_would_be_done_is_planned_without_a_trace(desk: Desk) -> None:
    desk.put(DAY, "1", "2")
    plans = [*desk.delivery().plan([DAY, day_after(5)], by_hand=True)]
    assert [(plan.candidate.lead.query_id, plan.verdict.value) for plan in plans] == [("1", "send"), ("2", "send")]
    assert desk.crm.batches == []
    assert desk.outbox.counts() == {}
    assert desk.log.runs_after(0) == []


def test_a_run_is_remembered_with_its_end_and_one_that_tried_nothing_is_not(desk: Desk) -> None:
    desk.put(DAY, "1", "2", "3")
    desk.crm.answers["1"].append(RowState.REJECTED)
    desk.crm.faults.append(Fault(2, NO_KEYS))
    desk.deliver()
    desk.deliver(DAY)

    (run,) = desk.log.runs_after(0)
    assert run == DeliveryRun("acme", "crm", "run", NOON, "bad_keys", NO_KEYS.reason, 1, 1, 0, 1, number=1)
    assert run.has_failed
    assert paused_until(desk.log, desk.to) == NOON + timedelta(hours=1)


@pytest.mark.parametrize(
    ("stops", "pause"),
    [
        ([], None),
        (["bad_keys", ""], None),
        (["unreachable"], timedelta(seconds=30)),
        (["unreachable"] * 3, timedelta(minutes=8)),
        (["unreachable"] * 20, timedelta(hours=6)),
        (["unreachable", "", "unreachable"], timedelta(seconds=30)),
        (["quota_used_up"], timedelta(hours=1)),
        (["misconfigured"] * 2, timedelta(hours=1)),
        (["bad_keys"] * 9, timedelta(hours=6)),
    ],
)
def test_pauses_after_stops_grow_and_end_with_a_run_that_went_through(
    desk: Desk, stops: list[str], pause: timedelta | None
) -> None:
    for stop in stops:
        desk.log.end_run(DeliveryRun("acme", "crm", "run", NOON, stop, "why" if stop else "", 1, 0, 0, 0))
    assert paused_until(desk.log, desk.to) == (None if pause is None else NOON + pause)
    assert {"bad_keys", "misconfigured", "quota_used_up", "unreachable"} == {kind.value for kind in StopKind}


def test_one_process_delivers_to_a_destination_at_a_time(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deliver_leads, "_LOCK_SECONDS", 0.05)
    desk.put(DAY, "1")
    with delivery_lock(desk.workspace.settings.state_dir, desk.to):
        with pytest.raises(DeliveryError, match=r"Another process has been delivering to acme\.crm"):
            desk.deliver()
        with delivery_lock(desk.workspace.settings.state_dir, destination(name="other")):
            pass
    assert desk.crm.batches == []
    assert desk.deliver().states == {S.CREATED: 1}


def test_without_keys_nothing_is_sent_and_their_places_are_told(desk: Desk) -> None:
    with pytest.raises(DeliveryError, match=r"The keys of acme.crm are not set \(CRM_ID and CRM_SECRET\)"):
        LeadDelivery(desk.workspace, destination(secret_key=""), "run")


def test_an_unknown_destination_is_refused_with_those_that_there_are() -> None:
    one, other = destination(), destination(name="other")
    assert destinations_of([one, other], "acme", None) == [one, other]
    assert destinations_of([one, other], "acme", "other") == [other]
    with pytest.raises(DeliveryError, match=r"no destination 'third' \(it has: crm, other\)"):
        destinations_of([one, other], "acme", "third")
    with pytest.raises(DeliveryError, match="Account bharat has no destination yet"):
        destinations_of([one, other], "bharat", None)


def test_no_value_of_a_lead_is_in_the_outbox_or_in_what_is_logged(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    desk.to = destination(activity="Enquiry")
    desk.put(DAY, "1", "2", sender_email="canary@mail.example")
    desk.crm.answers["1"].append(RowState.REJECTED)
    desk.deliver()
    state = desk.workspace.settings.state_dir
    stored = b"".join(path.read_bytes() for path in state.iterdir() if path.name.startswith("deliveries.sqlite"))
    assert b"record-1" in stored
    for value in (*PRIVATE.values(), "canary@mail.example", "CANARY/"):
        assert value.encode() not in stored
        assert value not in caplog.text + "".join(desk.lines) + repr(desk.outbox.in_states([*S]))
