"""The one table of outcomes: what an answer means, what to do, who must act, how loud, and the sentence for people.

Retries, coverage, alerts, the README's troubleshooting and the tests all read it (contract: v2 errors; v1).
"""

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """What one call's answer means."""

    LEADS = "leads"
    NO_LEADS = "no_leads"
    AMBIGUOUS_EMPTY = "ambiguous_empty"
    NOT_YET_AVAILABLE = "not_yet_available"
    RATE_LIMITED = "rate_limited"
    KEY_BLOCKED = "key_blocked"
    KEY_REJECTED = "key_rejected"
    BAD_REQUEST = "bad_request"
    TRUNCATED = "truncated"
    SERVER_ERROR = "server_error"
    UNREADABLE = "unreadable"
    UNREACHABLE = "unreachable"

    @property
    def rule(self) -> "OutcomeRule":
        """Return the outcome's row of the table."""
        return RULES[self]


class Retry(StrEnum):
    """When a call that ended so may be made again."""

    NOT_NEEDED = "not needed"
    NEXT_SLOT = "next free slot"
    AFTER_BLOCK = "after the block"
    NEXT_DAY = "a day later"
    NEVER = "not until a person acts"


class Actor(StrEnum):
    """Who must act for things to go on."""

    NOBODY = "nobody"
    SELLER = "the seller"
    OPERATOR = "the operator"


class AlertLevel(StrEnum):
    """How loud an alert about the outcome is."""

    NONE = "none"
    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


@dataclass(frozen=True)
class OutcomeRule:
    """One row of the table: what follows from an outcome."""

    retry: Retry
    actor: Actor
    level: AlertLevel
    covers: bool
    """Whether the answer proves that its window was asked for and answered in full."""
    has_records: bool
    """Whether the answer's records are merged."""
    sentence: str
    """What happened, what it means, what to do; for people; no key, no personal data."""

    @property
    def is_success(self) -> bool:
        """Tell whether the call did its work."""
        return self.retry is Retry.NOT_NEEDED

    @property
    def is_transient(self) -> bool:
        """Tell whether the same run may try again by itself."""
        return self.retry in (Retry.NEXT_SLOT, Retry.AFTER_BLOCK)


RULES: dict[Outcome, OutcomeRule] = {
    Outcome.LEADS: OutcomeRule(
        Retry.NOT_NEEDED, Actor.NOBODY, AlertLevel.NONE, True, True,
        "IndiaMART answered with leads.",
    ),
    Outcome.NO_LEADS: OutcomeRule(
        Retry.NOT_NEEDED, Actor.NOBODY, AlertLevel.NONE, True, False,
        "IndiaMART answered that there are no leads in the window.",
    ),
    Outcome.AMBIGUOUS_EMPTY: OutcomeRule(
        Retry.NEXT_SLOT, Actor.NOBODY, AlertLevel.INFO, False, False,
        "The answer is empty without saying why: no leads, a call that came too early, or a wrong key. It proves "
        "nothing until a second call with a key that is known to work says the same; the window is asked for again.",
    ),
    Outcome.NOT_YET_AVAILABLE: OutcomeRule(
        Retry.NEXT_DAY, Actor.NOBODY, AlertLevel.INFO, False, False,
        "Leads from before the key was made become available 24 hours after that; "
        "these days are asked for again a day later.",
    ),
    Outcome.RATE_LIMITED: OutcomeRule(
        Retry.NEXT_SLOT, Actor.NOBODY, AlertLevel.WARNING, False, False,
        "IndiaMART allows one call per 5 minutes per key and refused this one: another tool, or another copy of "
        "this one, uses the same key. The call is made again at the next free slot.",
    ),
    Outcome.KEY_BLOCKED: OutcomeRule(
        Retry.AFTER_BLOCK, Actor.OPERATOR, AlertLevel.CRITICAL, False, False,
        "IndiaMART blocked the key for 15 minutes after too many calls: find out which other tool uses the same "
        "key and stop it. The call is made again after the block.",
    ),
    Outcome.KEY_REJECTED: OutcomeRule(
        Retry.NEVER, Actor.SELLER, AlertLevel.CRITICAL, False, False,
        "IndiaMART rejected the CRM key: it is wrong, has expired unused, or was replaced by a newer one; for v1 the "
        "mobile number may be wrong too. Copy the current key from the seller panel (Lead Manager, Import/Export "
        "Leads, Pull API) into the settings.",
    ),
    Outcome.BAD_REQUEST: OutcomeRule(
        Retry.NEVER, Actor.OPERATOR, AlertLevel.CRITICAL, False, False,
        "IndiaMART refused the request's dates: they are older than 365 days or a form it does not take. Ask for "
        "days of the last year; if the days are right, this is a fault of the program: report it.",
    ),
    Outcome.TRUNCATED: OutcomeRule(
        Retry.NOT_NEEDED, Actor.NOBODY, AlertLevel.WARNING, False, True,
        "The answer holds fewer records than it says there are. They are kept; the window is asked for again in "
        "smaller parts.",
    ),
    Outcome.SERVER_ERROR: OutcomeRule(
        Retry.NEXT_SLOT, Actor.NOBODY, AlertLevel.WARNING, False, False,
        "IndiaMART had an error of its own. The call is made again at the next free slot.",
    ),
    Outcome.UNREADABLE: OutcomeRule(
        Retry.NEXT_SLOT, Actor.NOBODY, AlertLevel.WARNING, False, False,
        "The answer is not what the API gives (a web page, a redirect, cut off, or no JSON). It is kept, and the "
        "call is made again at the next free slot.",
    ),
    Outcome.UNREACHABLE: OutcomeRule(
        Retry.NEXT_SLOT, Actor.OPERATOR, AlertLevel.WARNING, False, False,
        "No answer came from IndiaMART (name, connection or time limit). Check this machine's network; the call is "
        "made again at the next free slot.",
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Judgement:
    """What one answer says: its outcome and the facts it was judged by."""

    outcome: Outcome
    code: int | None = None
    """The body's CODE, where it has one."""
    message: str = ""
    """The API's own words, at most 300 characters, key masked; or what went wrong on our side."""
    total_records: int | None = None
    records: int = 0
    """How many records the answer holds."""
