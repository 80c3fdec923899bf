"""SharpSpring as the delivery sees it (contract: SharpSpring; protocol: delivery/crm.py)."""

import re
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
)
from leads_pipeline.delivery.sharpspring.answers import Kind
from leads_pipeline.delivery.sharpspring.client import SharpSpringClient
from leads_pipeline.delivery.sharpspring.fields import EMAIL, FieldBook, email_of, read_fields
from leads_pipeline.delivery.sharpspring.options import SharpSpringOptions, placeholder_of
from leads_pipeline.delivery.sharpspring.records import Lookup, Wanted
from leads_pipeline.delivery.sharpspring.sending import Learned, Row, Sending

_CUSTOM = re.compile(r"_[0-9a-f]{13}$")
NO_EMAIL = "has no e-mail address, without which SharpSpring takes no lead; placeholder_email can stand in"
NO_ACTIVITIES = (
    "SharpSpring notes nothing at a lead without an author, and nobody has shown that it does with one: "
    "map the message to the description"
)


class SharpSpring:
    """One SharpSpring account. Not safe for threads.

    `rate_file` is the file of the call slots; the buckets' name holds no key. `record` takes note of each call.
    `clock` (seconds of the wall clock) and `sleep` are what waiting goes by.
    """

    def __init__(
        self,
        *,
        account_id: str,
        secret_key: str,
        rate_file: Path,
        record: CallRecorder,
        options: SharpSpringOptions | None = None,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._options = options or SharpSpringOptions()
        self._client = SharpSpringClient(
            account_id, secret_key, self._options, rate_file=rate_file, record=record, clock=clock, sleep=sleep
        )
        self._lookup = Lookup(self._client)
        self._learned = Learned(self._options.rows_per_call, self._options.rows_per_call)
        self._book: FieldBook | None = None
        self._unknown_fields: set[str] = set()

    @property
    def rows_per_call(self) -> int:
        """Return how many leads `deliver` takes at once; fewer once the API refused so many."""
        return self._learned.rows_per_call

    @property
    def unknown_fields(self) -> frozenset[str]:
        """Return the fields that leads named so far and the CRM has not; they are left out."""
        return frozenset(self._unknown_fields)

    def key_of(self, lead: OutgoingLead) -> str | None:
        """Return the e-mail address in lower case, or what stands in for it; None if there is nothing."""
        return self._email_of(lead).lower() or None

    def deliver(self, leads: Sequence[OutgoingLead]) -> Delivered:
        """Send the leads as the sync behaviour says; see the protocol."""
        held = [
            RowReceipt(lead.query_id, RowState.HELD, lead.remote_id, NO_EMAIL)
            for lead in leads
            if not self._email_of(lead)
        ]
        rest = [lead for lead in leads if self._email_of(lead)]
        if not rest:
            return Delivered(tuple(held))
        try:
            rows = [self._row(lead) for lead in rest]
        except CrmStopError as error:
            return Delivered(tuple(held), error.stop)
        sending = Sending(self._client, self._lookup, self._options, self._learned, rows)
        stop = None
        try:
            sending.run()
        except CrmStopError as error:
            stop = error.stop
        return Delivered((*held, *sending.receipts.values()), stop)

    def find(self, leads: Sequence[OutgoingLead]) -> dict[str, RemoteLead]:
        """Return the records that stand for the leads, by query_id; raise CrmStopError.

        Values stand under their system names and under the names that the leads call them.
        """
        book = self._fields()
        names = sorted({name for lead in leads for called in lead.values if (name := book.name_of(called))})
        wanted = [Wanted(lead.query_id, self._email_of(lead).lower(), lead.remote_id) for lead in leads]
        records = self._lookup.records(wanted, names)
        called_by_lead = {lead.query_id: lead.values for lead in leads}
        found = {}
        for query_id, record in records.items():
            called = {one: record.values.get(book.name_of(one) or "") for one in called_by_lead[query_id]}
            values = {**record.values, **{name: text for name, text in called.items() if text}}
            found[query_id] = replace(record, values=values)
        return found

    def fields(self) -> tuple[CrmField, ...]:
        """Return the fields of leads; asked for once. Raises CrmStopError."""
        return self._fields().fields

    def check(self) -> str:
        """Return in one line whose account it is, how many fields it has and what is left of the day's calls."""
        fields = self._fields()
        domains = self._domains()
        users = f", users at {', '.join(domains)}" if domains else ""
        custom = sum(bool(_CUSTOM.search(field.name)) for field in fields.fields)
        used = ""
        if self._client.used is not None and self._client.limit:
            used = f"; {self._client.used:,} of {self._client.limit:,} calls of the day are used"
        return f"SharpSpring: the keys work{users}; {len(fields.fields)} fields, {custom} of them custom{used}"

    def add_activities(self, activities: Sequence[Activity]) -> Delivered:
        """Return HELD for each: what the API offers for notes is unproven."""
        return Delivered(tuple(RowReceipt(one.query_id, RowState.HELD, None, NO_ACTIVITIES) for one in activities))

    def _fields(self) -> FieldBook:
        if self._book is None:
            self._book = read_fields(self._client)
        return self._book

    def _domains(self) -> list[str]:
        judged = self._client.ask("getUserProfiles", {"where": {}, "limit": 100, "offset": 0})
        rows = judged.result.get("userProfile") if judged.kind is Kind.DONE else None
        addresses = [str(row.get(EMAIL) or "") for row in rows or () if isinstance(row, dict)]
        return sorted({address.rpartition("@")[2].lower() for address in addresses if "@" in address})[:3]

    def _email_of(self, lead: OutgoingLead) -> str:
        email = email_of(lead.values)
        if email or not self._options.placeholder_email:
            return email
        return placeholder_of(self._options.placeholder_email, {**lead.values, "query_id": lead.query_id})

    def _row(self, lead: OutgoingLead) -> Row:
        values, unknown = self._fields().adapted(lead.values)
        self._unknown_fields |= unknown
        email = self._email_of(lead)
        return Row(lead, email, {**values, EMAIL: email})
