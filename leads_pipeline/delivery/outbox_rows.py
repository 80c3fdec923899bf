"""What the outbox knows of a lead, a call and a run. Holds ids, hashes, states and times; no buyer's value, no key."""

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from leads_pipeline.delivery.crm import CrmCall


class DeliveryState(StrEnum):
    """Where a lead stands on its way to one destination."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    KEPT = "kept"
    SUPERSEDED = "superseded"
    """A newer enquiry of the same buyer stands in the CRM already, so this older one must not overwrite it."""
    HELD = "held"
    FAILED = "failed"
    """To be tried again."""
    UNSURE = "unsure"
    """Sent, without an answer so far: to be looked up."""
    PARKED = "parked"
    """Given up: refused for good, or failed too often. Goes on when its content changes or a person says so."""

    @property
    def is_done(self) -> bool:
        """Tell whether the CRM has what it should have of the lead."""
        return self in _DONE


_DONE = frozenset(
    {
        DeliveryState.CREATED,
        DeliveryState.UPDATED,
        DeliveryState.UNCHANGED,
        DeliveryState.KEPT,
        DeliveryState.SUPERSEDED,
    }
)


@dataclass(frozen=True)
class Delivery:
    """One lead's row for one destination. Times are in UTC."""

    account: str
    destination: str
    query_id: str
    lead_date: date
    query_time: datetime
    first_seen_at: datetime
    state: DeliveryState
    content_hash: str
    """The lead's content_hash when it was last looked at."""
    tried_hash: str
    """The hash of the payload that was last tried or held."""
    sent_hash: str | None = None
    """The hash of the payload that the CRM has."""
    remote_id: str | None = None
    record_key: str | None = None
    """A hash of what the CRM knows the buyer's record by."""
    attempts: int = 0
    """Attempts since the last success or change."""
    last_error: str = ""
    first_delivered_at: datetime | None = None
    delivered_at: datetime | None = None
    last_attempt_at: datetime | None = None
    next_try_at: datetime | None = None
    activity: str = ""
    """State of the activity that notes the enquiry: empty (none wanted or not yet), due, unsure, done, failed."""
    activity_id: str | None = None
    change: int = 0
    """Number of the step that changed it last; higher is later, over all rows."""


@dataclass(frozen=True)
class Standing:
    """The newest enquiry that a record of the CRM holds."""

    query_id: str
    query_time: datetime
    remote_id: str


@dataclass(frozen=True)
class DeliveryRun:
    """How one run of a destination ended."""

    account: str
    destination: str
    run_id: str
    ended_at: datetime
    stop: str
    """The kind of stop; empty if all that was due was tried."""
    reason: str
    done: int
    failed: int
    held: int
    parked: int
    number: int = 0

    @property
    def has_failed(self) -> bool:
        """Tell whether it ended before its end, or with nothing done although something failed."""
        return bool(self.stop) or (self.failed + self.parked > 0 and self.done == 0)


@dataclass(frozen=True)
class Attempt:
    """One call to a CRM, in the log."""

    attempt_id: int
    account: str
    destination: str
    run_id: str
    call: CrmCall
