"""Noting enquiries at their buyers' records (contract 1.5). No call is made twice that may have been written."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC

from leads_pipeline.delivery.crm import Activity, CrmStopError, RowReceipt, RowState, Stop, StopKind
from leads_pipeline.delivery.leadsquared.answers import MARKUP, Fault, Judged, Kind, RowResult
from leads_pipeline.delivery.leadsquared.client import LeadSquaredClient, unreachable
from leads_pipeline.delivery.leadsquared.fields import without_markup
from leads_pipeline.delivery.leadsquared.options import MOST_ACTIVITIES

_ADD = "ProspectActivity.svc/Bulk/CustomActivity/Add/ByLeadId"
_TYPES = "ProspectActivity.svc/ActivityTypes.Get"
_NAMES = ("ActivityEventName", "ActivityTypeName", "DisplayName")
_UNKNOWN_TYPE = "MXUnknownProspectActivityException"
_NO_ANSWER = "sent, and no answer told whether it was written"


@dataclass(eq=False)
class _Note:
    activity: Activity
    text: str = field(repr=False)
    is_stripped: bool = False


class Activities:
    """Notes enquiries; `kind` is the event code or the name of the activity type."""

    def __init__(self, client: LeadSquaredClient, kind: str) -> None:
        self._client, self._kind = client, kind.strip()
        self._code: int | None = int(self._kind) if self._kind.isdecimal() else None
        self.receipts: dict[str, RowReceipt] = {}

    def code(self) -> int:
        """Return the event code of the activity type; raise CrmStopError."""
        if self._code is None:
            self._code = self._asked_code()
        return self._code

    def add(self, activities: Sequence[Activity]) -> None:
        """Note them; `receipts` are right at any moment, also when CrmStopError ends it."""
        self.receipts = {}
        notes, code = [_Note(one, one.note) for one in activities], self.code()
        for start in range(0, len(notes), MOST_ACTIVITIES):
            self._send(notes[start : start + MOST_ACTIVITIES], code)

    def _asked_code(self) -> int:
        judged = self._client.ask(_TYPES)
        if judged.kind is not Kind.DONE or not isinstance(judged.body, list):
            raise unreachable(judged.reason or "the list of activity types has not the form that it has")
        wanted = self._kind.casefold()
        for one in judged.body:
            names = [str(one.get(name) or "").strip().casefold() for name in _NAMES] if isinstance(one, dict) else []
            if wanted in names and str(one.get("ActivityEvent") or "").isdecimal():
                return int(one["ActivityEvent"])
        reason = f"LeadSquared has no activity type {self._kind}: set activity to the code or name of one that it has"
        raise CrmStopError(Stop(StopKind.MISCONFIGURED, reason))

    def _send(self, notes: list[_Note], code: int) -> None:
        if not notes:
            return
        for note in notes:
            self._put(note, RowState.UNSURE, _NO_ANSWER)
        try:
            judged = self._client.call(_ADD, body=[_body(note, code) for note in notes], rows=len(notes), is_bulk=True)
        except CrmStopError:
            for note in notes:  # refused, or never arrived: not written
                del self.receipts[note.activity.query_id]
            raise
        if judged.kind is Kind.DONE:
            again = [
                note for note, result in zip(notes, judged.rows, strict=True) if result and self._take(note, result)
            ]
            self._send(again, code)
        elif judged.kind is Kind.REFUSED:
            self._take_whole(notes, code, judged)

    def _take_whole(self, notes: list[_Note], code: int, judged: Judged) -> None:
        """Send a refused call in halves to find the bad note: such a call wrote nothing."""
        fault = judged.fault or Fault("")
        if fault.type == _UNKNOWN_TYPE:
            self.receipts = {one: self.receipts[one] for one in self.receipts.keys() - _ids(notes)}
            raise CrmStopError(
                Stop(StopKind.MISCONFIGURED, f"LeadSquared has no activity type {self._kind} ({fault.type})")
            )
        if len(notes) == 1:
            if self._take(notes[0], RowResult(fault=fault)):
                self._send(notes, code)
            return
        middle = len(notes) // 2
        for note in notes:
            del self.receipts[note.activity.query_id]
        self._send(notes[:middle], code)
        self._send(notes[middle:], code)

    def _take(self, note: _Note, result: RowResult) -> bool:
        """Note what became of one; return whether to send it again."""
        fault = result.fault
        if result.is_created or (fault is None and result.remote_id):
            self._put(note, RowState.CREATED, remote_id=result.remote_id)
        elif fault is None or not (fault.type or fault.message):
            return False  # nobody knows: stays unsure
        elif fault.type == MARKUP and not note.is_stripped:
            note.is_stripped, note.text = True, without_markup({"note": note.text}).get("note", "")
            return True
        else:
            self._put(note, RowState.REJECTED if fault.is_final else RowState.FAILED, fault.words())
        return False

    def _put(self, note: _Note, state: RowState, reason: str = "", remote_id: str | None = None) -> None:
        self.receipts[note.activity.query_id] = RowReceipt(note.activity.query_id, state, remote_id, reason)


def _ids(notes: Sequence[_Note]) -> set[str]:
    return {note.activity.query_id for note in notes}


def _body(note: _Note, code: int) -> dict[str, object]:
    return {
        "RelatedProspectId": note.activity.remote_id,
        "ActivityEvent": code,
        "ActivityNote": note.text,
        "ActivityDateTime": f"{note.activity.at.astimezone(UTC):%Y-%m-%d %H:%M:%S}",
    }
