"""One run of a destination: batch by batch, written to the outbox before each call and after each answer."""

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from leads_pipeline.delivery.crm import Activity, Crm, Delivered, RowReceipt, RowState, Stop
from leads_pipeline.delivery.destination import Destination
from leads_pipeline.delivery.due import MOST_ATTEMPTS, NOTE_DUE, Candidate, Verdict, batches_of, judge, pause_after
from leads_pipeline.delivery.outbox import Outbox
from leads_pipeline.delivery.outbox_rows import Delivery, DeliveryState, Standing
from leads_pipeline.kill_points import reach

log = logging.getLogger(__name__)

_SUPERSEDED = "a newer enquiry of the same buyer stands in the CRM already"
_STATES = {
    RowState.CREATED: DeliveryState.CREATED,
    RowState.UPDATED: DeliveryState.UPDATED,
    RowState.UNCHANGED: DeliveryState.UNCHANGED,
    RowState.KEPT: DeliveryState.KEPT,
    RowState.HELD: DeliveryState.HELD,
    RowState.REJECTED: DeliveryState.PARKED,
    RowState.FAILED: DeliveryState.FAILED,
    RowState.UNSURE: DeliveryState.UNSURE,
}


@dataclass
class Sent:
    """What became of a run."""

    states: Counter[DeliveryState] = field(default_factory=Counter)
    """How many leads ended in which state."""
    noted: int = 0
    """Enquiries that the CRM was told to note."""
    waiting: int = 0
    """Leads whose next attempt is not due yet."""
    stop: Stop | None = None

    @property
    def done(self) -> int:
        """Return how many leads the CRM has now as it should."""
        return sum(count for state, count in self.states.items() if state.is_done)


@dataclass(frozen=True)
class _Due:
    candidate: Candidate
    row: Delivery | None


