"""Which leads are due: a pure decision of what a lead is now and what the outbox knows of it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import Enum

from leads_pipeline.delivery.crm import OutgoingLead
from leads_pipeline.delivery.outbox_rows import Delivery, DeliveryState, Standing

MOST_ATTEMPTS = 8
"""A lead that failed so often is parked."""
_FIRST_PAUSE = timedelta(seconds=30)
_LONGEST_PAUSE = timedelta(hours=6)
_PAUSE_GROWTH = 4
NOTE_DUE = "due"
"""The state of an activity that is still to be added."""


@dataclass(frozen=True)
class Candidate:
    """A lead as the destination would get it now."""

    lead: OutgoingLead
    lead_date: date
    query_time: datetime
    first_seen_at: datetime
    content_hash: str
    payload_hash: str
    record_key: str | None
    """A hash of what the CRM knows the buyer's record by; None if there is nothing to know it by."""
    note: str = field(repr=False, default="")
    """The text of the activity that notes the enquiry."""


class Verdict(Enum):
    """What is to be done with a candidate."""

    SEND = "send"
    SUPERSEDE = "supersede"
    """Nothing is sent, for the record holds a newer enquiry of the same buyer."""
    NOTE = "note"
    """The record stands as it should; the activity that notes the enquiry is due."""
    WAIT = "wait"
    """Its next attempt is not due yet."""
    SKIP = "skip"


def judge(
    candidate: Candidate, row: Delivery | None, standing: Standing | None, now: datetime, *, by_hand: bool
) -> Verdict:
    """Return what is to be done with the candidate.

    `row` is what the outbox knows of it, `standing` the newest enquiry that its record holds. What stands in the CRM
    is sent again by itself only if the lead's content changed too: a new mapping alone touches nothing, for people
    work with it. `by_hand` sends that as well.
    """
    if row is None:
        verdict = Verdict.SEND
    elif row.state is DeliveryState.UNSURE or row.state is DeliveryState.FAILED:
        verdict = Verdict.SEND if row.next_try_at is None or row.next_try_at <= now else Verdict.WAIT
    elif _stands(candidate, row, by_hand=by_hand):
        return _rest(row, now)
    else:
        verdict = Verdict.SEND
    is_old_news = (
        standing is not None
        and standing.query_id != candidate.lead.query_id
        and candidate.query_time < standing.query_time
    )
    return Verdict.SUPERSEDE if verdict is Verdict.SEND and is_old_news else verdict


def _stands(candidate: Candidate, row: Delivery, *, by_hand: bool) -> bool:
    """Tell whether a lead that was done, held or parked is to stay as it is."""
    if not row.state.is_done:
        return candidate.payload_hash == row.tried_hash
    is_same = candidate.payload_hash == (row.sent_hash or row.tried_hash)
    return is_same or (candidate.content_hash == row.content_hash and not by_hand)


def _rest(row: Delivery, now: datetime) -> Verdict:
    """Return what is left to do for a lead that is not sent again."""
    if row.activity != NOTE_DUE:
        return Verdict.SKIP
    return Verdict.NOTE if row.next_try_at is None or row.next_try_at <= now else Verdict.WAIT


def pause_after(attempts: int) -> timedelta:
    """Return how long to wait after so many failed attempts: 30 s, 2 min, 8 min, ... 6 h at most."""
    growth: int = _PAUSE_GROWTH ** min(max(attempts - 1, 0), MOST_ATTEMPTS)
    return min(_FIRST_PAUSE * growth, _LONGEST_PAUSE)


def batches_of(candidates: Iterable[Candidate], size: int) -> Iterator[list[Candidate]]:
    """Yield the candidates in batches of at most `size`, older enquiries first, never two of one record in a batch.

    A later enquiry of a buyer is always in a later batch than an earlier one, so that the newest content wins; the
    number of batches is the least that this allows when they are filled from the front.
    """
    batches: list[list[Candidate]] = []
    last_of_record: dict[str, int] = {}
    first_open = 0
    for candidate in sorted(candidates, key=lambda one: (one.query_time, one.lead.query_id)):
        key = candidate.record_key
        place = max(first_open, last_of_record.get(key, -1) + 1 if key else 0)
        while place < len(batches) and len(batches[place]) >= size:
            place += 1
        if place == len(batches):
            batches.append([])
        batches[place].append(candidate)
        if key:
            last_of_record[key] = place
        while first_open < len(batches) and len(batches[first_open]) >= size:
            first_open += 1
    yield from batches
