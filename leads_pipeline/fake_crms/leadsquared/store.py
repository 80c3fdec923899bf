"""The fake's leads and activities, and what each call does to them (contract 1.3, 1.5)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

from leads_pipeline.fake_crms.leadsquared.answers import (
    DUPLICATE,
    INVALID_ENTITY,
    INVALID_INPUT,
    MANDATORY,
    Problem,
    Row,
)
from leads_pipeline.fake_crms.leadsquared.fields import AUTO_ID, ID, Rules

_NATIONAL_DIGITS = 10
_SEARCH_BY, _SEARCH_BY_ID = "SearchBy", "ProspectId"

UnknownId = Literal["refused", "created"]


@dataclass(frozen=True)
class Record:
    """One lead of the fake, as it is there."""

    id: str
    number: int
    fields: Mapping[str, str] = field(repr=False)
    """What is not empty."""
    created_at: datetime
    updated_at: datetime
    modified: int = 0
    """How often the API changed it."""


@dataclass(frozen=True)
class ActivityRecord:
    """One activity at a lead."""

    id: str
    lead_id: str
    event: int
    note: str = field(repr=False)
    at: str
    """As it was sent: UTC."""


class LeadStore:
    """The leads by id; not safe for threads by itself."""

    def __init__(self, rules: Rules, clock: Callable[[], datetime], unknown_id: UnknownId) -> None:
        """Take the rules of fields, and what CreateOrUpdate makes of an id that no lead has."""
        self._rules, self._clock, self._unknown_id = rules, clock, unknown_id
        self._records: dict[str, Record] = {}
        self._ids: dict[tuple[str, str], str] = {}
        self.activities: list[ActivityRecord] = []
        self.created = 0
        """How many leads were ever created."""

    def records(self) -> dict[str, Record]:
        """Return the leads by id."""
        return dict(self._records)

    def create(self, attributes: Any) -> Row:
        """Do what Bulk/Create does to one row."""
        values = _values(attributes)
        if isinstance(values, Problem):
            return Row(problem=values)
        return self._created({name: text for name, text in values.items() if name != _SEARCH_BY})

    def create_or_update(self, attributes: Any) -> Row:
        """Do what Bulk/CreateOrUpdate does to one row."""
        values = _values(attributes)
        if isinstance(values, Problem):
            return Row(problem=values)
        search_by = values.pop(_SEARCH_BY, "")
        remote_id = values.pop(ID, "")
        if search_by == _SEARCH_BY_ID:
            if remote_id in self._records:
                return self.update(remote_id, values)
            if self._unknown_id == "refused":
                return Row(problem=Problem(INVALID_ENTITY, "Lead does not exist in the system"))
            return self._created(values)
        if search_by and search_by not in self._rules.unique:
            return Row(problem=Problem(INVALID_INPUT, "Invalid SearchBy value provided"))
        if search_by and not values.get(search_by):
            return Row(problem=Problem(MANDATORY, f"Mandatory attribute missing: {search_by}"))
        for name in [search_by] if search_by else ("EmailAddress", "Phone"):
            found = self._ids.get((name, _key(name, values.get(name))))
            if found is not None:
                return self.update(found, values)
        return self._created(values)

    def update(self, remote_id: str, values: Mapping[str, str]) -> Row:
        """Change a lead's attributes, the unique ones included."""
        record = self._records.get(remote_id)
        if record is None:
            return Row(problem=Problem(INVALID_ENTITY, "Lead does not exist in the system"))
        problem = self._rules.problem(values, record.fields) or self._clash(values, record.id)
        if problem is not None:
            return Row(problem=problem)
        fields = _present({**record.fields, **values})
        self._put(replace(record, fields=fields, updated_at=self._clock(), modified=record.modified + 1))
        return Row(record.id, updated=True, affected=1)

    def update_pairs(self, remote_id: str, attributes: Any) -> Row:
        """Do what Lead.Update does."""
        values = _values(attributes)
        return Row(problem=values) if isinstance(values, Problem) else self.update(remote_id, values)

    def edit(self, remote_id: str, values: Mapping[str, str]) -> None:
        """Change a lead as a sales person does in the interface; KeyError if there is none."""
        record = self._records[remote_id]
        self._put(replace(record, fields=_present({**record.fields, **values}), updated_at=self._clock()))

    def remove(self, remote_id: str) -> None:
        """Remove a lead; KeyError if there is none."""
        self._forget(self._records.pop(remote_id))

    def by_id(self, remote_id: str) -> list[Record]:
        """Return the lead of the id."""
        return [record for record in self._records.values() if record.id == remote_id]

    def by_email(self, email: str) -> list[Record]:
        """Return the leads of the e-mail address, in any case."""
        wanted = _key("EmailAddress", email)
        return [one for one in self._records.values() if _key("EmailAddress", one.fields.get("EmailAddress")) == wanted]

    def by_phone(self, phone: str) -> list[Record]:
        """Return the leads whose Phone or Mobile is the number, with or without country code; the latest first."""
        if not phone.removeprefix("+").isdecimal():
            return []
        found = [
            one
            for one in self._records.values()
            if any(_is_number(one.fields.get(name, ""), phone) for name in ("Phone", "Mobile"))
        ]
        return sorted(found, key=lambda one: one.updated_at, reverse=True)

    def by_text(self, text: str) -> list[Record]:
        """Return the leads of which a field has the text."""
        return [one for one in self._records.values() if text in one.fields.values()]

    def shown(self, record: Record) -> dict[str, str | None]:
        """Return a lead as look-ups show it: texts or null."""
        times = {"CreatedOn": record.created_at, "ModifiedOn": record.updated_at}
        return {
            **{name: record.fields.get(name) for name in self._rules.names},
            ID: record.id,
            AUTO_ID: str(record.number),
            **{name: f"{at:%Y-%m-%d %H:%M:%S}.000" for name, at in times.items()},
        }

    def _created(self, values: Mapping[str, str]) -> Row:
        problem = self._rules.problem(values, None) or self._clash(values, None)
        if problem is not None:
            return Row(problem=problem)
        self.created += 1
        now = self._clock()
        remote_id = f"{self.created:08x}-5b5a-11f0-91df-068012126923"
        fields = _present({"ProspectStage": "Prospect", **values})
        self._put(Record(remote_id, self.created, fields, now, now))
        return Row(remote_id, created=True, affected=1)

    def _clash(self, values: Mapping[str, str], own_id: str | None) -> Problem | None:
        for name in self._rules.unique:
            holder = self._ids.get((name, _key(name, values.get(name))))
            if values.get(name) and holder not in (None, own_id):
                index = f"UQ_Prospect_Base_{name}"
                return Problem(DUPLICATE, f"Duplicate entry '{values[name]}' for key '{index}'")
        return None

    def _put(self, record: Record) -> None:
        if record.id in self._records:
            self._forget(self._records[record.id])
        self._records[record.id] = record
        for name in self._rules.unique:
            if key := _key(name, record.fields.get(name)):
                self._ids[name, key] = record.id

    def _forget(self, record: Record) -> None:
        for name in self._rules.unique:
            self._ids.pop((name, _key(name, record.fields.get(name))), None)


def _values(attributes: Any) -> dict[str, str] | Problem:
    """Return the attributes of a lead by name, or why they can't be read."""
    pairs = attributes if isinstance(attributes, list) else []
    values = {}
    for pair in pairs:
        if not isinstance(pair, dict) or not isinstance(pair.get("Attribute"), str):
            return Problem(INVALID_INPUT, "Invalid Input! Parameter Name: Attribute")
        if not isinstance(pair.get("Value"), str):
            return Problem(INVALID_INPUT, f"Invalid Input! Parameter Name: {pair['Attribute']}")
        values[pair["Attribute"]] = pair["Value"]
    return values or Problem(MANDATORY, "No attributes were sent")


def _present(values: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in values.items() if value}


def _key(name: str, value: str | None) -> str:
    """Return what a unique value is compared by: phones as they are written, others in any case."""
    text = (value or "").strip()
    return text if name in ("Phone", "Mobile") else text.lower()


def _is_number(stored: str, asked: str) -> bool:
    digits, wanted = ("".join(filter(str.isdigit, text)) for text in (stored, asked))
    shorter, longer = sorted((digits, wanted), key=len)
    return digits == wanted or (len(shorter) >= _NATIONAL_DIGITS and longer.endswith(shorter))
