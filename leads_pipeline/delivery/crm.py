"""What the delivery asks of a CRM, and what it gets back: one protocol that each CRM's package implements."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Literal, Protocol


class RowState(StrEnum):
    """What became of one lead that was to be sent."""

    CREATED = "created"
    """A new record stands in the CRM."""
    UPDATED = "updated"
    """A record that stood there has the lead's values in the mapped fields now."""
    UNCHANGED = "unchanged"
    """The record has these values already."""
    KEPT = "kept"
    """The record stands there, and the sync behaviour says to leave it as it is."""
    HELD = "held"
    """Can't be sent as it is, such as without an e-mail address where the CRM wants one; nothing was sent."""
    REJECTED = "rejected"
    """The CRM refuses this row, and will again."""
    FAILED = "failed"
    """Not written; may work later."""
    UNSURE = "unsure"
    """Sent, and nobody can tell whether it was written: to be looked up before it is sent again."""

    @property
    def is_done(self) -> bool:
        """Tell whether the CRM has what it should have."""
        return self in _DONE


_DONE = frozenset({RowState.CREATED, RowState.UPDATED, RowState.UNCHANGED, RowState.KEPT})

Sync = Literal["create_and_update", "create_only", "update_only", "nothing"]
"""What may happen to records of the CRM (contract: LeadSquared, 1.7)."""

Update = Literal["overwrite", "only_empty_fields", "not_unique_fields"]
"""What an update does to a record: all mapped fields, only those empty there, or all but the unique ones."""


@dataclass(frozen=True)
class OutgoingLead:
    """One lead on its way to a CRM."""

    query_id: str
    values: Mapping[str, str] = field(repr=False)
    """The CRM's fields, by their names there, with the text for each; no empty texts."""
    remote_id: str | None = None
    """The record that earlier receipts of this lead, or of its buyer, name."""
    unsure: bool = False
    """Whether it was sent before and no answer told what became of it: look it up first."""


@dataclass(frozen=True)
class RowReceipt:
    """What became of one lead."""

    query_id: str
    state: RowState
    remote_id: str | None = None
    reason: str = ""
    """Why, in words that hold no value of the lead; empty when it is done."""


class StopKind(StrEnum):
    """Why a delivery can't go on now."""

    BAD_KEYS = "bad_keys"
    """The CRM does not accept the keys: a person must act."""
    QUOTA_USED_UP = "quota_used_up"
    """The calls of the day, or of the plan, are used up."""
    UNREACHABLE = "unreachable"
    """No answer comes, or none that can be read; may work later."""
    MISCONFIGURED = "misconfigured"
    """The mapping or settings don't fit the CRM: a person must act."""


@dataclass(frozen=True)
class Stop:
    """The end of a delivery before all was sent."""

    kind: StopKind
    reason: str
    """What happened, what it means and what to do, without keys or values; one line."""


@dataclass(frozen=True)
class Delivered:
    """What became of the leads of one `deliver`; those without a receipt were not sent."""

    receipts: tuple[RowReceipt, ...]
    stop: Stop | None = None


@dataclass(frozen=True)
class RemoteLead:
    """One record of the CRM, as it is there."""

    remote_id: str
    values: Mapping[str, str] = field(repr=False)
    """Its fields by name, unescaped, without those that are empty."""


@dataclass(frozen=True)
class CrmField:
    """One field that the CRM has for its leads."""

    name: str
    """What the API calls it."""
    label: str
    kind: str
    """The CRM's word for its type."""
    is_required: bool = False
    is_unique: bool = False
    is_read_only: bool = False
    max_length: int | None = None
    options: tuple[str, ...] = ()
    """The only values that it takes; empty if it takes others too."""


@dataclass(frozen=True)
class Activity:
    """One enquiry to be noted at its buyer's record."""

    query_id: str
    remote_id: str
    note: str = field(repr=False)
    at: datetime


class CallOutcome(StrEnum):
    """What came of one call."""

    OK = "ok"
    PARTLY = "partly"
    """Some rows were refused."""
    REFUSED = "refused"
    RATE_LIMITED = "rate_limited"
    NO_ANSWER = "no_answer"
    """Or none that can be read."""


@dataclass(frozen=True)
class CrmCall:
    """One call to a CRM: a row of delivery_attempts. Holds neither keys nor values."""

    method: str
    """The API's name of it."""
    sent_at: datetime
    seconds: float
    rows: int
    """Leads that it was for."""
    http_status: int | None
    outcome: CallOutcome
    reason: str = ""
    created: int = 0
    updated: int = 0
    failed: int = 0


CallRecorder = Callable[[CrmCall], None]
"""Takes note of each call as soon as its answer is judged."""


class CrmStopError(Exception):
    """A question to the CRM (find, fields, check) could not be answered."""

    def __init__(self, stop: Stop) -> None:
        super().__init__(stop.reason)
        self.stop = stop


class Crm(Protocol):
    """One account of a CRM."""

    @property
    def rows_per_call(self) -> int:
        """Return how many leads `deliver` takes at once."""

    @property
    def unknown_fields(self) -> frozenset[str]:
        """Return the fields of leads sent so far that the CRM has not; they were left out."""

    def key_of(self, lead: OutgoingLead) -> str | None:
        """Return what the CRM knows the lead's record by, in one form (case, digits); None if there is nothing.

        Two leads of one key are one record there, so they never go into one `deliver`.
        """

    def deliver(self, leads: Sequence[OutgoingLead]) -> Delivered:
        """Send the leads as the sync behaviour says, look up those that are unsure first; never raises for answers."""

    def find(self, leads: Sequence[OutgoingLead]) -> dict[str, RemoteLead]:
        """Return the records that stand for the leads, by query_id; raise CrmStopError. Changes nothing."""

    def fields(self) -> tuple[CrmField, ...]:
        """Return the fields that the CRM has; asked for once per object. Raises CrmStopError."""

    def check(self) -> str:
        """Return in one line who the keys belong to and where; raise CrmStopError if they don't work."""

    def add_activities(self, activities: Sequence[Activity]) -> Delivered:
        """Note the enquiries at their records, `rows_per_call` at most; `remote_id` of a receipt is the activity's.

        A CRM that has none returns HELD for each.
        """
