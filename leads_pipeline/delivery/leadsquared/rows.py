"""A lead on its way: what is known of its record, and what is to be done next."""

from collections.abc import Set
from dataclasses import dataclass, field
from enum import Enum

from leads_pipeline.delivery.crm import OutgoingLead
from leads_pipeline.delivery.leadsquared.fields import without_markup


class Step(Enum):
    """What is to be done next with a lead."""

    LOOK_UP = "look_up"
    CREATE = "create"
    """In a call that leaves records alone that stand there."""
    UPSERT = "upsert"
    """The whole lead, in a call that creates or overwrites."""
    UPDATE = "update"
    """A part of the lead, in a call that can't create."""
    DONE = "done"


@dataclass(eq=False)
class Row:
    """A lead on its way."""

    lead: OutgoingLead
    values: dict[str, str] = field(repr=False)
    """By schema name, as the fields take them."""
    keys: list[tuple[str, str]] = field(repr=False)
    """What the record is found by, the first first."""
    remote_id: str | None
    """The record that it has, as far as is known."""
    step: Step = Step.DONE
    tried_keys: int = 0
    """Keys by which the CRM could not write it."""
    must_stand: bool = False
    """Whether the CRM said that a record with its values is there."""
    is_gone: bool = False
    """Whether the CRM said that the record is not there any more."""
    is_unsure: bool = False
    """Whether it may have been written without an answer."""
    was_updated: bool = False
    """Whether an update was sent to which no answer came."""
    is_stripped: bool = False
    clashing: set[str] = field(default_factory=set)
    """Unique fields whose value another record has."""
    refused: str = ""
    """Why the CRM refused it, where that may be for a field that an update may not change."""
    unanswered: int = 0
    refusals: int = 0
    sends: int = 0
    doubted: set[str] = field(default_factory=set)
    """Fields that the CRM has, and called unknown once."""
    body: dict[str, str] = field(repr=False, default_factory=dict)
    """What an update of a part sends."""

    @property
    def has_markup(self) -> bool:
        """Tell whether it has what may be taken for markup."""
        return without_markup(self.values) != self.values

    def strip(self) -> None:
        """Take what may be markup out of its texts."""
        self.is_stripped = True
        self.values, self.body = without_markup(self.values), without_markup(self.body)

    def drop(self, names: Set[str]) -> None:
        """Send these fields no more."""
        for name in names:
            self.values.pop(name, None)
            self.body.pop(name, None)
        self.keys = [key for key in self.keys if key[0] not in names]
