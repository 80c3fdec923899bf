"""LeadSquared as the delivery sees it (contract: LeadSquared; protocol: delivery/crm.py)."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from leads_pipeline.delivery.crm import (
    Activity,
    CallRecorder,
    CrmField,
    CrmStopError,
    Delivered,
    OutgoingLead,
    RemoteLead,
    RowReceipt,
    RowState,
    Stop,
    StopKind,
)
from leads_pipeline.delivery.leadsquared.activities import Activities
from leads_pipeline.delivery.leadsquared.client import LeadSquaredClient
from leads_pipeline.delivery.leadsquared.fields import FieldBook, folded, keys_of, read_fields
from leads_pipeline.delivery.leadsquared.options import MOST_CREATED, MOST_UPSERTED, LeadSquaredOptions
from leads_pipeline.delivery.leadsquared.records import Lookup
from leads_pipeline.delivery.leadsquared.rows import Row
from leads_pipeline.delivery.leadsquared.sending import NO_KEY, Sending

NO_ACTIVITY = "no activity type is set for this destination"


class LeadSquared:
    """One LeadSquared account. Not safe for threads.

    `rate_file` is the file of the call slots; the buckets' names hold no key. `record` takes note of each call.
    `clock` (seconds of the wall clock) and `sleep` are what waiting goes by.

    Updates of empty fields only, or of all but the unique ones, compare with the record that stands there and set
    what differs. LeadSquared's own LeadUpdateBehavior is a part of Lead.Capture alone, which takes one lead a call
    and searches by other rules than the search key: new leads would cost 25 times the calls.
    """

    def __init__(
        self,
        *,
        access_key: str,
        secret_key: str,
        rate_file: Path,
        record: CallRecorder,
        options: LeadSquaredOptions | None = None,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._options = options or LeadSquaredOptions()
        self._client = LeadSquaredClient(
            access_key, secret_key, self._options, rate_file=rate_file, record=record, clock=clock, sleep=sleep
        )
        self._lookup = Lookup(self._client)
        self._activities = Activities(self._client, self._options.activity)
        self._book: FieldBook | None = None
        self._unknown_fields: set[str] = set()

    @property
    def rows_per_call(self) -> int:
        """Return how many leads `deliver` takes at once: as many as its calls."""
        return min(self._options.rows_per_call, MOST_UPSERTED if self._options.overwrites else MOST_CREATED)

    @property
    def unknown_fields(self) -> frozenset[str]:
        """Return the fields that leads named so far and the CRM has not; they are left out."""
        return frozenset(self._unknown_fields)

    def key_of(self, lead: OutgoingLead) -> str | None:
        """Return the search key's value, else the phone number or e-mail address, in one form; None if it has none."""
        return next(
            (found for name, text in keys_of(lead.values, self._options.search_key) if (found := folded(name, text))),
            None,
        )

    def deliver(self, leads: Sequence[OutgoingLead]) -> Delivered:
        """Send the leads as the sync behaviour says; see the protocol."""
        try:
            book = self._checked_fields()
        except CrmStopError as error:
            return Delivered((), error.stop)
        rows = [self._row(lead, book) for lead in leads]
        held = [
            RowReceipt(row.lead.query_id, RowState.HELD, None, NO_KEY)
            for row in rows
            if not row.keys and not row.remote_id
        ]
        sent = [row for row in rows if row.keys or row.remote_id]
        sending = Sending(self._client, self._lookup, self._options, book, sent)
        stop = None
        try:
            sending.run()
        except CrmStopError as error:
            stop = error.stop
        self._unknown_fields |= sending.unknown_fields
        return Delivered((*held, *sending.receipts.values()), stop)

    def find(self, leads: Sequence[OutgoingLead]) -> dict[str, RemoteLead]:
        """Return the records that stand for the leads, by query_id; raise CrmStopError.

        Values stand under their schema names and under the names that the leads call them.
        """
        book = self._checked_fields()
        found = {}
        for lead in leads:
            row = self._row(lead, book)
            record = self._lookup.record(row.remote_id, row.keys)
            if record is not None:
                called = {one: record.values.get(book.name_of(one) or "") for one in lead.values}
                values = {**record.values, **{name: text for name, text in called.items() if text}}
                found[lead.query_id] = replace(record, values=values)
        return found

    def fields(self) -> tuple[CrmField, ...]:
        """Return the fields of leads; asked for once. Raises CrmStopError."""
        return tuple(self._fields().by_name.values())

    def check(self) -> str:
        """Return in one line where the keys work, the account's time zone and country code, and its fields."""
        owner = self._client.who_am_i()
        facts = [
            f"{words} {fact}"
            for words, fact in (("time zone", owner.time_zone), ("default country code", owner.country_code))
            if fact
        ]
        book = self._checked_fields()
        key = book.name_of(self._options.search_key) or ""
        custom = sum(name.startswith("mx_") for name in book.by_name)
        facts.append(f"{len(book.by_name)} fields, {custom} of them custom")
        facts.append(f"records are found by {key}{'' if key in book.unique else ', which is not unique there'}")
        if self._options.activity:
            facts.append(f"enquiries are noted as activity {self._activities.code()}")
        elsewhere = f" (they belong to {owner.host})" if owner.host not in ("", self._client.host) else ""
        return f"LeadSquared: the keys work at {self._client.host}{elsewhere}; {'; '.join(facts)}"

    def add_activities(self, activities: Sequence[Activity]) -> Delivered:
        """Note the enquiries at their records; see the protocol. HELD for each if no activity type is set."""
        if not self._options.activity:
            return Delivered(tuple(RowReceipt(one.query_id, RowState.HELD, None, NO_ACTIVITY) for one in activities))
        stop = None
        try:
            self._activities.add(activities)
        except CrmStopError as error:
            stop = error.stop
        return Delivered(tuple(self._activities.receipts.values()), stop)

    def _fields(self) -> FieldBook:
        if self._book is None:
            self._book = read_fields(self._client)
        return self._book

    def _checked_fields(self) -> FieldBook:
        book = self._fields()
        if book.name_of(self._options.search_key) is None:
            reason = f"LeadSquared has no field {self._options.search_key}: set search_key to one that it has"
            raise CrmStopError(Stop(StopKind.MISCONFIGURED, reason))
        return book

    def _row(self, lead: OutgoingLead, book: FieldBook) -> Row:
        values, unknown = book.adapted(lead.values)
        self._unknown_fields |= unknown
        search_key = book.name_of(self._options.search_key) or ""
        keys = [
            (name, text)
            for name, text in keys_of(values, search_key)
            if name in book.by_name and (name == search_key or name in book.unique)
        ]
        return Row(lead, values, keys, lead.remote_id)
