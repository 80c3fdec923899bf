"""One destination's runs against a CRM in memory: receipts, faults, deaths, and never a second record."""

import contextlib
import random
from collections import deque
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from leads_pipeline.delivery.crm import RowState
from leads_pipeline.delivery.due import MOST_ATTEMPTS, Candidate
from leads_pipeline.delivery.outbox_rows import DeliveryState
from leads_pipeline_tests.delivery.memory_crm import (
    DAY,
    DEATH_AFTER_THE_WRITE,
    DEATH_BEFORE_THE_WRITE,
    NO_ANSWER,
    NO_KEYS,
    NOON,
    Desk,
    Fault,
    MemoryCrm,
    candidate,
    destination,
    emails_of,
)

S = DeliveryState


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_leads_are_sent_once_with_a_receipt_each(desk: Desk) -> None:
    leads = [candidate("1"), candidate("2"), candidate("3", email="")]

    sent = desk.send(*leads)

    assert sent.states == {S.CREATED: 2, S.HELD: 1}
    assert (sent.done, sent.waiting, sent.stop) == (2, 0, None)
    row = desk.row("1")
    assert (row.remote_id, row.attempts, row.last_error) == ("record-1", 1, "")
    assert row.sent_hash == row.tried_hash == leads[0].payload_hash
    assert row.first_delivered_at == row.delivered_at == row.last_attempt_at == NOON
    assert desk.row("3").last_error == "has no e-mail address"

    assert desk.send(*leads).states == {}
    assert desk.crm.batches == [["1", "2", "3"]]


def test_a_process_that_died_after_the_write_is_looked_up_and_never_doubled(desk: Desk) -> None:
    desk.crm.faults.append(DEATH_AFTER_THE_WRITE)
    desk.die(candidate("1"), candidate("2"))
    assert desk.states(["1", "2"]) == [S.UNSURE, S.UNSURE]
    assert desk.row("1").attempts == 1

    desk.send(candidate("1"), candidate("2"), candidate("3"))

    assert sorted(desk.crm.looked_up) == ["1", "2"]
    assert desk.states(["1", "2", "3"]) == [S.UNCHANGED, S.UNCHANGED, S.CREATED]
    assert emails_of(desk.crm.records) == [f"buyer{one}@mail.example" for one in (1, 2, 3)]
    assert desk.row("1").remote_id == "record-1"


def test_a_process_that_died_before_the_write_makes_the_record_afterwards(desk: Desk) -> None:
    desk.crm.faults.append(DEATH_BEFORE_THE_WRITE)
    desk.die(candidate("1"))
    desk.send(candidate("1"))
    assert desk.crm.looked_up == ["1"]
    assert desk.states(["1"]) == [S.CREATED]


@pytest.mark.parametrize("fault", [DEATH_BEFORE_THE_WRITE, DEATH_AFTER_THE_WRITE])
def test_a_day_whose_lead_was_under_way_at_a_death_is_due_at_once(desk: Desk, fault: Fault) -> None:
    desk.crm.answers["1"].append(RowState.FAILED)
    desk.send(candidate("1"))
    desk.clock.move(minutes=1)
    desk.crm.faults.append(fault)
    desk.die(candidate("1"))
    assert desk.outbox.days_to_try_again("acme", "crm", desk.clock()) == [DAY]


def test_a_lead_whose_content_changed_while_it_was_unsure_is_looked_up_and_gets_the_new_content(desk: Desk) -> None:
    desk.crm.faults.append(DEATH_AFTER_THE_WRITE)
    desk.die(candidate("1"))
    desk.send(candidate("1", city="Agra"))
    assert desk.crm.looked_up == ["1"]
    assert [values["city"] for values in desk.crm.records.values()] == ["Agra"]


def test_failed_leads_wait_ever_longer_and_are_parked_in_the_end(desk: Desk) -> None:
    lead = candidate("1")
    desk.crm.answers["1"].extend([RowState.FAILED] * (MOST_ATTEMPTS + 1))
    pauses = []
    for _ in range(MOST_ATTEMPTS - 1):
        assert desk.send(lead).states == {S.FAILED: 1}
        next_try = desk.row("1").next_try_at
        assert next_try is not None
        pauses.append((next_try - desk.clock()).total_seconds())
        assert desk.send(lead).waiting == 1
        desk.clock.now = next_try
    assert pauses == [30, 120, 480, 1920, 7680, 21600, 21600]

    assert desk.send(lead).states == {S.PARKED: 1}
    assert desk.row("1").last_error == "given up after 8 attempts: the CRM says failed"
    assert desk.row("1").next_try_at is None
    desk.clock.move(days=30)
    assert desk.send(lead, by_hand=True).states == {}
    assert len(desk.crm.batches) == MOST_ATTEMPTS

    desk.outbox.try_again("acme", "crm", [S.PARKED])
    desk.clock.move(days=400)  # `try_again` goes by the wall clock
    assert desk.send(lead).states == {S.FAILED: 1}
    assert desk.row("1").attempts == 1


