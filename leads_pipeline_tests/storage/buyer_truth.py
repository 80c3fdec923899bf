"""Leads as far as buyers are concerned, and who their buyers are by a union-find in plain Python.

The rules are written down here once more, so that agreeing with them proves something.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import pyarrow as pa

from leads_pipeline_tests.storage.lead_tables import FETCHED, day_after, leads_of

FAKE_MOBILES = ("+919999999999", "+919000000000", "+911234567890", "+919876543210", "+919912345678", "+919887654321")
FAKE_EMAILS = ("noreply@portal.example", "no-reply@portal.example", "na@mail.example", "test@mail.example")

LeadState = tuple[UUID | None, bool | None]
"""What a lead says in buyer_id and is_repeat."""


@dataclass(frozen=True)
class Lead:
    """A lead; `day` counts from the first, `second` within the day, `seen` is when it was first seen."""

    query_id: str
    day: int = 0
    second: int = 0
    seen: int = 0
    query_type: str | None = "W"
    sender_name: str | None = None
    sender_company: str | None = None
    sender_city: str | None = None
    sender_state: str | None = None
    sender_country_iso: str | None = None
    sender_mobile: str | None = None
    sender_mobile_alt: str | None = None
    sender_email: str | None = None
    sender_email_alt: str | None = None
    sender_phone: str | None = None
    subject: str | None = None

    @property
    def date(self) -> date:
        return day_after(self.day)

    @property
    def time(self) -> datetime:
        return datetime.combine(self.date, datetime.min.time(), UTC) + timedelta(seconds=self.second)

    @property
    def mobiles(self) -> set[str]:
        return {one for one in (self.sender_mobile, self.sender_mobile_alt) if one and one not in FAKE_MOBILES}

    @property
    def emails(self) -> set[str]:
        return {one for one in (self.sender_email, self.sender_email_alt) if one and one not in FAKE_EMAILS}


def table_of(day: int, leads: Iterable[Lead], account: str) -> pa.Table:
    """Return the day's leads as the day's file holds them."""
    own = {"query_id", "day", "second", "seen"}
    tables = [
        leads_of(
            lead.date,
            [lead.query_id],
            account=account,
            query_time=lead.time,
            first_seen_at=FETCHED + timedelta(seconds=lead.seen),
            **{field.name: getattr(lead, field.name) for field in fields(Lead) if field.name not in own},
        )
        for lead in leads
    ]
    return pa.concat_tables([leads_of(day_after(day), []), *tables])


def true_buyers(leads: Sequence[Lead], account: str) -> tuple[dict[str, LeadState], list[dict[str, Any]]]:
    """Return what each lead says of its buyer, by query id, and the rows of table buyers in the order of their ids."""
    parent: dict[str, str] = {}

    def root_of(node: str) -> str:
        while parent.setdefault(node, node) != node:
            node = parent[node]
        return node

    known = [lead for lead in leads if lead.mobiles | lead.emails]
    for lead in known:
        for identifier in lead.mobiles | lead.emails:
            parent[root_of(identifier)] = root_of(f"lead {lead.query_id}")
    groups: dict[str, list[Lead]] = defaultdict(list)
    for lead in sorted(known, key=lambda lead: (lead.time, lead.query_id)):
        groups[root_of(f"lead {lead.query_id}")].append(lead)
    states: dict[str, LeadState] = {lead.query_id: (None, None) for lead in leads}
    rows = [_row(group, account) for group in groups.values()]
    for row, group in zip(rows, groups.values(), strict=True):
        states |= {lead.query_id: (row["buyer_id"], lead is not group[0]) for lead in group}
    return states, sorted(rows, key=lambda row: str(row["buyer_id"]))


def _row(group: list[Lead], account: str) -> dict[str, Any]:
    founder = min(group, key=lambda lead: (lead.seen, lead.query_id))
    names = [lead.sender_name for lead in group if lead.sender_name]
    companies = [lead.sender_company for lead in group if lead.sender_company]
    with_city = [lead for lead in group if lead.sender_city]
    with_state = [lead for lead in group if lead.sender_state]
    with_country = [lead for lead in group if lead.sender_country_iso]
    place = (with_city or with_state or with_country or group)[-1]
    types = [lead.query_type for lead in group]
    return {
        "account": account,
        "buyer_id": buyer_id(founder.query_id, account),
        "name": names[-1] if names else None,
        "names": sorted(set(names)),
        "company": companies[-1] if companies else None,
        "companies": sorted(set(companies)),
        "mobiles": sorted(set().union(*(lead.mobiles for lead in group))),
        "emails": sorted(set().union(*(lead.emails for lead in group))),
        "city": place.sender_city,
        "state": place.sender_state,
        "country_iso": place.sender_country_iso,
        "enquiries": len(group),
        "web_enquiries": types.count("W"),
        "buy_leads": types.count("B"),
        "calls": types.count("P"),
        "whatsapp_enquiries": types.count("WA"),
        "catalogue_views": types.count("BIZ"),
        "first_query_time": group[0].time,
        "last_query_time": group[-1].time,
        "first_lead_date": group[0].date,
        "last_lead_date": group[-1].date,
        "first_seen_at": FETCHED + timedelta(seconds=founder.seen),
    }


def buyer_id(query_id: str, account: str) -> UUID:
    """Return the id of the buyer of whom this lead was seen first."""
    return UUID(hashlib.md5(f"{account}\0{query_id}".encode(), usedforsecurity=False).hexdigest())
