"""Activities: each enquiry is noted at its record, once, whatever stops or dies."""

from pathlib import Path
from typing import NoReturn

import pytest

from leads_pipeline.delivery import sending
from leads_pipeline.delivery.crm import RowState
from leads_pipeline.delivery.outbox_rows import DeliveryState
from leads_pipeline_tests.delivery.memory_crm import (
    DAY,
    DEATH_AFTER_THE_WRITE,
    DEATH_BEFORE_THE_WRITE,
    NO_ANSWER,
    NO_KEYS,
    Desk,
    Fault,
    candidate,
    destination,
)

S = DeliveryState


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_enquiries_are_noted_once_each(desk: Desk) -> None:
    desk.to = destination(activity="IndiaMART enquiry")
    desk.send(candidate("1"), candidate("2", email=""))
    desk.send(candidate("1", city="Agra"))
    assert desk.crm.activities == ["1"]
    assert (desk.row("1").activity, desk.row("1").activity_id) == ("done", "activity-1")
    assert desk.row("2").activity == ""


@pytest.mark.parametrize("fault", [DEATH_BEFORE_THE_WRITE, DEATH_AFTER_THE_WRITE])
def test_an_enquiry_whose_noting_a_death_interrupted_is_not_noted_again(desk: Desk, fault: Fault) -> None:
    desk.to = destination(activity="IndiaMART enquiry")
    desk.crm.activity_faults.append(fault)
    desk.die(candidate("1"))
    assert (desk.row("1").state, desk.row("1").activity) == (S.CREATED, "unsure")
    assert desk.outbox.days_to_try_again("acme", "crm", desk.clock()) == []
    desk.send(candidate("1"))
    desk.send(candidate("1", city="Agra"))
    assert desk.crm.activities == (["1"] if fault is DEATH_AFTER_THE_WRITE else [])


def test_enquiries_that_a_stop_kept_from_being_noted_are_noted_later(desk: Desk) -> None:
    desk.to = destination(activity="IndiaMART enquiry")
    desk.crm.rows_per_call = 2
    leads = [candidate("1", minute=1), candidate("2", minute=2), candidate("3", minute=3)]
    desk.crm.activity_faults.append(Fault(1, NO_ANSWER))
    assert desk.send(*leads).stop == NO_ANSWER
    assert [desk.row(one).activity for one in "12"] == ["done", "due"]
    assert desk.send(leads[1]).waiting == 1

    desk.clock.move(minutes=1)
    assert desk.outbox.days_to_try_again("acme", "crm", desk.clock()) == [DAY]
    desk.crm.faults.append(Fault(1, NO_KEYS))
    assert desk.send(*leads).stop == NO_KEYS
    assert desk.row("3").activity == "due"
    assert desk.crm.activities == ["1"]

    again = desk.send(*leads)
    assert (again.states, again.noted, again.stop) == ({}, 2, None)
    assert desk.crm.activities == ["1", "2", "3"]
    assert desk.send(*leads).noted == 0
    assert desk.crm.batches == [["1", "2"], ["3"]]


def test_a_lead_that_fails_while_its_activity_is_due_is_tried_again_and_noted(desk: Desk) -> None:
    desk.to = destination(activity="IndiaMART enquiry")
    desk.crm.activity_faults.append(Fault(0, NO_ANSWER))
    desk.send(candidate("1"))
    desk.crm.answers["1"].append(RowState.FAILED)
    assert desk.send(candidate("1", city="Agra")).states == {S.FAILED: 1}
    assert desk.crm.activities == []
    desk.clock.move(seconds=30)
    assert desk.outbox.days_to_try_again("acme", "crm", desk.clock()) == [DAY]
    assert desk.send(candidate("1", city="Agra")).noted == 1


def test_a_death_between_receipts_and_activities_leaves_the_activities_due(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.to = destination(activity="IndiaMART enquiry")
    with monkeypatch.context() as patch:
        patch.setattr(sending, "reach", lambda point: _die() if point == "delivery:receipts" else None)
        desk.die(candidate("1"))
    assert desk.row("1").activity == "due"
    assert desk.outbox.days_to_try_again("acme", "crm", desk.clock()) == [DAY]
    assert desk.send(candidate("1")).noted == 1
    assert desk.crm.activities == ["1"]


def test_superseded_enquiries_are_noted_at_the_record_too(desk: Desk) -> None:
    desk.to = destination(activity="IndiaMART enquiry")
    desk.send(candidate("2", "asha@mail.example", minute=2))
    desk.send(candidate("1", "asha@mail.example", minute=1, city="Goa"))
    assert desk.row("1").state is S.SUPERSEDED
    assert desk.crm.activities == ["2", "1"]
    assert desk.send(candidate("1", "asha@mail.example", minute=1, city="Goa")).noted == 0


def test_activities_that_are_no_longer_wanted_are_forgotten(desk: Desk) -> None:
    desk.to = destination(activity="IndiaMART enquiry")
    desk.crm.activity_faults.append(Fault(0, NO_ANSWER))
    desk.send(candidate("1"))
    desk.to = destination()
    desk.clock.move(minutes=1)
    desk.send(candidate("1"))
    assert desk.outbox.days_to_try_again("acme", "crm", desk.clock()) == []
    assert (desk.row("1").activity, desk.crm.activities) == ("", [])


def _die() -> NoReturn:
    raise KeyboardInterrupt