def test_refused_and_held_leads_go_out_again_only_when_their_content_changes(desk: Desk) -> None:
    desk.crm.answers["1"].append(RowState.REJECTED)
    assert desk.send(candidate("1"), candidate("2", email="")).states == {S.PARKED: 1, S.HELD: 1}
    assert desk.row("1").last_error == "the CRM says rejected"
    assert desk.send(candidate("1"), candidate("2", email=""), by_hand=True).states == {}

    assert desk.send(candidate("1", city="Agra"), candidate("2")).states == {S.CREATED: 2}
    assert desk.row("1").attempts == 1


def test_unsure_receipts_are_looked_up_when_they_are_due(desk: Desk) -> None:
    desk.crm.answers["1"].append(RowState.UNSURE)
    assert desk.send(candidate("1")).states == {S.UNSURE: 1}
    assert desk.send(candidate("1")).waiting == 1
    desk.clock.move(seconds=30)
    assert desk.send(candidate("1")).states == {S.UNCHANGED: 1}
    assert desk.crm.looked_up == ["1"]
    assert len(desk.crm.records) == 1


def test_a_stop_leaves_the_rest_due_and_what_was_unsure_unsure(desk: Desk) -> None:
    desk.crm.rows_per_call = 3
    desk.crm.answers["2"].append(RowState.UNSURE)
    desk.send(candidate("2", minute=2))
    desk.clock.move(minutes=1)
    desk.crm.faults.append(Fault(1, NO_KEYS))
    leads = [candidate(str(number), minute=number) for number in range(1, 6)]

    sent = desk.send(*leads)

    assert sent.stop == NO_KEYS
    assert sent.states == {S.CREATED: 1, S.UNSURE: 1, S.FAILED: 1}
    assert desk.states(["1", "2", "3"]) == [S.CREATED, S.UNSURE, S.FAILED]
    assert desk.row("2").last_error == "no answer came"
    assert (desk.row("3").attempts, desk.row("3").last_error) == (0, "not sent: the delivery stopped before")
    assert desk.outbox.of_leads("acme", "crm", ["4", "5"]) == {}

    desk.clock.move(minutes=1)
    desk.send(*leads)
    assert desk.states(["1", "2", "3", "4", "5"]) == [S.CREATED, S.UNCHANGED, *[S.CREATED] * 3]
    assert desk.crm.looked_up == ["2"]
    assert len(desk.crm.records) == 5


def test_stops_do_not_use_up_attempts(desk: Desk) -> None:
    for _ in range(2 * MOST_ATTEMPTS):
        desk.crm.faults.append(Fault(0, NO_ANSWER))
        desk.send(candidate("1"))
        desk.clock.move(hours=7)
    assert desk.send(candidate("1")).states == {S.CREATED: 1}


def test_a_stop_over_a_lead_that_stands_keeps_what_is_known_of_its_record(desk: Desk) -> None:
    desk.send(candidate("1"))
    desk.crm.faults.append(Fault(0, NO_ANSWER))
    desk.send(candidate("1", city="Agra"))
    row = desk.row("1")
    assert (row.state, row.remote_id, row.sent_hash) == (S.FAILED, "record-1", candidate("1").payload_hash)
    desk.clock.move(minutes=1)
    assert desk.send(candidate("1", city="Agra")).states == {S.UPDATED: 1}
    assert desk.row("1").first_delivered_at == NOON


def test_changed_content_is_sent_again_and_a_changed_mapping_by_hand_alone(desk: Desk) -> None:
    desk.send(candidate("1", city="Pune", content="same"))
    remapped = candidate("1", city="Pune", content="same", state="Goa")
    assert desk.send(remapped).states == {}
    assert desk.send(remapped, by_hand=True).states == {S.UPDATED: 1}
    assert desk.send(remapped, by_hand=True).states == {}

    desk.clock.move(hours=1)
    assert desk.send(candidate("1", city="Agra", state="Goa")).states == {S.UPDATED: 1}
    assert desk.crm.records == {"record-1": {"email": "buyer1@mail.example", "city": "Agra", "state": "Goa"}}
    assert desk.row("1").first_delivered_at == NOON
    assert desk.row("1").delivered_at == NOON + timedelta(hours=1)


def test_of_a_buyer_who_asks_again_the_newest_enquiry_stands_in_one_record(desk: Desk) -> None:
    older = candidate("1", "asha@mail.example", minute=1, city="Pune")
    newer = candidate("2", "ASHA@mail.example", minute=2, city="Agra")

    desk.send(newer, older)

    assert desk.crm.batches == [["1"], ["2"]]
    assert [values["city"] for values in desk.crm.records.values()] == ["Agra"]
    assert desk.row("2").remote_id == desk.row("1").remote_id == "record-1"


def test_an_older_enquiry_that_comes_late_is_superseded(desk: Desk) -> None:
    desk.send(candidate("2", "asha@mail.example", minute=2, city="Agra"))
    older = candidate("1", "asha@mail.example", minute=1, city="Pune")

    assert desk.send(older).states == {S.SUPERSEDED: 1}
    assert desk.row("1").remote_id == "record-1"
    assert desk.row("1").sent_hash is None
    assert desk.send(older, by_hand=True).states == {}
    assert desk.send(candidate("1", "asha@mail.example", minute=1, city="Goa")).states == {S.SUPERSEDED: 1}
    assert [values["city"] for values in desk.crm.records.values()] == ["Agra"]


