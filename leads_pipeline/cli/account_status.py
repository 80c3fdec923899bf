"""What is known of one account: its calls, its slot, its days. Shared by the commands that tell of accounts.

It imports no Dagster and opens no table, so that they answer at once, also while a pull is at work.
"""

import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime

from leads_pipeline.cli.errors import FAILED, CommandError
from leads_pipeline.cli.late_leads import LateLeads
from leads_pipeline.cli.moments import ago, in_india, iso
from leads_pipeline.days import ONE_DAY, day_of, days_between
from leads_pipeline.indiamart.call_log import CallRecord
from leads_pipeline.indiamart.call_slot import SlotState, key_fingerprint
from leads_pipeline.settings import DEMO_ACCOUNT, Account
from leads_pipeline.stages.workspace import Workspace
from leads_pipeline.storage.coverage import DayCoverage, DayState

_SHORT_ID = 8  # as much of a run's id as Dagster's UI shows


@dataclass(frozen=True)
class CoverageSummary:
    """How many past days of an account are complete, partial, missing."""

    since: date
    """The first day that counts: the first that was ever answered, or the set start if that is earlier."""
    until: date
    """The last day that counts: yesterday in India, for today can't be complete."""
    states: dict[DayState, int]
    newest_complete: date | None
    today: DayCoverage


@dataclass(frozen=True)
class AccountStatus:
    """What is known of one account."""

    account: Account
    last_call: CallRecord | None
    last_success: CallRecord | None
    slot: SlotState | None
    """None when there is no key, or no call was ever wanted."""
    has_answers: bool
    coverage: CoverageSummary | None
    days: tuple[DayCoverage, ...]
    """The coverage of the last days that were asked for, newest first."""
    other_slot: SlotState | None = None
    """The same of the account's other version; None as well when it has none."""
    late: LateLeads | None = None
    """None when no day of the last 90 was asked for completely, or nothing is published."""


@contextmanager
def readable_state() -> Iterator[None]:
    """Turn the block's trouble with the state folder into words."""
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        raise CommandError(
            f"The pipeline's state can't be read ({type(error).__name__}). Run this as the user who runs the "
            "pipeline; `leads doctor` looks closer.",
            FAILED,
        ) from None


def slot_of(workspace: Workspace, account: Account) -> SlotState | None:
    """Return the slot of the account's key; None when there is no key, or no call was ever made."""
    has_calls = (workspace.settings.state_dir / "calls.sqlite").exists()
    return workspace.slots.state(key_fingerprint(account.key)) if has_calls and account.has_key else None


def account_status(workspace: Workspace, account: Account, days: int, now: datetime) -> AccountStatus:
    """Return the account's status at that moment, with the coverage of the last `days` days; makes no file."""
    state_dir = workspace.settings.state_dir
    has_calls = (state_dir / "calls.sqlite").exists()
    has_catalog = (state_dir / "answers.sqlite").exists()
    first = workspace.catalog.first_day(account.name) if has_catalog else None
    today = day_of(now)
    since = _counts_since(workspace, account, day_of(first) if first else None)
    known: dict[date, DayCoverage] = {}
    if has_catalog:
        wanted = days_between(min(since or today, today - (days - 1) * ONE_DAY if days else today), today)
        known = {day.day: day for day in workspace.coverage(account.name, wanted, now)}
    return AccountStatus(
        account,
        last_call=workspace.call_log.last_of(account.name) if has_calls else None,
        last_success=workspace.call_log.last_success_of(account.name) if has_calls else None,
        slot=slot_of(workspace, account),
        other_slot=slot_of(workspace, account.other_version) if account.other_version else None,
        has_answers=first is not None,
        coverage=_summary(known, since, today) if known and since else None,
        days=tuple(known[day] for day in sorted(known, reverse=True)[:days]),
    )


def _counts_since(workspace: Workspace, account: Account, first: date | None) -> date | None:
    """Return the first day that the account should have; the set start does not concern the demo."""
    wanted = None if account.name == DEMO_ACCOUNT else account.start or workspace.settings.start_date
    return min((day for day in (first, wanted) if day is not None), default=None)


def _summary(known: Mapping[date, DayCoverage], since: date, today: date) -> CoverageSummary:
    counted = {day: coverage.state for day, coverage in known.items() if since <= day < today}
    counts = Counter(counted.values())
    return CoverageSummary(
        since=since,
        until=today - ONE_DAY,
        states={state: counts[state] for state in DayState},
        newest_complete=max((day for day, state in counted.items() if state is DayState.COMPLETE), default=None),
        today=known[today],
    )


def call_facts(call: CallRecord | None) -> dict[str, object] | None:
    """Return the call for machines."""
    if call is None:
        return None
    return {
        "sent_at": iso(call.sent_at),
        "received_at": iso(call.received_at),
        "window_start": iso(call.window_start),
        "window_end": iso(call.window_end),
        "outcome": call.outcome.value,
        "meaning": call.outcome.rule.sentence,
        "http_status": call.http_status,
        "code": call.code,
        "message": call.message,
        "records": call.records,
        "response_id": call.response_id,
        "run_id": call.run_id,
    }


def slot_facts(slot: SlotState | None) -> dict[str, object] | None:
    """Return the slot for machines."""
    if slot is None:
        return None
    return {
        "at": iso(slot.next_free_at),
        "seconds_left": round(slot.seconds_left, 1),
        "reason": slot.reason,
        "holder": slot.holder,
    }


def coverage_facts(coverage: CoverageSummary | None) -> dict[str, object] | None:
    """Return the days by state, for machines."""
    if coverage is None:
        return None
    return {
        "since": coverage.since.isoformat(),
        "until": coverage.until.isoformat(),
        **{state.value: count for state, count in coverage.states.items()},
        "newest_complete_day": coverage.newest_complete and coverage.newest_complete.isoformat(),
    }


def slot_text(slot: SlotState | None, now: datetime) -> str:
    """Return when the next call may be made, and why not now."""
    if slot is None or slot.seconds_left <= 0:
        return "now"
    text = f"{in_india(slot.next_free_at)} ({ago(slot.next_free_at, now)}): {slot.reason}"
    return f"{text}, held by {holder_text(slot.holder)}" if slot.holder else text


def holder_text(holder: str) -> str:
    """Return the run's id as Dagster's UI shows it, for a run is what nearly always holds a slot."""
    return f"run {holder.partition('-')[0][:_SHORT_ID]}"
