"""One `deliver`: each lead is created, found or updated until it has a receipt; nothing is ever created twice.

SharpSpring itself takes each e-mail address once (error 301), so a second createLeads for a lead that may have been
written makes no second record.
"""

from collections.abc import Callable, Iterable, Sequence, Set
from dataclasses import dataclass, field
from enum import Enum

from leads_pipeline.delivery.crm import CrmStopError, OutgoingLead, RemoteLead, RowReceipt, RowState, StopKind
from leads_pipeline.delivery.sharpspring.answers import (
    BAD_COUNTRY,
    EXISTS,
    INVALID_PARAMETERS,
    NOTHING_CHANGED,
    PASSING,
    UNKNOWN_RECORD,
    Judged,
    Kind,
    RowResult,
    words_of,
)
from leads_pipeline.delivery.sharpspring.client import SharpSpringClient, unreachable
from leads_pipeline.delivery.sharpspring.fields import COUNTRY, EMAIL, ID, OWNER
from leads_pipeline.delivery.sharpspring.options import SharpSpringOptions
from leads_pipeline.delivery.sharpspring.records import Lookup, Wanted, changes

_MOST_TRIES = 3
_MOST_UNKNOWN = 12
"""Calls with error 999 in a row; to find one bad row among 500 takes fewer."""
_CALLS_BEFORE_GROWTH = 8
_NO_ANSWER = "sent, and no answer told whether it was written"
_ABSENT = "not in the CRM; the sync behaviour is update only"
_ABSENT_NOTHING = "not in the CRM; the sync behaviour is nothing"


class Step(Enum):
    """What is to be done next with a lead."""

    LOOK_UP = "look_up"
    CREATE = "create"
    UPDATE = "update"
    DONE = "done"


@dataclass(eq=False)
class Row:
    """A lead on its way."""

    lead: OutgoingLead
    email: str
    values: dict[str, str] = field(repr=False)
    """By system name, as the fields take them."""
    step: Step = Step.CREATE
    record: RemoteLead | None = field(repr=False, default=None)
    must_stand: bool = False
    """Whether the CRM said that the record is there."""
    times_gone: int = 0
    """How often an update found no record where one was found before."""
    is_unsure: bool = False
    """Whether an earlier call may have written it."""
    was_updated: bool = False
    """Whether an update was sent to which no answer came."""
    unanswered: int = 0
    """Calls with it to which no answer came."""
    refusals: int = 0
    """Calls that failed as a whole with nothing but this row in them, and errors of its own that pass."""
    given_up: str = ""
    """Why nothing is sent of it any more, where it is still to be seen whether it was written."""
    body: dict[str, str] = field(repr=False, default_factory=dict)
    """What is sent of it next."""
    doubted: set[str] = field(default_factory=set)
    """Fields that were refused once."""

    @property
    def wanted(self) -> Wanted:
        """Return whose record is looked for."""
        return Wanted(self.lead.query_id, self.email.lower(), self.lead.remote_id)


