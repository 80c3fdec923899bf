"""A CRM in memory whose calls go wrong as a test says, a clock that stands until it is moved, and leads for both."""

from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from leads_pipeline.delivery.crm import (
    Activity,
    CrmField,
    Delivered,
    OutgoingLead,
    RemoteLead,
    RowReceipt,
    RowState,
    Stop,
    StopKind,
)
from leads_pipeline.delivery.destination import Destination, FieldSource
from leads_pipeline.delivery.due import Candidate
from leads_pipeline.delivery.mapping import payload_hash
from leads_pipeline.delivery.outbox import Outbox
from leads_pipeline.delivery.outbox_rows import Delivery, DeliveryState
from leads_pipeline.delivery.sending import Sender, Sent

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = date(2026, 3, 1)
NO_KEYS = Stop(StopKind.BAD_KEYS, "the CRM does not accept the keys")
NO_ANSWER = Stop(StopKind.UNREACHABLE, "the CRM does not answer")


@dataclass
class Clock:
    """Tells the time that the test set."""

    now: datetime = NOON

    def __call__(self) -> datetime:
        return self.now

    def move(self, **by: float) -> None:
        self.now += timedelta(**by)


@dataclass(frozen=True)
class Fault:
    """What befalls one call: after `rows` leads it stops, or the process dies."""

    rows: int = 0
    stop: Stop | None = None
    """None for the death of the process."""


DEATH_BEFORE_THE_WRITE = Fault()
DEATH_AFTER_THE_WRITE = Fault(1_000)


@dataclass
class MemoryCrm:
    """A CRM in which a lead without a remote id makes a record, unless it is looked up or addresses are unique."""

    rows_per_call: int = 10
    is_unique: bool = False
    records: dict[str, dict[str, str]] = field(default_factory=dict)
    faults: deque[Fault | None] = field(default_factory=deque)
    """What befalls the next calls, in order."""
    answers: dict[str, deque[RowState]] = field(default_factory=lambda: defaultdict(deque))
    """What the next calls say of a lead instead of what is so; nothing is written but of UNSURE."""
    activity_faults: deque[Fault | None] = field(default_factory=deque)
    batches: list[list[str]] = field(default_factory=list)
    looked_up: list[str] = field(default_factory=list)
    activities: list[str] = field(default_factory=list)
    unknown_fields: frozenset[str] = frozenset()

    def key_of(self, lead: OutgoingLead) -> str | None:
        return lead.values.get("email", "").lower() or None

    def deliver(self, leads: Sequence[OutgoingLead]) -> Delivered:
        assert 0 < len(leads) <= self.rows_per_call
        keys = [key for lead in leads if (key := self.key_of(lead))]
        assert len(keys) == len(set(keys)), "two leads of one record in a call"
        self.batches.append([lead.query_id for lead in leads])
        fault = self.faults.popleft() if self.faults else None
        receipts = tuple(self._receipt(lead) for lead in (leads if fault is None else leads[: fault.rows]))
        if fault is not None and fault.stop is None:
            raise KeyboardInterrupt
        return Delivered(receipts, fault.stop if fault else None)

    def find(self, leads: Sequence[OutgoingLead]) -> dict[str, RemoteLead]:
        found = {lead.query_id: self._id_of(lead) for lead in leads}
        return {query_id: RemoteLead(one, self.records[one]) for query_id, one in found.items() if one}

    def fields(self) -> tuple[CrmField, ...]:
        return tuple(CrmField(name, name, "string") for name in ("email", "city"))

    def check(self) -> str:
        return "the keys work"

    def add_activities(self, activities: Sequence[Activity]) -> Delivered:
        fault = self.activity_faults.popleft() if self.activity_faults else None
        taken = activities if fault is None else activities[: fault.rows]
        self.activities += [one.query_id for one in taken]
        if fault is not None and fault.stop is None:
            raise KeyboardInterrupt
        receipts = tuple(RowReceipt(one.query_id, RowState.CREATED, f"activity-{one.query_id}") for one in taken)
        return Delivered(receipts, fault.stop if fault else None)

    def _receipt(self, lead: OutgoingLead) -> RowReceipt:
        said = self.answers[lead.query_id].popleft() if self.answers[lead.query_id] else None
        if said is not None and said is not RowState.UNSURE:
            return RowReceipt(lead.query_id, said, None, f"the CRM says {said.value}")
        if self.key_of(lead) is None:
            return RowReceipt(lead.query_id, RowState.HELD, None, "has no e-mail address")
        written = self._write(lead)
        return RowReceipt(lead.query_id, said, None, "no answer came") if said else written

    def _write(self, lead: OutgoingLead) -> RowReceipt:
        stands = lead.remote_id
        if lead.unsure:
            self.looked_up.append(lead.query_id)
        if lead.unsure or self.is_unique:
            stands = self._id_of(lead)
        if stands is None:
            stands = f"record-{len(self.records) + 1}"
            self.records[stands] = dict(lead.values)
            return RowReceipt(lead.query_id, RowState.CREATED, stands)
        if self.records[stands].items() >= lead.values.items():
            return RowReceipt(lead.query_id, RowState.UNCHANGED, stands)
        self.records[stands].update(lead.values)
        return RowReceipt(lead.query_id, RowState.UPDATED, stands)

    def _id_of(self, lead: OutgoingLead) -> str | None:
        if lead.remote_id:
            return lead.remote_id
        key = self.key_of(lead)
        return next((one for one, values in self.records.items() if values.get("email", "").lower() == key), None)


