"""A destination: one CRM account that one seller's leads go to, with everything that was decided about it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Literal

from leads_pipeline.delivery.crm import Sync, Update
from leads_pipeline.delivery.rate import RateLimit

CrmName = Literal["leadsquared", "sharpspring"]
PhoneForm = Literal["dashed", "e164", "digits", "national"]
"""+91-9876543210, +919876543210, 919876543210 or 9876543210."""


@dataclass(frozen=True)
class FieldSource:
    """Where one field of the CRM has its text from."""

    field: str
    """The CRM's name of the field."""
    source: str
    """A column of leads, or a text with columns in braces; empty for the default alone."""
    default: str = ""
    """What is sent where the source has nothing; empty: the field is then left out."""


@dataclass(frozen=True)
class Destination:
    """One CRM account of one account's leads."""

    account: str
    name: str
    """The table's name in the accounts file; an account may have several destinations."""
    crm: CrmName
    key_id: str = field(repr=False)
    """LeadSquared's access key, SharpSpring's account id."""
    secret_key: str = field(repr=False)
    key_places: tuple[str, str]
    """Where the two are looked for: names of variables or files."""
    fields: tuple[FieldSource, ...]
    address: str = ""
    """Host or URL; empty for the provider's own."""
    sync: Sync = "create_and_update"
    update: Update = "overwrite"
    phone_form: PhoneForm = "e164"
    search_key: str = ""
    """The field that records are found by; empty for the CRM's usual one."""
    activity: str = ""
    """LeadSquared's activity type (event code or name) that notes each enquiry; empty for none."""
    placeholder_email: str = ""
    """A template of the address that stands in for a missing one, where the CRM wants one; empty to hold such leads."""
    lead_source: str = ""
    start: date | None = None
    """The first day whose leads go there by themselves; None for the day on which the destination was first seen."""
    limits: Mapping[str, RateLimit] = field(default_factory=dict)
    """Limits that differ from the CRM's usual ones, by kind: calls, bulk_calls."""
    rows_per_call: int | None = None
    timeout_seconds: float = 60.0

    @property
    def label(self) -> str:
        """Return the name that people read: account and destination."""
        return f"{self.account}.{self.name}"

    @property
    def has_keys(self) -> bool:
        """Tell whether both keys are set; without them nothing is sent."""
        return bool(self.key_id and self.secret_key)
