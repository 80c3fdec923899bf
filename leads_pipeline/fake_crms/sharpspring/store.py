"""The fake's leads, and what each method does to them (contract 2.3)."""

import html
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from leads_pipeline.fake_crms.sharpspring.answers import Problem, Row
from leads_pipeline.fake_crms.sharpspring.fields import STANDARD, Rules

_FIRST_ID = 313500000001
_STANDARD = frozenset(one.name for one in STANDARD)


@dataclass(frozen=True)
class Record:
    """One lead of the fake, as it is there."""

    id: str
    fields: Mapping[str, str] = field(repr=False)
    """What is not empty, as people see it."""
    created_at: datetime
    updated_at: datetime
    modified: int = 0
    """How often the API changed it."""
    escaped: frozenset[str] = frozenset()
    """Fields that were typed in the interface: reads show them HTML-escaped."""


class LeadStore:
    """The leads by id; not safe for threads by itself."""

    def __init__(
        self, rules: Rules, clock: Callable[[], datetime], default_owner: str, *, reassigns_owners: bool
    ) -> None:
        """Take the rules of fields and who gets a lead that is updated without its owner, if that happens here."""
        self._rules, self._clock = rules, clock
        self._default_owner, self._reassigns_owners = default_owner, reassigns_owners
        self._records: dict[str, Record] = {}
        self._ids: dict[str, str] = {}
        self.created = 0
        """How many leads were ever created."""

    def records(self) -> dict[str, Record]:
        """Return the leads by id."""
        return dict(self._records)

    def create(self, values: Any) -> Row:
        """Do what createLeads does to one object."""
        if not isinstance(values, dict):
            return Row(Problem(208))
        problem = self._rules.problem(values, creating=True)
        if problem is not None:
            return Row(problem)
        if _key(values["emailAddress"]) in self._ids:
            return Row(Problem(301))
        number, now = _FIRST_ID + self.created, self._clock()
        self.created += 1
        fields = {"leadStatus": "unqualified", "active": "1", **_present(self._rules.stored(values))}
        self._put(Record(str(number), fields, now, now))
        return Row(id=number)

    def update(self, values: Any, *, tells_unknown: bool) -> Row:
        """Do what updateLeads does to one object; updateLeadsV2 also tells of leads that it does not know."""
        if not isinstance(values, dict):
            return Row(Problem(208))
        record = self._named(values)
        if record is None:
            return Row(Problem(404)) if tells_unknown else Row()
        problem = self._rules.problem(values, creating=False)
        if problem is not None:
            return Row(problem)
        stored = self._rules.stored(values)
        if values.get("id") in (None, ""):
            stored.pop("emailAddress")  # it names the lead, and changes nothing
        holder = self._ids.get(_key(stored.get("emailAddress")))
        if holder is not None and holder != record.id:
            self._put(replace(record, updated_at=self._clock()))
            return Row()
        if all(record.fields.get(name) == (value or None) for name, value in stored.items()):
            return Row(Problem(302))
        if self._reassigns_owners and "ownerID" not in stored and record.fields.get("ownerID"):
            stored["ownerID"] = self._default_owner
        fields = _present({**record.fields, **stored})
        self._put(
            replace(
                record,
                fields=fields,
                updated_at=self._clock(),
                modified=record.modified + 1,
                escaped=record.escaped - stored.keys(),
            )
        )
        return Row()

    def delete(self, values: Any) -> Row:
        """Do what deleteLeads does to one object."""
        record = self._records.get(str(values.get("id"))) if isinstance(values, dict) else None
        if record is None:
            return Row(Problem(404))
        self.remove(record.id)
        return Row()

    def remove(self, remote_id: str) -> None:
        """Remove a lead; KeyError if there is none."""
        record = self._records.pop(remote_id)
        self._ids.pop(_key(record.fields.get("emailAddress")), None)

    def edit(self, remote_id: str, values: Mapping[str, str]) -> None:
        """Change a lead as a sales person does in the interface; KeyError if there is none."""
        record = self._records[remote_id]
        typed = {name for name in values if name in _STANDARD}
        fields = _present({**record.fields, **values})
        self._put(replace(record, fields=fields, updated_at=self._clock(), escaped=record.escaped | typed))

    def found(self, name: str, values: Iterable[str]) -> list[Record]:
        """Return the leads that have one of the values as id or, in any case, as e-mail address."""
        ids = list(values) if name == "id" else [self._ids.get(_key(value), "") for value in values]
        return [self._records[one] for one in dict.fromkeys(ids) if one in self._records]

    def active(self) -> list[Record]:
        """Return the leads that lists show."""
        return [record for record in self._records.values() if record.fields.get("active") != "0"]

    def shown(self, record: Record, names: Iterable[str] | None, zone: ZoneInfo) -> dict[str, str | None]:
        """Return a lead as reads show it: texts or null, times in the zone."""
        values: dict[str, str | None] = dict.fromkeys(self._rules.names)
        for name, value in record.fields.items():
            values[name] = html.escape(value, quote=False) if name in record.escaped else value
        values["id"] = record.id
        values["createTimestamp"] = f"{record.created_at.astimezone(zone):%Y-%m-%d %H:%M:%S}"
        values["updateTimestamp"] = f"{record.updated_at.astimezone(zone):%Y-%m-%d %H:%M:%S}"
        return values if names is None else {name: values.get(name) for name in names}

    def _named(self, values: Mapping[str, Any]) -> Record | None:
        if values.get("id") not in (None, ""):
            return self._records.get(str(values["id"]))
        return self._records.get(self._ids.get(_key(values.get("emailAddress")), ""))

    def _put(self, record: Record) -> None:
        before = self._records.get(record.id)
        if before is not None:
            self._ids.pop(_key(before.fields.get("emailAddress")), None)
        self._records[record.id] = record
        if email := _key(record.fields.get("emailAddress")):
            self._ids[email] = record.id


def _present(values: Mapping[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in values.items() if value}


def _key(email: Any) -> str:
    return str(email or "").strip().lower()
