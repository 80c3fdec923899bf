"""The records that stand in SharpSpring: looked up by e-mail address and id, and compared with a lead."""

import html
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from leads_pipeline.delivery.crm import RemoteLead, Update
from leads_pipeline.delivery.sharpspring.answers import Judged, Kind
from leads_pipeline.delivery.sharpspring.client import SharpSpringClient, unreachable
from leads_pipeline.delivery.sharpspring.fields import EMAIL, ID, OWNER

_VALUES_PER_CALL = 250
_ESCAPED_AT_MOST = 3
_MOST_ROWS = 500


@dataclass(frozen=True)
class Wanted:
    """Whose record is looked for: its e-mail address in lower case, and the id that earlier receipts name."""

    query_id: str
    email: str
    remote_id: str | None = None


class Lookup:
    """Finds records, 250 a call.

    That getLeads takes several values at once is told by one source only (contract 2.3). So the first time that it
    finds nothing, it is tried with a record that is known to stand there; where it fails, each is asked for alone.
    """

    def __init__(self, client: SharpSpringClient) -> None:
        self._client = client
        self._takes_lists: bool | None = None
        self._has_read = False

    def records(self, wanted: Sequence[Wanted], fields: Iterable[str]) -> dict[str, RemoteLead]:
        """Return the records with the fields, by query_id; raise CrmStopError.

        The e-mail address decides; the id is asked for where no record has the address, for it may have changed.
        """
        names = list(dict.fromkeys([ID, EMAIL, OWNER, *fields]))
        by_email = self._by(EMAIL, [one.email for one in wanted if one.email], names)
        found = {one.query_id: by_email[one.email] for one in wanted if one.email in by_email}
        rest = [one for one in wanted if one.query_id not in found and one.remote_id]
        by_id = self._by(ID, [one.remote_id for one in rest if one.remote_id], names)
        return {**found, **{one.query_id: by_id[one.remote_id] for one in rest if one.remote_id in by_id}}

    def _by(self, name: str, values: Sequence[str], fields: list[str]) -> dict[str, RemoteLead]:
        distinct = list(dict.fromkeys(values))
        records: dict[str, RemoteLead] = {}
        for start in range(0, len(distinct), _VALUES_PER_CALL):
            records.update(self._some_by(name, distinct[start : start + _VALUES_PER_CALL], fields))
        return records

    def _some_by(self, name: str, values: list[str], fields: list[str]) -> dict[str, RemoteLead]:
        if len(values) == 1 or self._takes_lists is False:
            return self._one_by_one(name, values, fields)
        judged = self._get({name: values}, fields, len(values))
        if judged.kind is Kind.TOO_MANY_ROWS:
            middle = len(values) // 2
            return {**self._some_by(name, values[:middle], fields), **self._some_by(name, values[middle:], fields)}
        records = _keyed(name, judged)
        if records:
            self._takes_lists = True
        elif self._takes_lists is None:
            self._takes_lists = self._try_list()
        is_sure = judged.kind is Kind.DONE and self._takes_lists is not False
        return records if is_sure or self._takes_lists is None else self._one_by_one(name, values, fields)

    def _one_by_one(self, name: str, values: list[str], fields: list[str]) -> dict[str, RemoteLead]:
        records: dict[str, RemoteLead] = {}
        for value in values:
            judged = self._get({name: value}, fields, 1)
            if judged.kind is not Kind.DONE and not self._has_read:  # else no record has what is no value for it
                raise unreachable(f"leads can't be read: {judged.reason}")
            records.update(_keyed(name, judged))
        return records

    def _try_list(self) -> bool | None:
        """Tell whether several values are taken at once; None if there are no leads, so that none can be found."""
        shown = remote_leads(self._get({}, [ID, EMAIL], 1, limit=1))
        emails = [one.values[EMAIL] for one in shown if EMAIL in one.values]
        return bool(remote_leads(self._get({EMAIL: emails[:1]}, [ID, EMAIL], 1))) if emails else None

    def _get(self, where: Mapping[str, Any], fields: list[str], rows: int, limit: int = _MOST_ROWS) -> Judged:
        params = {"where": dict(where), "limit": limit, "offset": 0, "fields": fields}
        judged = self._client.ask("getLeads", params, rows)
        self._has_read = self._has_read or judged.kind is Kind.DONE
        return judged


def remote_leads(judged: Judged) -> list[RemoteLead]:
    """Return the records of an answer, unescaped; a row without an id is none (contract 2.3)."""
    rows = judged.result.get("lead") if judged.kind is Kind.DONE else None
    return [
        RemoteLead(
            str(row[ID]),
            {name: unescaped(str(value)) for name, value in row.items() if name != ID and value not in (None, "")},
        )
        for row in (rows if isinstance(rows, list) else [])
        if isinstance(row, dict) and row.get(ID) not in (None, "", 0, "0")
    ]


def unescaped(text: str) -> str:
    """Return a text as it was typed: what people type in SharpSpring reads HTML-escaped, some of it twice."""
    for _ in range(_ESCAPED_AT_MOST):
        plain = html.unescape(text)
        if plain == text:
            break
        text = plain
    return text


def changes(wanted: Mapping[str, str], record: RemoteLead, update: Update) -> dict[str, str]:
    """Return what an update has to send of the wanted texts, by the update behaviour; the owner is never among it."""
    told = {name: text for name, text in wanted.items() if not is_same(name, text, record.values.get(name, ""))}
    if update == "only_empty_fields":
        told = {name: text for name, text in told.items() if not record.values.get(name)}
    if update == "not_unique_fields":
        told.pop(EMAIL, None)
    if record.values.get(OWNER):
        told.pop(OWNER, None)
    return told


def is_same(name: str, wanted: str, there: str) -> bool:
    """Tell whether a field has the wanted text, but for escapes, line ends, and the case of an address."""
    one, other = (" ".join(unescaped(text).split()) for text in (wanted, there))
    return one.casefold() == other.casefold() if name == EMAIL else one == other


def _keyed(name: str, judged: Judged) -> dict[str, RemoteLead]:
    """Return the records of an answer by id, or by e-mail address in lower case."""
    records = remote_leads(judged)
    if name == ID:
        return {one.remote_id: one for one in records}
    return {one.values[EMAIL].strip().lower(): one for one in reversed(records) if EMAIL in one.values}