def test_an_older_enquiry_that_changes_after_the_newer_one_was_sent_is_superseded(desk: Desk) -> None:
    older = candidate("1", "asha@mail.example", minute=1)
    desk.send(older, candidate("2", "asha@mail.example", minute=2, city="Agra"))
    assert desk.row("1").sent_hash == older.payload_hash
    assert desk.send(candidate("1", "asha@mail.example", minute=1, city="Goa")).states == {S.SUPERSEDED: 1}
    assert desk.row("1").sent_hash is None
    assert desk.row("1").first_delivered_at == NOON


@pytest.mark.parametrize("said", [RowState.UNSURE, RowState.FAILED])
def test_an_older_enquiry_that_failed_does_not_overwrite_the_newer_one(desk: Desk, said: RowState) -> None:
    known = candidate("0", "asha@mail.example", city="Goa")
    older = candidate("1", "asha@mail.example", minute=1, city="Pune")
    newer = candidate("2", "asha@mail.example", minute=2, city="Agra")
    desk.send(known)
    desk.crm.answers["1"].append(said)
    assert desk.send(older, newer).states[S.UPDATED] == 1
    desk.clock.move(minutes=1)

    assert desk.send(older, newer).states == {S.SUPERSEDED: 1}
    assert [values["city"] for values in desk.crm.records.values()] == ["Agra"]


@pytest.mark.parametrize("seed", range(12))
def test_whatever_happens_each_buyer_has_one_record_with_the_newest_enquiry(desk: Desk, seed: int) -> None:
    draws = random.Random(seed)
    desk.to, desk.crm = destination(activity="IndiaMART enquiry"), MemoryCrm(rows_per_call=3, is_unique=True)
    leads = [_drawn(random.Random(number), number) for number in range(9)]
    for _ in range(12):
        desk.crm.faults = deque([draws.choice([None, None, DEATH_BEFORE_THE_WRITE, DEATH_AFTER_THE_WRITE]), None])
        desk.crm.faults.append(draws.choice([None, Fault(1, NO_ANSWER), Fault(2, NO_KEYS), Fault(1)]))
        desk.crm.activity_faults = deque(draws.choices([None, None, Fault(1, NO_ANSWER), Fault(1)], k=3))
        for one in draws.sample(leads, 2):
            desk.crm.answers[one.lead.query_id].append(draws.choice([RowState.FAILED, RowState.UNSURE]))
        changed = draws.randrange(len(leads))
        leads[changed] = _drawn(random.Random(changed), changed, city=f"City {draws.random()}")
        with contextlib.suppress(KeyboardInterrupt):
            desk.send(*draws.sample(leads, draws.randint(1, len(leads))))
        desk.clock.move(seconds=draws.choice([1, 60, 3_600, 30_000]))

    desk.crm.faults.clear()
    desk.crm.activity_faults.clear()
    desk.crm.answers.clear()
    for _ in range(3):
        desk.clock.move(hours=7)
        desk.send(*leads)

    newest = {one.record_key: one for one in sorted(leads, key=lambda one: (one.query_time, one.lead.query_id))}
    cities = {values["email"]: values["city"] for values in desk.crm.records.values()}
    assert len(desk.crm.records) == len(newest)
    assert cities == {email: one.lead.values["city"] for email, one in newest.items()}
    assert len(desk.crm.activities) == len(set(desk.crm.activities))
    for one in leads:
        row = desk.row(one.lead.query_id)
        assert row.state.is_done
        assert row.remote_id is not None
        assert desk.crm.records[row.remote_id]["email"] == one.record_key
        assert row.activity == "unsure" or (row.activity == "done" and one.lead.query_id in desk.crm.activities)


def _drawn(draws: random.Random, number: int, city: str = "Pune") -> Candidate:
    return candidate(f"{number}", f"buyer{draws.randrange(4)}@mail.example", minute=number * 7 % 5, city=city)


def test_what_would_be_done_is_told_without_doing_it(desk: Desk) -> None:
    verdicts = desk.sender.due([candidate("1")])
    assert [verdict.value for _, verdict in verdicts] == ["send"]
    assert desk.crm.batches == []
    assert desk.outbox.of_leads("acme", "crm", ["1"]) == {}


def test_the_outbox_holds_no_value_of_a_lead(desk: Desk) -> None:
    secrets: dict[str, Any] = {"city": "Canary City", "name": "Canary Devi", "phone": "+919812345678"}
    lead = candidate("1", "canary@mail.example", content="hash of the content", **secrets)
    lead = replace(lead, note="canary message", record_key="hash of the key")
    desk.to = destination(activity="IndiaMART enquiry")
    desk.send(lead)
    stored = b"".join(path.read_bytes() for path in desk.folder.iterdir() if path.is_file())
    assert b"record-1" in stored
    for value in (*secrets.values(), "canary@mail.example", "canary message", "CANARY/"):
        assert value.encode() not in stored
        assert value not in repr(lead) + repr(desk.to)
