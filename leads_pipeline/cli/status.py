"""`leads status`: what was asked, when the next call may be made, who waits, which days are there. Writes nothing.

It imports no Dagster and opens no table but the published ones, for the late leads, so that it answers at once, also
while a pull is at work.
"""

import json
from dataclasses import replace
from datetime import datetime

from rich.console import Console
from rich.table import Table

from leads_pipeline.cli.account_status import (
    AccountStatus,
    CoverageSummary,
    account_status,
    call_facts,
    coverage_facts,
    holder_text,
    readable_state,
    slot_facts,
    slot_text,
)
from leads_pipeline.cli.errors import USAGE, CommandError
from leads_pipeline.cli.late_leads import LATE_DAYS, LateLeads, late_leads
from leads_pipeline.cli.moments import ago, in_india, iso
from leads_pipeline.days import ONE_DAY, day_of, utc_now
from leads_pipeline.indiamart.call_log import CallRecord
from leads_pipeline.indiamart.call_slot import SlotState
from leads_pipeline.indiamart.windows import Window
from leads_pipeline.settings import load_settings
from leads_pipeline.stages.workspace import Workspace
from leads_pipeline.storage.coverage import DayCoverage, DayState

_MOST_DAYS = 3660
_NOTHING_YET = (
    "Nothing was pulled yet. `leads demo` shows everything without a key; for your own leads put "
    "INDIAMART_CRM_KEY=... into .env, then `leads pull --from 2026-11-01 --to 2026-11-30`."
)


def show_status(days: int, as_json: bool) -> None:
    """Print each account's status, with the last `days` days if there are any; as one JSON object if wished."""
    if not 0 <= days <= _MOST_DAYS:
        raise CommandError(f"--days takes a number from 0 to {_MOST_DAYS}.", USAGE)
    now = utc_now()
    with readable_state():
        workspace = Workspace(load_settings())
        late = late_leads(workspace.settings.database, day_of(now) - LATE_DAYS * ONE_DAY)
        accounts = [
            replace(account_status(workspace, account, days, now), late=late.get(account.name))
            for account in workspace.settings.accounts
        ]
    if as_json:
        facts = {
            "now": iso(now),
            "data_folder": str(workspace.settings.data_dir),
            "accounts": [_account_facts(status) for status in accounts],
        }
        print(json.dumps(facts, indent=1, ensure_ascii=False))
        return
    _print(accounts, now)


def _account_facts(status: AccountStatus) -> dict[str, object]:
    slot, coverage = status.slot, status.coverage
    return {
        "account": status.account.name,
        "key_set": status.account.has_key,
        "last_successful_call": call_facts(status.last_success),
        "last_call": call_facts(status.last_call),
        "next_free_slot": slot_facts(slot),
        "next_free_slot_of_other_version": slot_facts(status.other_slot),
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
        "coverage": coverage and {**(coverage_facts(coverage) or {}), "today": _day_facts(coverage.today)},
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
        table.add_row("CRM key", f"not set: put {status.account.key_hint} before pulling")
    table.add_row("Last successful call", _call_text(status.last_success, now))
    if status.last_call != status.last_success:
        table.add_row("Last call", _call_text(status.last_call, now))
    table.add_row("Next free slot", slot_text(status.slot, now))
    table.add_row("Waiting", _queue_text(status.slot))
    if status.account.other_version is not None:
        version = status.account.other_version.api_version
        table.add_row(f"Next free slot, {version}", slot_text(status.other_slot, now))
        table.add_row(f"Waiting, {version}", _queue_text(status.other_slot))
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


def _queue_text(slot: SlotState | None) -> str:
    if slot is None or not slot.queue:
        return "nobody"
    return "\n".join(
        f"{number}. {holder_text(turn.holder)}, due {in_india(turn.due_at)}"
        + (f", for days from {turn.turn}" if turn.turn else "")
        for number, turn in enumerate(slot.queue, 1)
    )


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
