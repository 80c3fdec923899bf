"""One `deliver`: each lead is created, found or updated until it has a receipt; nothing is ever created twice.

Whole leads go in bulk calls, for those may create; parts of leads go by Lead.Update, which can't. LeadSquared takes
each value of a unique field once, so a lead that is sent again after a lost answer makes no second record.
"""

from collections.abc import Callable, Sequence, Set

from leads_pipeline.delivery.crm import (
    CrmStopError,
    RemoteLead,
    RowReceipt,
    RowState,
    Stop,
    StopKind,
)
from leads_pipeline.delivery.leadsquared.answers import (
    DUPLICATE,
    INVALID,
    MARKUP,
    NO_LEAD,
    TOO_FAST,
    UNKNOWN_FIELD,
    Fault,
    Judged,
    Kind,
    RowResult,
)
from leads_pipeline.delivery.leadsquared.client import LeadSquaredClient, unreachable
from leads_pipeline.delivery.leadsquared.fields import ID, SEARCH_BY, SEARCH_BY_ID, FieldBook
from leads_pipeline.delivery.leadsquared.options import MOST_CREATED, MOST_UPSERTED, LeadSquaredOptions
from leads_pipeline.delivery.leadsquared.records import Lookup, changes
from leads_pipeline.delivery.leadsquared.rows import Row, Step

BULK_CREATE = "LeadManagement.svc/Lead/Bulk/Create"
BULK_UPSERT = "LeadManagement.svc/Lead/Bulk/CreateOrUpdate"
UPDATE = "LeadManagement.svc/Lead.Update"
NO_KEY = "has neither phone, e-mail address nor search key, without which its record can't be found again"
_MOST_UNANSWERED = 3
_MOST_REFUSALS = 3
_MOST_SENDS = 20
"""Calls with one row; to find one bad row among 50 takes seven."""
_NO_ANSWER = "sent, and no answer told whether it was written"
_ABSENT = {
    "update_only": "not in the CRM; the sync behaviour is update only",
    "nothing": "not in the CRM; the sync behaviour is nothing",
}
_NOT_FOUND = "the CRM says that a lead with its unique fields stands there, and does not find it"
_NO_END = "the CRM answers this lead again and again with something else to be done"

Pairs = list[dict[str, str]]


