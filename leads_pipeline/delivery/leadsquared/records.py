"""Looking records up by id, search key, phone and e-mail address; one call each, for there is no bulk look-up."""

from collections.abc import Mapping, Sequence
from typing import Any

from leads_pipeline.delivery.crm import RemoteLead, Update
from leads_pipeline.delivery.leadsquared.answers import INVALID, MISSING, NO_LEAD, Kind
from leads_pipeline.delivery.leadsquared.client import LeadSquaredClient, unreachable
from leads_pipeline.delivery.leadsquared.fields import ID, FieldBook, folded
from leads_pipeline.delivery.leadsquared.options import EMAIL, PHONE

_BY_ID = "LeadManagement.svc/Leads.GetById"
_BY_EMAIL = "LeadManagement.svc/Leads.GetByEmailaddress"
_BY_PHONE = "LeadManagement.svc/RetrieveLeadByPhoneNumber"
_BY_ANY = "LeadManagement.svc/Leads.GetByQuickSearch"
_FINDS_NOTHING = (NO_LEAD, INVALID, MISSING)
"""Errors of a look-up for a value that no lead can have: one odd lead must not stop the others."""
_LEAST_DIGITS = 8
"""Digits that the shorter of two phone numbers needs to be the other's national part."""


class Lookup:
    """Finds records; raises CrmStopError where the CRM can't be asked."""

    def __init__(self, client: LeadSquaredClient) -> None:
        self._client = client

    def record(self, remote_id: str | None, keys: Sequence[tuple[str, str]]) -> RemoteLead | None:
        """Return the record of the id, else of the first of the keys (field and value) that one stands under."""
        if remote_id and (found := self._asked(_BY_ID, {"id": remote_id})):
            return next((one for one in found if one.remote_id == remote_id), None) or found[0]
        for name, text in keys:
            if (record := self._by_key(name, text)) is not None:
                return record
        return None

    def _by_key(self, name: str, text: str) -> RemoteLead | None:
        if name == EMAIL:
            found = self._asked(_BY_EMAIL, {"emailaddress": text})
        elif name in (PHONE, "Mobile"):
            found = self._asked(_BY_PHONE, {"phone": folded(name, text)})
        else:
            found = self._asked(_BY_ANY, {"key": text})
        there = [(one.values.get(name, ""), one) for one in found]
        exact = [one for value, one in there if value == text]
        wanted = folded(name, text)
        same = [one for value, one in there if folded(name, value) == wanted]
        near = [one for value, one in there if name in (PHONE, "Mobile") and _is_near(folded(name, value), wanted)]
        return next(iter([*exact, *same, *near]), None)

    def _asked(self, path: str, params: Mapping[str, str]) -> list[RemoteLead]:
        judged = self._client.ask(path, params)
        if judged.kind is Kind.REFUSED:
            if judged.fault is not None and judged.fault.type in _FINDS_NOTHING:
                return []
            raise unreachable(f"a look-up was refused: {judged.reason}")
        if not isinstance(judged.body, list):
            raise unreachable("a look-up's answer has not the form that answers have")
        return [one for one in map(_remote, judged.body) if one is not None]


def changes(wanted: Mapping[str, str], record: RemoteLead, update: Update, book: FieldBook) -> dict[str, str]:
    """Return the fields that an update must set, with their texts; none that an update may not change."""
    told = {
        name: text
        for name, text in wanted.items()
        if name not in book.locked and not book.is_same(name, text, record.values.get(name, ""))
    }
    if update == "only_empty_fields":
        return {name: text for name, text in told.items() if not record.values.get(name)}
    if update == "not_unique_fields":
        return {name: text for name, text in told.items() if name not in book.unique}
    return told


def _is_near(one: str, other: str) -> bool:
    """Tell whether one number is the other without its country code."""
    shorter, longer = sorted((one, other), key=len)
    return len(shorter) >= _LEAST_DIGITS and longer.endswith(shorter)


def _remote(row: Any) -> RemoteLead | None:
    if not isinstance(row, dict) or not row.get(ID):
        return None
    values = {str(name): str(value) for name, value in row.items() if value not in (None, "")}
    return RemoteLead(str(row[ID]), values)
