"""What an answer means that is empty without saying why: v1's bare `[]` (contract: v1), v2's success without a total.

No leads, a call too early, a wrong key, or a new key that is not shown older leads yet: all look the same. It means
no leads only where the others are ruled out, each by what is stored. Coverage never counts it otherwise.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from leads_pipeline.days import IST, day_of, day_start
from leads_pipeline.indiamart.outcomes import Outcome
from leads_pipeline.indiamart.reading import WITHHELD, newer_key_made_at
from leads_pipeline.settings import Account
from leads_pipeline.stages.workspace import Workspace
from leads_pipeline.storage.catalog import StoredAnswer
from leads_pipeline.storage.raw import RawResponse


@dataclass(frozen=True)
class EmptyFacts:
    """What rules out that an empty answer is a false one."""

    known_leads: int
    """Leads in the tables of days that lie wholly in its window."""
    key_made_at: datetime | None
    """When the key was made, where IndiaMART told so within the last 24 hours."""
    key_is_trusted: bool
    """Whether the same key has brought leads from before the window, or had brought any a day before this call."""
    earlier: tuple[StoredAnswer, ...]
    """Earlier answers to calls with the same key, as empty as this one, whose windows overlap this one's."""
    call_interval: timedelta


def settled(workspace: Workspace, account: Account, response: RawResponse) -> RawResponse:
    """Return the answer with what its emptiness means in the light of what is stored; other answers as they are."""
    if response.outcome is not Outcome.AMBIGUOUS_EMPTY:
        return response
    outcome, words = meaning_of_empty(response, _facts(workspace, account, response))
    return replace(response, outcome=outcome, message=f"{response.message} {words}".strip())


def meaning_of_empty(response: RawResponse, facts: EmptyFacts) -> tuple[Outcome, str]:
    """Return the outcome of an answer that is empty without saying why, and the reason in words.

    Two such answers mean no leads if their calls were an interval apart, each after the end of what both were asked
    for, with a key that is known to show leads of that time, and no lead of that time is known.
    """
    made_at = facts.key_made_at
    if made_at is not None and response.window.start < made_at and response.sent_at < made_at + WITHHELD:
        told = made_at.astimezone(IST)
        return Outcome.NOT_YET_AVAILABLE, f"Empty: the key was made at {told:%d %b %Y %H:%M} IST."
    if facts.known_leads:
        return (
            Outcome.AMBIGUOUS_EMPTY,
            f"Empty, though {facts.known_leads} lead(s) of these days are known: the call came too early, or the key "
            "is not valid any more.",
        )
    if not facts.key_is_trusted:
        return (
            Outcome.AMBIGUOUS_EMPTY,
            "Empty, and the key has brought no leads yet from before these days, nor any a day ago: it may be wrong or "
            "new.",
        )
    for answer in facts.earlier:
        if _says_the_same(answer, response, facts.call_interval):
            return Outcome.NO_LEADS, f"Empty, as {answer.response_id} was: no leads."
    return Outcome.AMBIGUOUS_EMPTY, "Empty; a second call must say the same."


def _says_the_same(earlier: StoredAnswer, response: RawResponse, interval: timedelta) -> bool:
    """Tell whether the earlier answer says of every ended day that this one can prove what this one says."""
    ended = day_start(day_of(response.proven_until))
    provable = min(response.window_end, ended)
    return (
        earlier.fetched_at + interval <= response.sent_at
        and earlier.window.start <= response.window_start
        and (provable <= response.window_start or (earlier.window.end >= provable and earlier.proven_until >= provable))
    )


def _facts(workspace: Workspace, account: Account, response: RawResponse) -> EmptyFacts:
    days = [day for day in response.window.days if response.window.covers(day)]
    rejected = workspace.call_log.of_outcome_since(account.name, Outcome.KEY_REJECTED, response.sent_at - WITHHELD)
    told = [call.message for call in rejected if call.source_api == response.source_api]
    made_at = [moment for message in told if (moment := newer_key_made_at(message)) is not None]
    return EmptyFacts(
        known_leads=sum(workspace.lead_files(account.name).counts(days).values()),
        key_made_at=max(made_at, default=None),
        key_is_trusted=workspace.call_log.has_brought_leads(
            account.name,
            response.key_fingerprint,
            from_before=response.window_start,
            sent_by=response.sent_at - WITHHELD,
        ),
        earlier=tuple(
            answer
            for answer in workspace.catalog.ambiguous_empties(account.name, response.window)
            if _key_of(workspace, answer) == response.key_fingerprint
        ),
        call_interval=timedelta(seconds=account.call_interval_seconds),
    )


def _key_of(workspace: Workspace, answer: StoredAnswer) -> str | None:
    sidecar = workspace.raw.read_sidecar(answer.response_id)
    return sidecar.key_fingerprint if sidecar is not None else None
