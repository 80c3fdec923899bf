"""`leads status`: what was asked, when the next call may be made, who waits, which days are there. Writes nothing.

It imports no Dagster and opens no table but the published ones, for the late leads, so that it answers at once, also
while a pull is at work.
"""

import json
import sqlite3
from collections import Counter
from dataclasses import dataclass, replace
from datetime import date, datetime

from rich.console import Console
from rich.table import Table

from leads_pipeline.cli.errors import FAILED, USAGE, CommandError
from leads_pipeline.cli.late_leads import LATE_DAYS, LateLeads, late_leads
from leads_pipeline.cli.moments import ago, in_india, iso
from leads_pipeline.days import ONE_DAY, day_of, days_between, utc_now
from leads_pipeline.indiamart.call_log import CallRecord
from leads_pipeline.indiamart.call_slot import SlotState, key_fingerprint
from leads_pipeline.indiamart.windows import Window
from leads_pipeline.settings import DEMO_ACCOUNT, Account, load_settings
from leads_pipeline.stages.workspace import Workspace
from leads_pipeline.storage.coverage import DayCoverage, DayState

_SHORT_ID = 8  # as much of a run's id as Dagster's UI shows
_MOST_DAYS = 3660
_NOTHING_YET = (
    "Nothing was pulled yet. `leads demo` shows everything without a key; for your own leads put "
    "INDIAMART_CRM_KEY=... into .env, then `leads pull --from 2026-11-01 --to 2026-11-30`."
)


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
    late: LateLeads | None = None
    """None when no day of the last 90 was asked for completely, or nothing is published."""


def show_status(days: int, as_json: bool) -> None:
    """Print each account's status, with the last `days` days if there are any; as one JSON object if wished."""
    if not 0 <= days <= _MOST_DAYS:
        raise CommandError(f"--days takes a number from 0 to {_MOST_DAYS}.", USAGE)
    now = utc_now()
    try:
        workspace = Workspace(load_settings())
        late = late_leads(workspace.settings.database, day_of(now) - LATE_DAYS * ONE_DAY)
        accounts = [
            replace(account_status(workspace, account, days, now), late=late.get(account.name))
            for account in workspace.settings.accounts
        ]
    except (OSError, sqlite3.Error) as error:
        raise CommandError(
            f"The pipeline's state can't be read ({type(error).__name__}). Run this as the user who runs the "
            "pipeline; `leads doctor` looks closer.",
            FAILED,
        ) from None
    if as_json:
        facts = {
            "now": iso(now),
            "data_folder": str(workspace.settings.data_dir),
            "accounts": [_account_facts(status) for status in accounts],
        }
        print(json.dumps(facts, indent=1, ensure_ascii=False))
        return
    _print(accounts, now)


def account_status(workspace: Workspace, account: Account, days: int, now: datetime) -> AccountStatus:
    """Return the account's status at that moment, with the coverage of the last `days` days; makes no file."""
    state_dir = workspace.settings.state_dir
    has_calls = (state_dir / "calls.sqlite").exists()
    has_catalog = (state_dir / "answers.sqlite").exists()
    first = workspace.catalog.first_day(account.name) if has_catalog else None
    today = day_of(now)
    coverage: list[DayCoverage] = []
    since = _counts_since(workspace, account, day_of(first) if first else None)
    if has_catalog:
        earliest = min(since or today, today - (days - 1) * ONE_DAY if days else today)
        coverage = workspace.coverage(account.name, days_between(earliest, today), now)
    return AccountStatus(
        account,
        last_call=workspace.call_log.last_of(account.name) if has_calls else None,
        last_success=workspace.call_log.last_success_of(account.name) if has_calls else None,
        slot=workspace.slots.state(key_fingerprint(account.key)) if has_calls and account.has_key else None,
        has_answers=first is not None,
        coverage=_summary(coverage, since) if coverage and since else None,
        days=tuple(coverage[::-1][:days]),
    )


def _counts_since(workspace: Workspace, account: Account, first: date | None) -> date | None:
    """Return the first day that the account should have; the set start does not concern the demo."""
    wanted = None if account.name == DEMO_ACCOUNT else account.start or workspace.settings.start_date
    return min((day for day in (first, wanted) if day is not None), default=None)


def _summary(coverage: list[DayCoverage], since: date) -> CoverageSummary:
    *past, today = coverage
    counted = [day for day in past if day.day >= since]
    complete = [day.day for day in counted if day.state is DayState.COMPLETE]
    counts = Counter(day.state for day in counted)
    return CoverageSummary(
        since=since,
        until=today.day - ONE_DAY,
        states={state: counts[state] for state in DayState},
        newest_complete=max(complete, default=None),
        today=today,
    )


def _account_facts(status: AccountStatus) -> dict[str, object]:
    slot, coverage = status.slot, status.coverage
    return {
        "account": status.account.name,
        "key_set": status.account.has_key,
        "last_successful_call": _call_facts(status.last_success),
        "last_call": _call_facts(status.last_call),
        "next_free_slot": slot
        and {
            "at": iso(slot.next_free_at),
            "seconds_left": round(slot.seconds_left, 1),
            "reason": slot.reason,
            "holder": slot.holder,
        },
        "queue": [
            {
                "holder": turn.holder,
                "due_at": iso(turn.due_at),
                "reserved_at": iso(turn.reserved_at),
                "turn": turn.turn,
                "priority": turn.priority,
            }
            for turn in (slot.queue if slot else ())
        ],
        "coverage": coverage
        and {
            "since": coverage.since.isoformat(),
            "until": coverage.until.isoformat(),
            **{state.value: count for state, count in coverage.states.items()},
            "newest_complete_day": coverage.newest_complete and coverage.newest_complete.isoformat(),
            "today": _day_facts(coverage.today),
        },
        "late_leads": status.late and _late_facts(status.late),
        "days": [_day_facts(day) for day in status.days],
    }