@dataclass
class Learned:
    """What one delivery teaches the next: how many rows a call takes, and countries that the CRM does not know."""

    most_rows: int
    rows_per_call: int
    refused_countries: set[str] = field(default_factory=set)
    calls_since: int = 0

    def shrink(self, refused_rows: int) -> None:
        """Halve the rows of a call after so many were too many."""
        self.rows_per_call = max(1, min(self.rows_per_call, refused_rows // 2))
        self.calls_since = 0

    def note_taken(self) -> None:
        """Double the rows of a call again after some calls were taken: it may have been the API's busy hour."""
        self.calls_since += 1
        if self.calls_since >= _CALLS_BEFORE_GROWTH:
            self.rows_per_call, self.calls_since = min(self.most_rows, self.rows_per_call * 2), 0


class Sending:
    """Sends the rows of one delivery; `receipts` are right at any moment, also when CrmStopError ends it."""

    def __init__(
        self,
        client: SharpSpringClient,
        lookup: Lookup,
        options: SharpSpringOptions,
        learned: Learned,
        rows: Sequence[Row],
    ) -> None:
        self._client, self._lookup, self._options, self._learned = client, lookup, options, learned
        self._rows = rows
        self._unknown_in_a_row = 0
        self.receipts: dict[str, RowReceipt] = {}

    def run(self) -> None:
        """Bring each row to its receipt; raise CrmStopError when it makes no sense to go on."""
        for row in self._rows:
            must_look = self._options.sync in ("update_only", "nothing") or row.lead.unsure or row.lead.remote_id
            row.is_unsure = row.lead.unsure
            row.step = Step.LOOK_UP if must_look else Step.CREATE
        while any(row.step is not Step.DONE for row in self._rows):
            self._look_up(self._at(Step.LOOK_UP))
            self._send("createLeads", self._at(Step.CREATE), self._take_created)
            self._look_up(self._at(Step.LOOK_UP))
            self._send("updateLeadsV2", self._at(Step.UPDATE), self._take_updated)

    def _at(self, step: Step) -> list[Row]:
        return [row for row in self._rows if row.step is step]

    def _put(self, row: Row, state: RowState, reason: str = "", remote_id: str | None = None) -> None:
        if state is not RowState.UNSURE:
            row.step = Step.DONE
        record_id = row.record.remote_id if row.record else None
        self.receipts[row.lead.query_id] = RowReceipt(row.lead.query_id, state, remote_id or record_id, reason)

    # Looking up

    def _look_up(self, rows: list[Row]) -> None:
        if not rows:
            return
        try:
            found = self._lookup.records([row.wanted for row in rows], _names(rows))
        except CrmStopError:
            for row in rows:
                if row.must_stand and self._options.sync == "create_only":
                    self._put(row, RowState.KEPT)
            raise
        for row in rows:
            row.record = found.get(row.lead.query_id)
            if row.record is not None:
                self._settle(row, row.record)
            elif row.given_up:
                self._put(row, RowState.FAILED, row.given_up)
            elif row.must_stand:
                self._settle_unread(row)
            elif self._options.sync in ("update_only", "nothing"):
                self._put(row, RowState.HELD, _ABSENT if self._options.sync == "update_only" else _ABSENT_NOTHING)
            else:
                row.step = Step.CREATE

    def _settle(self, row: Row, record: RemoteLead) -> None:
        """Decide what is to be done with a row whose record was read."""
        differs = changes(row.values, record, self._options.update)
        if self._options.sync in ("create_only", "nothing"):
            may_be_ours = row.is_unsure and self._options.sync == "create_only"
            is_ours = may_be_ours and not changes(row.values, record, "overwrite")
            self._put(row, RowState.UNCHANGED if is_ours else RowState.KEPT)
        elif not differs:
            self._put(row, RowState.UPDATED if row.was_updated else RowState.UNCHANGED)
        elif row.given_up:
            self._put(row, RowState.FAILED, row.given_up)
        else:
            row.step = Step.UPDATE
            owner = record.values.get(OWNER)
            row.body = {ID: record.remote_id, **differs, **({OWNER: owner} if owner else {})}

    def _settle_unread(self, row: Row) -> None:
        """Decide about a row whose record stands there, as the CRM says, and can't be read."""
        if self._options.sync == "create_only":
            self._put(row, RowState.KEPT)
        elif self._options.update == "only_empty_fields":
            self._put(row, RowState.FAILED, "stands in the CRM, but can't be read: its empty fields are not known")
        else:
            row.step = Step.UPDATE
            row.body = dict(row.values)

    # Sending

    def _send(self, method: str, rows: list[Row], take: Callable[[Row, RowResult], None]) -> None:
        start = 0
        while start < len(rows):
            size = self._learned.rows_per_call
            self._send_some(method, rows[start : start + size], take)
            start += size

    def _send_some(self, method: str, rows: list[Row], take: Callable[[Row, RowResult], None]) -> None:
        for row in rows:
            if method == "createLeads":
                row.body = dict(row.values)
            self._leave_out_refused_country(row)
        before = {row.lead.query_id: self.receipts.get(row.lead.query_id) for row in rows}
        for row in rows:
            self._put(row, RowState.UNSURE, _NO_ANSWER)
        try:
            judged = self._client.call(method, {"objects": [row.body for row in rows]}, len(rows))
        except CrmStopError as error:
            self._restore(rows, before, error)
            raise
        if judged.kind is Kind.UNREADABLE:
            self._not_known(rows, judged, is_update=method != "createLeads")
            return
        self._unknown_in_a_row = self._unknown_in_a_row + 1 if judged.kind is Kind.UNKNOWN else 0
        for row in rows:
            row.is_unsure = row.is_unsure or judged.kind is Kind.UNKNOWN
            if not row.is_unsure:
                del self.receipts[row.lead.query_id]  # this call did not write it, or its result follows
        if judged.kind is Kind.DONE:
            self._learned.note_taken()
            for row, result in zip(rows, judged.rows, strict=True):
                take(row, result)
        else:
            self._split(method, rows, take, judged)

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

    def _split(self, method: str, rows: list[Row], take: Callable[[Row, RowResult], None], judged: Judged) -> None:
        """Send the rows of a refused call in halves; a row that is refused alone is tried again, then judged."""
        if judged.kind is Kind.TOO_MANY_ROWS:
            self._learned.shrink(len(rows))
        if self._unknown_in_a_row >= _MOST_UNKNOWN:
            raise unreachable(judged.reason)
        if judged.kind is Kind.UNKNOWN:
            self._client.wait()
        middle = len(rows) // 2
        if middle:
            self._send_some(method, rows[:middle], take)
            self._send_some(method, rows[middle:], take)
            return
        (row,) = rows
        row.refusals += 1
        if row.refusals < _MOST_TRIES:
            self._send_some(method, rows, take)
        elif judged.kind is Kind.ROW_FAULT:
            take(row, RowResult(is_done=False, code=judged.code, fields=judged.fields))
        elif row.is_unsure:
            row.given_up, row.step = words_of(judged.code), Step.LOOK_UP
        else:
            self._put(row, RowState.FAILED, words_of(judged.code))

    def _not_known(self, rows: list[Row], judged: Judged, *, is_update: bool) -> None:
        """Have the rows looked up that may have been written; after some rounds they stay unsure."""
        for row in rows:
            row.unanswered += 1
            row.is_unsure = True
            row.was_updated = row.was_updated or is_update
            row.step = Step.LOOK_UP
        if any(row.unanswered >= _MOST_TRIES for row in rows):
            raise unreachable(judged.reason)
        self._client.wait()

    # Judging

    def _take_created(self, row: Row, result: RowResult) -> None:
        if result.is_done:
            self._put(row, RowState.CREATED, remote_id=result.remote_id)
        elif result.code == EXISTS and row.times_gone > row.is_unsure:  # unless it is this very lead, written just now
            self._put(row, RowState.REJECTED, "the CRM says that the lead stands there, and that it does not")
        elif result.code == EXISTS:
            row.must_stand, row.step = True, Step.LOOK_UP
        else:
            self._take_refused(row, result, Step.CREATE)

    def _take_updated(self, row: Row, result: RowResult) -> None:
        if result.is_done:
            self._put(row, RowState.UPDATED)
        elif result.code == NOTHING_CHANGED:
            self._put(row, RowState.UPDATED if row.was_updated else RowState.UNCHANGED)
        elif result.code != UNKNOWN_RECORD:
            self._take_refused(row, result, Step.UPDATE)
        elif self._options.sync == "update_only":
            row.record = None
            self._put(row, RowState.HELD, _ABSENT)
        else:
            row.times_gone, row.record, row.step = row.times_gone + 1, None, Step.CREATE

    def _take_refused(self, row: Row, result: RowResult, step: Step) -> None:
        """Send a row again, in the end without the fields that its error is about; else judge it."""
        named = {name for name in result.fields if name in row.values and name not in (EMAIL, ID)}
        if result.code == BAD_COUNTRY:
            named = {COUNTRY} & row.values.keys()
        if named and (result.code in INVALID_PARAMETERS or result.code == BAD_COUNTRY):
            self._leave_out(row, named)
            row.step = step
        elif result.code in PASSING:
            row.refusals += 1
            row.step = step
            if row.refusals >= _MOST_TRIES:
                self._put(row, RowState.FAILED, words_of(result.code))
        else:
            known = [name for name in result.fields if name in row.values]
            self._put(row, RowState.REJECTED, words_of(result.code, known))

    def _leave_out(self, row: Row, names: Set[str]) -> None:
        """Send fields no more that were refused twice: one answer may be the API's bad moment, and costs a value."""
        refused = names & row.doubted
        row.doubted |= names
        if COUNTRY in refused:
            self._learned.refused_countries.add(row.values[COUNTRY])
        for name in refused:
            row.values.pop(name)
            row.body.pop(name, None)

    def _leave_out_refused_country(self, row: Row) -> None:
        if row.values.get(COUNTRY) in self._learned.refused_countries:
            row.values.pop(COUNTRY)
            row.body.pop(COUNTRY, None)


def _names(rows: Iterable[Row]) -> list[str]:
    return sorted({name for row in rows for name in row.values})