class Sender:
    """Sends what is due of some leads to one destination; the caller holds the destination's lock."""

    def __init__(self, destination: Destination, crm: Crm, outbox: Outbox, clock: Callable[[], datetime]) -> None:
        self._destination, self._crm, self._outbox, self._clock = destination, crm, outbox, clock

    def due(self, candidates: Sequence[Candidate], *, by_hand: bool = False) -> list[tuple[Candidate, Verdict]]:
        """Return what would be done with each candidate now; nothing is sent or written."""
        rows = self._rows(candidates)
        standing = self._standing(candidates)
        now = self._clock()
        return [
            (one, judge(one, rows.get(one.lead.query_id), standing.get(one.record_key), now, by_hand=by_hand))
            for one in candidates
        ]

    def send(self, candidates: Sequence[Candidate], *, by_hand: bool = False) -> Sent:
        """Send what is due of the candidates and return what became of it; safe to kill at any line.

        An older enquiry goes before a newer one of the same buyer. After a stop, what was not sent stays due.
        """
        sent = Sent()
        verdicts = self.due(candidates, by_hand=by_hand)
        rows = self._rows(candidates)
        sent.waiting = sum(verdict is Verdict.WAIT for _, verdict in verdicts)
        self._supersede([one for one, verdict in verdicts if verdict is Verdict.SUPERSEDE], rows, sent)
        due = [one for one, verdict in verdicts if verdict is Verdict.SEND]
        for batch in batches_of(due, self._crm.rows_per_call):
            self._send_batch(batch, rows, sent)
            if sent.stop is not None:
                return sent
        self._note_rest([one for one, verdict in verdicts if verdict in (Verdict.NOTE, Verdict.SUPERSEDE)], sent)
        return sent

    def _send_batch(self, batch: Sequence[Candidate], rows: dict[str, Delivery], sent: Sent) -> None:
        standing = self._standing(batch)
        items = [
            self._item(candidate, rows.get(candidate.lead.query_id), standing.get(candidate.record_key))
            for candidate in batch
        ]
        started = [self._begun(item) for item in items]
        self._outbox.put(started)
        reach("delivery:begun")
        delivered = self._crm.deliver([item.candidate.lead for item in items])
        reach("delivery:answered")
        ended = self._ended(items, started, delivered)
        self._outbox.put(ended)
        reach("delivery:receipts")
        sent.states.update(row.state for row in ended)
        sent.stop = delivered.stop
        self._note_enquiries([item.candidate for item in items], ended, sent)

    @staticmethod
    def _item(candidate: Candidate, row: Delivery | None, standing: Standing | None) -> _Due:
        """Return the candidate with what earlier receipts, its own or of its buyer's enquiries, say of its record."""
        remote_id = (row.remote_id if row else None) or (standing.remote_id if standing else None)
        unsure = row is not None and row.state is DeliveryState.UNSURE
        return _Due(replace(candidate, lead=replace(candidate.lead, remote_id=remote_id, unsure=unsure)), row)

    def _begun(self, item: _Due) -> Delivery:
        """Return the row as it stands while the call is under way: whoever finds it so must look the lead up."""
        candidate, before = item.candidate, item.row
        is_new_try = before is None or before.tried_hash != candidate.payload_hash or before.state.is_done
        return Delivery(
            account=self._destination.account,
            destination=self._destination.name,
            query_id=candidate.lead.query_id,
            lead_date=candidate.lead_date,
            query_time=candidate.query_time,
            first_seen_at=candidate.first_seen_at,
            state=DeliveryState.UNSURE,
            content_hash=candidate.content_hash,
            tried_hash=candidate.payload_hash,
            sent_hash=before.sent_hash if before else None,
            remote_id=candidate.lead.remote_id,
            record_key=candidate.record_key,
            attempts=1 if is_new_try or before is None else before.attempts + 1,
            last_error="sent; no answer was recorded yet",
            first_delivered_at=before.first_delivered_at if before else None,
            delivered_at=before.delivered_at if before else None,
            last_attempt_at=self._clock(),
            next_try_at=self._clock(),  # else nobody would come back to its day, if that was looked at before
            activity=before.activity if before else "",
            activity_id=before.activity_id if before else None,
        )

    def _ended(self, items: Sequence[_Due], started: Sequence[Delivery], delivered: Delivered) -> list[Delivery]:
        receipts = {receipt.query_id: receipt for receipt in delivered.receipts}
        return [
            self._with_receipt(row, receipt) if (receipt := receipts.get(row.query_id)) else self._not_sent(item, row)
            for item, row in zip(items, started, strict=True)
        ]

    def _not_sent(self, item: _Due, started: Delivery) -> Delivery:
        """Return the row of a lead that the CRM was not told: as it was, or due at once."""
        before = item.row
        if before is not None and before.state is DeliveryState.UNSURE:
            return replace(before, next_try_at=self._clock() + pause_after(before.attempts))
        return replace(
            started,
            state=DeliveryState.FAILED,
            attempts=started.attempts - 1,
            last_error="not sent: the delivery stopped before",
            next_try_at=self._clock() + pause_after(started.attempts),
        )

    def _with_receipt(self, row: Delivery, receipt: RowReceipt) -> Delivery:
        now, state = self._clock(), _STATES[receipt.state]
        if state.is_done:
            return self._to_be_noted(
                replace(
                    row,
                    state=state,
                    remote_id=receipt.remote_id or row.remote_id,
                    sent_hash=row.tried_hash,
                    last_error="",
                    first_delivered_at=row.first_delivered_at or now,
                    delivered_at=now,
                )
            )
        reason = receipt.reason or receipt.state.value
        if state in (DeliveryState.HELD, DeliveryState.PARKED):
            return replace(row, state=state, last_error=reason, next_try_at=None)
        if state is DeliveryState.FAILED and row.attempts >= MOST_ATTEMPTS:
            given_up = f"given up after {row.attempts} attempts: {reason}"
            return replace(row, state=DeliveryState.PARKED, last_error=given_up, next_try_at=None)
        return replace(row, state=state, last_error=reason, next_try_at=now + pause_after(row.attempts))

    def _supersede(self, candidates: Sequence[Candidate], rows: dict[str, Delivery], sent: Sent) -> None:
        standing = self._standing(candidates)
        put = [
            self._to_be_noted(
                replace(
                    self._begun(_Due(candidate, rows.get(candidate.lead.query_id))),
                    state=DeliveryState.SUPERSEDED,
                    remote_id=standing[candidate.record_key].remote_id,
                    sent_hash=None,
                    last_error=_SUPERSEDED,
                )
            )
            for candidate in candidates
        ]
        self._outbox.put(put)
        sent.states.update(row.state for row in put)

    def _to_be_noted(self, row: Delivery) -> Delivery:
        """Return a row that is done, with its activity due if one is wanted and none was ever sent."""
        if not self._destination.activity or not row.remote_id or row.activity not in ("", NOTE_DUE):
            return replace(row, next_try_at=None)
        return replace(row, activity=NOTE_DUE, next_try_at=self._clock())

    def _note_rest(self, candidates: Sequence[Candidate], sent: Sent) -> None:
        """Note enquiries whose leads stand in the CRM already."""
        size = self._crm.rows_per_call
        for part in (candidates[start : start + size] for start in range(0, len(candidates), size)):
            self._note_enquiries(part, [*self._rows(part).values()], sent)

    def _note_enquiries(self, candidates: Sequence[Candidate], rows: Iterable[Delivery], sent: Sent) -> None:
        """Add the activities that are due of these rows; after a stop they stay due.

        A CRM can't be asked whether an activity stands there, so each is sent once: one that was under way when the
        process died is never sent again.
        """
        wanted = [row for row in rows if row.activity == NOTE_DUE and row.state.is_done]
        if sent.stop is not None or not wanted:
            return
        if not self._destination.activity:  # no longer wanted
            self._outbox.put(replace(row, activity="", next_try_at=None) for row in wanted)
            return
        self._outbox.put(replace(row, activity="unsure", next_try_at=None) for row in wanted)
        reach("delivery:activities")
        notes = {candidate.lead.query_id: candidate.note for candidate in candidates}
        delivered = self._crm.add_activities(
            [Activity(row.query_id, row.remote_id or "", notes[row.query_id], row.query_time) for row in wanted]
        )
        receipts = {receipt.query_id: receipt for receipt in delivered.receipts}
        self._outbox.put(self._noted(row, receipts.get(row.query_id)) for row in wanted)
        sent.noted += len(receipts)
        sent.stop = delivered.stop

    def _noted(self, row: Delivery, receipt: RowReceipt | None) -> Delivery:
        if receipt is None:
            return replace(row, next_try_at=self._clock() + pause_after(1))
        state = "done" if receipt.state.is_done else "unsure" if receipt.state is RowState.UNSURE else "failed"
        return replace(row, activity=state, activity_id=receipt.remote_id, next_try_at=None)

    def _rows(self, candidates: Sequence[Candidate]) -> dict[str, Delivery]:
        ids = [candidate.lead.query_id for candidate in candidates]
        return self._outbox.of_leads(self._destination.account, self._destination.name, ids)

    def _standing(self, candidates: Sequence[Candidate]) -> dict[str | None, Standing]:
        keys = [candidate.record_key for candidate in candidates if candidate.record_key]
        return dict(self._outbox.standing(self._destination.account, self._destination.name, keys).items())