def _late_facts(late: LateLeads) -> dict[str, object]:
    hours = {"median_hours": late.median_hours, "p90_hours": late.most_hours, "max_hours": late.max_hours}
    return {
        "since": late.since.isoformat(),
        "leads": late.leads,
        "late": late.late,
        "share": round(late.share, 6),
        **{name: None if value is None else round(value, 2) for name, value in hours.items()},
    }


def _call_facts(call: CallRecord | None) -> dict[str, object] | None:
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


def _day_facts(day: DayCoverage) -> dict[str, object]:
    return {
        "day": day.day.isoformat(),
        "state": day.state.value,
        "fetched": day.fetched,
        "merged": day.merged,
        "fetched_until": iso(day.fetched_until),
        "response_ids": list(day.proofs),
    }


def _print(accounts: list[AccountStatus], now: datetime) -> None:
    console = Console(highlight=False, markup=False, emoji=False)
    if not any(status.last_call or status.has_answers for status in accounts):
        console.print(_NOTHING_YET)
    for status in accounts:
        console.print(_account_table(status, now))
        if status.days:
            console.print(_days_table(status))


def _account_table(status: AccountStatus, now: datetime) -> Table:
    table = Table(title=f"Account {status.account.name}", title_justify="left", show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    if not status.account.has_key:
        table.add_row("CRM key", "not set: put INDIAMART_CRM_KEY=... into .env before pulling")
    table.add_row("Last successful call", _call_text(status.last_success, now))
    if status.last_call != status.last_success:
        table.add_row("Last call", _call_text(status.last_call, now))
    table.add_row("Next free slot", _slot_text(status.slot, now))
    table.add_row("Waiting", _queue_text(status.slot))
    for name, text in _coverage_rows(status.coverage):
        table.add_row(name, text)
    if status.late is not None:
        table.add_row("Late leads", _late_text(status.late))
    return table


def _call_text(call: CallRecord | None, now: datetime) -> str:
    if call is None:
        return "none yet"
    text = (
        f"{in_india(call.sent_at)} ({ago(call.sent_at, now)}): {call.outcome}, {call.records} records, "
        f"for {Window(call.window_start, call.window_end)}"
    )
    return text if call.outcome.rule.is_success else f"{text}\n{call.outcome.rule.sentence}"


def _slot_text(slot: SlotState | None, now: datetime) -> str:
    if slot is None or slot.seconds_left <= 0:
        return "now"
    text = f"{in_india(slot.next_free_at)} ({ago(slot.next_free_at, now)}): {slot.reason}"
    return f"{text}, held by {_holder(slot.holder)}" if slot.holder else text


def _queue_text(slot: SlotState | None) -> str:
    if slot is None or not slot.queue:
        return "nobody"
    return "\n".join(
        f"{number}. {_holder(turn.holder)}, due {in_india(turn.due_at)}"
        + (f", for days from {turn.turn}" if turn.turn else "")
        for number, turn in enumerate(slot.queue, 1)
    )


def _holder(holder: str) -> str:
    """Return the run's id as Dagster's UI shows it, for a run is what nearly always holds a slot."""
    return f"run {holder.partition('-')[0][:_SHORT_ID]}"


def _coverage_rows(coverage: CoverageSummary | None) -> list[tuple[str, str]]:
    if coverage is None:
        return [("Complete days", "none yet")]
    others = [
        f"{count} {state.value.replace('_', ' ')}"
        for state, count in coverage.states.items()
        if count and state is not DayState.COMPLETE
    ]
    total = sum(coverage.states.values())
    text = f"{coverage.states[DayState.COMPLETE]} of {total} from {coverage.since} to {coverage.until}"
    if not total:
        text = f"none yet: the first day is {coverage.since}"
    until = coverage.today.fetched_until
    return [
        ("Complete days", f"{text} ({', '.join(others)})" if others else text),
        ("Newest complete day", str(coverage.newest_complete or "none yet")),
        ("Today", f"asked for until {in_india(until)}" if until else "not asked for yet"),
    ]


def _late_text(late: LateLeads) -> str:
    text = f"{late.late} of {late.leads} since {late.since} came after their day's first complete answer"
    if late.median_hours is None or late.most_hours is None or late.max_hours is None:
        return text
    return (
        f"{text} ({late.share:.1%}): half of them within {late.median_hours:.1f} h of it, 90 % within "
        f"{late.most_hours:.1f} h, all within {late.max_hours:.1f} h"
    )


def _days_table(status: AccountStatus) -> Table:
    table = Table(
        "Day",
        "State",
        "Fetched until",
        "Answers",
        title=f"The last {len(status.days)} days of account {status.account.name}",
        title_justify="left",
    )
    for day in status.days:
        until = in_india(day.fetched_until) if day.fetched_until else ""
        table.add_row(day.day.isoformat(), day.state.value.replace("_", " "), until, str(len(day.proofs)))
    return table