class Sending:
    """Sends the rows of one delivery; `receipts` are right at any moment, also when CrmStopError ends it."""

    def __init__(
        self,
        client: LeadSquaredClient,
        lookup: Lookup,
        options: LeadSquaredOptions,
        book: FieldBook,
        rows: Sequence[Row],
    ) -> None:
        self._client, self._lookup, self._options, self._book = client, lookup, options, book
        self._rows = rows
        self._stop: Stop | None = None
        self.unknown_fields: set[str] = set()
        """Fields that the CRM called unknown."""
        self.receipts: dict[str, RowReceipt] = {}

    def run(self) -> None:
        """Bring each row to its receipt; raise CrmStopError when it makes no sense to go on."""
        for row in self._rows:
            row.is_unsure = row.lead.unsure
            self._begin(row)
        while any(row.step is not Step.DONE for row in self._rows):
            for row in self._at(Step.LOOK_UP):
                self._look_up(row)
            self._send(Step.CREATE)
            self._send(Step.UPSERT)
            for row in self._at(Step.UPDATE):
                self._update(row)

    def _at(self, step: Step) -> list[Row]:
        return [row for row in self._rows if row.step is step]

    def _put(self, row: Row, state: RowState, reason: str = "", remote_id: str | None = None) -> None:
        if state is not RowState.UNSURE:
            row.step = Step.DONE
        self.receipts[row.lead.query_id] = RowReceipt(row.lead.query_id, state, remote_id or row.remote_id, reason)

    def _begin(self, row: Row) -> None:
        reads = self._options.sync in ("update_only", "nothing") or row.is_unsure
        if reads or (row.remote_id and not self._options.overwrites):
            row.step = Step.LOOK_UP
        elif row.remote_id or self._options.overwrites:
            row.step = Step.UPSERT
        else:  # only a unique key keeps Bulk/Create from a second record
            row.step = Step.CREATE if row.keys[0][0] in self._book.unique else Step.LOOK_UP

    # Looking up

    def _look_up(self, row: Row) -> None:
        record = self._lookup.record(row.remote_id, row.keys)
        if record is not None:
            self._settle(row, record)
            return
        row.remote_id = None
        if row.must_stand and self._options.sync == "create_only":
            self._put(row, RowState.KEPT)
        elif row.must_stand:
            self._put(row, RowState.REJECTED if row.refused else RowState.FAILED, row.refused or _NOT_FOUND)
        elif absent := _ABSENT.get(self._options.sync):
            self._put(row, RowState.HELD, absent)
        elif not row.keys:
            self._put(row, RowState.HELD, NO_KEY)
        else:
            row.step = Step.UPSERT if self._options.overwrites else Step.CREATE

    def _settle(self, row: Row, record: RemoteLead) -> None:
        """Decide what is to be done with a row whose record was read."""
        row.remote_id = record.remote_id
        if self._options.sync in ("create_only", "nothing"):
            is_ours = row.is_unsure and self._options.sync == "create_only"
            is_same = is_ours and not changes(row.values, record, "overwrite", self._book)
            self._put(row, RowState.UNCHANGED if is_same else RowState.KEPT)
            return
        differs = changes(row.values, record, self._options.update, self._book)
        row.body = {name: text for name, text in differs.items() if name not in row.clashing}
        if not row.body:
            self._put(row, RowState.UPDATED if row.was_updated else RowState.UNCHANGED)
        elif self._options.overwrites and not row.must_stand:
            row.step = Step.UPSERT
        else:
            row.step = Step.UPDATE

    # Sending

    def _send(self, step: Step) -> None:
        rows = self._at(step)
        size = min(self._options.rows_per_call, MOST_CREATED if step is Step.CREATE else MOST_UPSERTED)
        for start in range(0, len(rows), size):
            self._send_some(step, rows[start : start + size])

    def _send_some(self, step: Step, rows: list[Row]) -> None:
        rows = [row for row in rows if self._may_send(row)]
        if not rows:
            return
        path = BULK_CREATE if step is Step.CREATE else BULK_UPSERT
        bodies = [_pairs(row.values) if step is Step.CREATE else self._upsert(row) for row in rows]
        judged = self._told(
            rows, lambda: self._client.call(path, body=bodies, rows=len(rows), is_bulk=True), is_update=False
        )
        if judged is None:
            return
        if judged.kind is Kind.DONE:
            for row, result in zip(rows, judged.rows, strict=True):
                self._take(row, result, step)
        else:
            self._take_whole(step, rows, judged)
        self._check_unanswered(rows, judged)
        if self._stop is not None:
            raise CrmStopError(self._stop)

    def _may_send(self, row: Row) -> bool:
        """Count a call with the row; end one that comes to no end."""
        row.sends += 1
        if row.sends <= _MOST_SENDS:
            return True
        self._put(row, RowState.UNSURE if row.is_unsure else RowState.FAILED, _NO_END)
        row.step = Step.DONE
        return False

    def _upsert(self, row: Row) -> Pairs:
        if row.remote_id:
            return _pairs({**row.values, ID: row.remote_id, SEARCH_BY: SEARCH_BY_ID})
        return _pairs({**row.values, SEARCH_BY: row.keys[min(row.tried_keys, len(row.keys) - 1)][0]})

    def _told(self, rows: list[Row], call: Callable[[], Judged], *, is_update: bool) -> Judged | None:
        """Make a call with the rows' receipts right at any moment; None where no answer tells, with all to look up."""
        before = {row.lead.query_id: self.receipts.get(row.lead.query_id) for row in rows}
        for row in rows:
            self._put(row, RowState.UNSURE, _NO_ANSWER)
        try:
            judged = call()
        except CrmStopError as error:
            self._restore(rows, before, error)
            raise
        if judged.kind is Kind.UNREADABLE:
            for row in rows:
                row.was_updated = row.was_updated or is_update
                self._not_known(row)
            self._check_unanswered(rows, judged)
            self._client.wait()
            return None
        for row in rows:
            if not row.is_unsure:
                del self.receipts[row.lead.query_id]  # this call did not write it, or its result follows
        return judged

    def _restore(self, rows: list[Row], before: dict[str, RowReceipt | None], error: CrmStopError) -> None:
        """Give the rows of a call that was refused, or never arrived, the receipts that they had."""
        for row in rows:
            receipt = before[row.lead.query_id]
            if receipt is not None:
                self.receipts[row.lead.query_id] = receipt
            elif row.is_unsure or error.stop.kind is not StopKind.UNREACHABLE:
                del self.receipts[row.lead.query_id]
            else:
                self._put(row, RowState.FAILED, "not written: the CRM can't be reached or takes no more calls now")

    def _not_known(self, row: Row) -> None:
        """Have a row looked up that may have been written."""
        row.unanswered += 1
        row.is_unsure = True
        row.step = Step.LOOK_UP
        self._put(row, RowState.UNSURE, _NO_ANSWER)

    def _check_unanswered(self, rows: list[Row], judged: Judged) -> None:
        if any(row.unanswered >= _MOST_UNANSWERED and row.step is Step.LOOK_UP for row in rows):
            raise unreachable(judged.reason or "answers lack rows")

    def _take_whole(self, step: Step, rows: list[Row], judged: Judged) -> None:
        """Leave out unknown fields of a refused call, else send it in halves to find the bad row."""
        fault = judged.fault or Fault("")
        names = {name for row in rows for name in row.values}
        unknown = fault.fields_of(names) if fault.type == UNKNOWN_FIELD else frozenset()
        marked = [row for row in rows if fault.type == MARKUP and not row.is_stripped and row.has_markup]
        for row in marked:
            row.strip()
        for row in rows if unknown else ():
            self._leave_out(row, unknown & row.values.keys())
        if unknown or marked:
            self._send_some(step, [row for row in rows if row.step is step])
        elif len(rows) == 1:
            self._take(rows[0], RowResult(fault=fault), step)
        else:
            middle = len(rows) // 2
            self._send_some(step, rows[:middle])
            self._send_some(step, rows[middle:])

    def _update(self, row: Row) -> None:
        if not self._may_send(row):
            return
        params, body = {"leadId": row.remote_id or ""}, _pairs(row.body)
        judged = self._told([row], lambda: self._client.call(UPDATE, params, body, rows=1), is_update=True)
        if judged is None:
            return
        if judged.kind is Kind.DONE:
            self._put(row, RowState.UPDATED)
        else:
            self._take_fault(row, judged.fault or Fault(""), Step.UPDATE)
        if self._stop is not None:
            raise CrmStopError(self._stop)

    # Judging

    def _take(self, row: Row, result: RowResult | None, step: Step) -> None:
        if result is None:
            self._not_known(row)
        elif result.is_created:
            self._put(row, RowState.CREATED, remote_id=result.remote_id)
        elif result.is_updated:
            self._put(row, RowState.UPDATED, remote_id=result.remote_id)
        elif result.fault is not None:
            self._take_fault(row, result.fault, step)
        else:  # a record, and nothing done to it: only its values tell whether all is well
            row.remote_id, row.step = result.remote_id, Step.LOOK_UP
            row.must_stand = True

    def _take_fault(self, row: Row, fault: Fault, step: Step) -> None:
        row.step = step
        if fault.type == DUPLICATE:
            self._take_duplicate(row, fault, step)
        elif fault.type == UNKNOWN_FIELD and (unknown := fault.fields_of(row.values)):
            self._leave_out(row, unknown)
        elif fault.type == MARKUP and not row.is_stripped:
            row.strip()
        elif fault.type == NO_LEAD and row.remote_id and not row.is_gone:
            row.is_gone, row.remote_id, row.step = True, None, Step.LOOK_UP
        elif fault.type == INVALID and SEARCH_BY in fault.message:
            reason = f"LeadSquared finds no leads by {self._options.search_key}: set search_key to a unique field"
            self._stop = Stop(StopKind.MISCONFIGURED, f"{reason} ({fault.type})")
            row.step = Step.DONE
        elif step is Step.UPSERT and fault.is_final and not row.must_stand and self._book.locked & row.values.keys():
            row.must_stand, row.refused, row.step = True, fault.words(row.values), Step.LOOK_UP
        elif fault.is_final and fault.type != TOO_FAST:
            self._put(row, RowState.REJECTED, fault.words(row.values))
        else:
            self._take_passing(row, fault)

    def _take_passing(self, row: Row, fault: Fault) -> None:
        row.refusals += 1
        if row.refusals >= _MOST_REFUSALS:
            self._put(row, RowState.UNSURE if row.is_unsure else RowState.FAILED, fault.words())
            row.step = Step.DONE
        elif fault.type == TOO_FAST:
            self._client.wait()

    def _take_duplicate(self, row: Row, fault: Fault, step: Step) -> None:
        """Search by the next key; after the last, update the record that stands there, without what clashes."""
        named = fault.fields_of(self._book.unique)
        clashing = set(named or self._book.unique)
        if step is Step.CREATE and self._options.sync == "create_only" and not self._options.activity:
            self._put(row, RowState.KEPT)
        elif step is Step.UPDATE:
            clashing = clashing if clashing & row.body.keys() else set(self._book.unique)
            row.clashing |= clashing
            row.body = {name: text for name, text in row.body.items() if name not in clashing}
            if not row.body:
                self._put(row, RowState.UNCHANGED)
        else:
            if step is Step.UPSERT:
                row.clashing |= clashing
                row.tried_keys += not row.remote_id
            if step is Step.CREATE or row.remote_id or row.tried_keys >= len(row.keys):
                row.must_stand, row.step = True, Step.LOOK_UP

    def _leave_out(self, row: Row, names: Set[str]) -> None:
        """Send fields no more that were called unknown twice; the CRM's own list has them, so one answer is a doubt."""
        unknown = names & row.doubted
        row.doubted |= names
        self.unknown_fields |= unknown
        row.drop(unknown)
        if not row.keys and not row.remote_id:
            self._put(row, RowState.HELD, NO_KEY)


def _pairs(values: dict[str, str]) -> Pairs:
    return [{"Attribute": name, "Value": text} for name, text in values.items()]