def candidate(
    query_id: str, email: str | None = None, *, minute: int = 0, city: str = "Pune", content: str = "", **more: str
) -> Candidate:
    """Return a lead of NOON and so many minutes; its content is hashed as its city unless said otherwise."""
    email = f"buyer{query_id}@mail.example" if email is None else email
    values = {name: text for name, text in {"email": email, "city": city, **more}.items() if text}
    return Candidate(
        lead=OutgoingLead(query_id, values),
        lead_date=DAY,
        query_time=NOON - timedelta(hours=2) + timedelta(minutes=minute),
        first_seen_at=NOON - timedelta(hours=1),
        content_hash=content or f"content of {city}",
        payload_hash=payload_hash(values),
        record_key=email.lower() or None,
    )


def destination(**changes: Any) -> Destination:
    """Return a destination `acme.crm` with two mapped fields."""
    plain = Destination(
        account="acme",
        name="crm",
        crm="sharpspring",
        key_id="CANARY/KEY+ID==",
        secret_key="CANARY/SECRET+KEY==",
        key_places=("CRM_ID", "CRM_SECRET"),
        fields=(FieldSource("email", "sender_email"), FieldSource("city", "sender_city")),
        start=DAY,
    )
    return replace(plain, **changes)


def emails_of(records: Mapping[str, Mapping[str, str]]) -> list[str]:
    return sorted(values["email"] for values in records.values())


@dataclass
class Desk:
    """A CRM in memory, the outbox of what it was told, and the time."""

    folder: Path
    crm: MemoryCrm = field(default_factory=MemoryCrm)
    clock: Clock = field(default_factory=Clock)
    to: Destination = field(default_factory=destination)

    @property
    def outbox(self) -> Outbox:
        return Outbox(self.folder)

    @property
    def sender(self) -> Sender:
        """A sender of a new process."""
        return Sender(self.to, self.crm, self.outbox, self.clock)

    def send(self, *leads: Candidate, by_hand: bool = False) -> Sent:
        return self.sender.send(leads, by_hand=by_hand)

    def die(self, *leads: Candidate) -> None:
        with pytest.raises(KeyboardInterrupt):
            self.send(*leads)

    def row(self, query_id: str) -> Delivery:
        return self.outbox.of_leads("acme", "crm", [query_id])[query_id]

    def states(self, query_ids: Sequence[str]) -> list[DeliveryState]:
        rows = self.outbox.of_leads("acme", "crm", query_ids)
        return [rows[one].state for one in query_ids]
