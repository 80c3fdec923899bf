"""Which leads are due, and how they are put into batches."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leads_pipeline.delivery.due import Verdict, batches_of, judge, pause_after
from leads_pipeline.delivery.outbox_rows import Delivery, DeliveryState, Standing
from leads_pipeline_tests.delivery.memory_crm import DAY, NOON, candidate

NOW = candidate("1", city="Pune")
OLD = candidate("1", city="Agra")
LATER, EARLIER = NOON + timedelta(seconds=1), NOON - timedelta(seconds=1)
NEWER = Standing("2", NOW.query_time + timedelta(seconds=1), "record-1")


def row(state: DeliveryState, **values: Any) -> Delivery:
    known: dict[str, Any] = {
        "content_hash": NOW.content_hash,
        "tried_hash": NOW.payload_hash,
        "sent_hash": NOW.payload_hash if state.is_done else None,
        **values,
    }
    return Delivery("acme", "crm", "1", DAY, NOW.query_time, NOW.first_seen_at, state, **known)


OTHER_PAYLOAD = {"tried_hash": OLD.payload_hash, "sent_hash": OLD.payload_hash}
OTHER_CONTENT = {**OTHER_PAYLOAD, "content_hash": OLD.content_hash}
TRIED_OTHER = {"tried_hash": OLD.payload_hash, "content_hash": OLD.content_hash}
DONE = (DeliveryState.CREATED, DeliveryState.UPDATED, DeliveryState.UNCHANGED, DeliveryState.KEPT)


@pytest.mark.parametrize(
    ("known", "standing", "by_hand", "verdict"),
    [
        (None, None, False, Verdict.SEND),
        (None, NEWER, False, Verdict.SUPERSEDE),
        (None, Standing("2", NOW.query_time, "record-1"), False, Verdict.SEND),
        (None, Standing("1", NOW.query_time + timedelta(seconds=9), "record-1"), False, Verdict.SEND),
        (row(DeliveryState.FAILED, next_try_at=LATER), None, False, Verdict.WAIT),
        (row(DeliveryState.FAILED, next_try_at=LATER), NEWER, True, Verdict.WAIT),
        (row(DeliveryState.FAILED, next_try_at=NOON), None, False, Verdict.SEND),
        (row(DeliveryState.FAILED, next_try_at=EARLIER), NEWER, False, Verdict.SUPERSEDE),
        (row(DeliveryState.FAILED), None, False, Verdict.SEND),
        (row(DeliveryState.UNSURE, next_try_at=LATER), None, False, Verdict.WAIT),
        (row(DeliveryState.UNSURE), None, False, Verdict.SEND),
        (row(DeliveryState.UNSURE, next_try_at=EARLIER), NEWER, False, Verdict.SUPERSEDE),
        (row(DeliveryState.UNSURE, next_try_at=LATER), NEWER, False, Verdict.WAIT),
        *((row(state), None, True, Verdict.SKIP) for state in DONE),
        *((row(state, **OTHER_PAYLOAD), None, False, Verdict.SKIP) for state in DONE),
        *((row(state, **OTHER_PAYLOAD), None, True, Verdict.SEND) for state in DONE),
        *((row(state, **OTHER_CONTENT), None, False, Verdict.SEND) for state in DONE),
        (row(DeliveryState.CREATED, **OTHER_CONTENT), NEWER, True, Verdict.SUPERSEDE),
        (row(DeliveryState.CREATED, content_hash=OLD.content_hash), None, True, Verdict.SKIP),
        (row(DeliveryState.CREATED, sent_hash=OLD.payload_hash), None, True, Verdict.SEND),
        (row(DeliveryState.SUPERSEDED, sent_hash=None), NEWER, True, Verdict.SKIP),
        (row(DeliveryState.SUPERSEDED, sent_hash=None, **TRIED_OTHER), NEWER, False, Verdict.SUPERSEDE),
        (row(DeliveryState.CREATED, activity="due"), NEWER, False, Verdict.NOTE),
        (row(DeliveryState.CREATED, activity="due", **OTHER_PAYLOAD), None, False, Verdict.NOTE),
        (row(DeliveryState.CREATED, activity="due", **OTHER_CONTENT), None, False, Verdict.SEND),
        (row(DeliveryState.CREATED, activity="due", next_try_at=LATER), None, True, Verdict.WAIT),
        (row(DeliveryState.CREATED, activity="unsure"), None, False, Verdict.SKIP),
        (row(DeliveryState.HELD), None, True, Verdict.SKIP),
        (row(DeliveryState.HELD, tried_hash=OLD.payload_hash), None, False, Verdict.SEND),
        (row(DeliveryState.PARKED), None, True, Verdict.SKIP),
        (row(DeliveryState.PARKED, sent_hash=OLD.payload_hash), None, True, Verdict.SKIP),
        (row(DeliveryState.PARKED, tried_hash=OLD.payload_hash), None, False, Verdict.SEND),
        (row(DeliveryState.PARKED, tried_hash=OLD.payload_hash), NEWER, False, Verdict.SUPERSEDE),
    ],
)
def test_what_is_done_with_a_lead(
    known: Delivery | None, standing: Standing | None, by_hand: bool, verdict: Verdict
) -> None:
    assert judge(NOW, known, standing, NOON, by_hand=by_hand) is verdict


def test_pauses_grow_from_half_a_minute_to_six_hours() -> None:
    seconds = [pause_after(attempts).total_seconds() for attempts in range(9)]
    assert seconds == [30, 30, 120, 480, 1920, 7680, 21600, 21600, 21600]


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.sampled_from(["a@x", "b@x", "c@x", ""]), st.integers(0, 5)), max_size=25),
    st.integers(1, 6),
)
def test_batches_keep_records_apart_older_enquiries_first_and_are_the_fewest(
    leads: list[tuple[str, int]], size: int
) -> None:
    given_leads = [candidate(f"{number:02}", email, minute=minute) for number, (email, minute) in enumerate(leads)]
    batches = [*batches_of(reversed(given_leads), size)]

    in_order = [one.lead.query_id for batch in batches for one in batch]
    assert sorted(in_order) == [one.lead.query_id for one in given_leads]
    assert all(0 < len(batch) <= size for batch in batches)
    place = {one.lead.query_id: number for number, batch in enumerate(batches) for one in batch}
    by_age = sorted(given_leads, key=lambda one: (one.query_time, one.lead.query_id))
    for key in {one.record_key for one in given_leads} - {None}:
        places = [place[one.lead.query_id] for one in by_age if one.record_key == key]
        assert places == sorted(set(places))
    most_of_one_record = max(sum(one.record_key == key for one in given_leads) for key in ("a@x", "b@x", "c@x"))
    fewest = max(-(-len(leads) // size), most_of_one_record)
    assert len(batches) >= fewest
    if most_of_one_record <= 1:
        assert len(batches) == fewest
