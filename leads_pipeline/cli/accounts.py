"""`leads accounts`: every account with its keys, last good call, next free slot and coverage. Makes no call."""

import json
from dataclasses import dataclass
from datetime import datetime

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from leads_pipeline.cli.account_status import (
    CoverageSummary,
    account_status,
    call_facts,
    coverage_facts,
    readable_state,
    slot_facts,
    slot_of,
)
from leads_pipeline.cli.moments import ago, iso
from leads_pipeline.days import IST, utc_now
from leads_pipeline.indiamart.call_log import CallRecord, KeyUse
from leads_pipeline.indiamart.call_slot import SlotState, key_fingerprint
from leads_pipeline.indiamart.outcomes import Actor
from leads_pipeline.indiamart.reading import newer_key_made_at
from leads_pipeline.settings import DEMO_ACCOUNT, Account, load_settings
from leads_pipeline.stages.workspace import Workspace
from leads_pipeline.storage.coverage import DayState

_NEVER_USED = KeyUse(None, None, None)
_HEADINGS = ("Account", "API", "Key", "Used since", "Last good call", "Dies unused", "Next slot", "Days", "Nightly")
_WHOLE = frozenset({"Account", "API", "Used since", "Days"})
"""Columns that are never broken over lines: those beside them give way on a narrow terminal."""


@dataclass(frozen=True)
class _Access:
    """What is known of an account's access to one version of the API."""

    account: Account
    use: KeyUse
    slot: SlotState | None

    @property
    def refused_by(self) -> CallRecord | None:
        """Return the key's newest call if IndiaMART refused the key with it."""
        last = self.use.last
        return last if last is not None and last.outcome.rule.actor is Actor.SELLER else None

    @property
    def dies_at(self) -> datetime | None:
        """Return when the key dies if no call with it succeeds; None if none ever did here.

        When a key was made the API does not tell, nor whether other programs use it: each call of theirs keeps it
        alive too.
        """
        good = self.use.last_good
        return None if good is None or self.account.name == DEMO_ACCOUNT else good.sent_at + self.account.key_life


@dataclass(frozen=True)
class _Row:
    """What is known of one account."""

    account: Account
    accesses: tuple[_Access, ...]
    coverage: CoverageSummary | None


def show_accounts(*, as_json: bool) -> None:
    """Print every account; as one JSON object if wished."""
    now = utc_now()
    with readable_state():
        workspace = Workspace(load_settings())
        rows = [_row(workspace, account, now) for account in workspace.settings.accounts]
    path = workspace.settings.accounts_file
    if as_json:
        facts = {
            "now": iso(now),
            "accounts_file": str(path) if path else None,
            "accounts": [_facts(row, now) for row in rows],
        }
        print(json.dumps(facts, indent=1, ensure_ascii=False))
        return
    console = Console(highlight=False, markup=False, emoji=False)
    console.print(_table(rows, now))
    if not all(row.account.schedules_on for row in rows):
        console.print("Nightly pulls, in India; off: unless switched on under Automation in the UI.")
    console.print(f"From {path}." if path else "From .env and the environment; there is no accounts file.")


def _row(workspace: Workspace, account: Account, now: datetime) -> _Row:
    has_calls = (workspace.settings.state_dir / "calls.sqlite").exists()
    accesses = tuple(
        _Access(
            access,
            workspace.call_log.use_of_key(account.name, key_fingerprint(access.key))
            if has_calls and access.has_key
            else _NEVER_USED,
            slot_of(workspace, access),
        )
        for access in account.versions
    )
    return _Row(account, accesses, account_status(workspace, account, 0, now).coverage)


def _facts(row: _Row, now: datetime) -> dict[str, object]:
    account = row.account
    return {
        "account": account.name,
        "lead_source": account.lead_source or None,
        "default_country": account.default_country,
        "start": account.start and account.start.isoformat(),
        "versions": [_access_facts(access, now) for access in row.accesses],
        "coverage": coverage_facts(row.coverage),
        "schedules": {
            "on": account.schedules_on,
            "daily_at": f"{account.daily_at:%H:%M}",
            "intraday_minutes": account.intraday_minutes,
            "lookback_days": account.lookback_days,
        },
    }


def _access_facts(access: _Access, now: datetime) -> dict[str, object]:
    account, use, refusal = access.account, access.use, access.refused_by
    return {
        "api_version": account.api_version,
        "key_set": account.has_key,
        "key_place": account.key_place,
        "key_refused": call_facts(refusal),
        "newer_key_made_at": iso(newer_key_made_at(refusal.message)) if refusal else None,
        "key_first_used_at": iso(use.first.sent_at) if use.first else None,
        "key_unused_seconds": round((now - use.last_good.sent_at).total_seconds()) if use.last_good else None,
        "key_dies_unused_at": iso(access.dies_at),
        "last_good_call": call_facts(use.last_good),
        "next_free_slot": slot_facts(access.slot),
    }


def _table(rows: list[_Row], now: datetime) -> Table:
    """Return a table with a row for each version that an account asks."""
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    has_sources = any(row.account.lead_source for row in rows)
    for heading in (*_HEADINGS, *(["Lead source"] if has_sources else [])):
        table.add_column(heading, overflow="fold", no_wrap=heading in _WHOLE)
    for row in rows:
        account = row.account
        name, own = account.name, [_days_text(row.coverage), _schedule_text(account)]
        for access in row.accesses:
            source = [account.lead_source if name else ""] if has_sources else []
            table.add_row(name, *_access_cells(access, now), *own, *source)
            name, own = "", ["", ""]
    return table


def _access_cells(access: _Access, now: datetime) -> tuple[str, ...]:
    account, use, refusal = access.account, access.use, access.refused_by
    good, dies_at = use.last_good, access.dies_at
    return (
        account.api_version,
        account.key_place if account.has_key else f"not set: {account.key_place}",
        f"{use.first.sent_at.astimezone(IST):%Y-%m-%d}" if use.first else "never",
        ago(good.sent_at, now) if good else "none yet",
        f"refused: {refusal.outcome}" if refusal else ago(dies_at, now) if dies_at else "not known",
        _slot_text(access, now),
    )


def _slot_text(access: _Access, now: datetime) -> str:
    if not access.account.has_key:
        return "no key"
    slot = access.slot
    return "now" if slot is None or slot.seconds_left <= 0 else ago(slot.next_free_at, now)


def _days_text(coverage: CoverageSummary | None) -> str:
    if coverage is None:
        return "none yet"
    return f"{coverage.states[DayState.COMPLETE]} of {sum(coverage.states.values())}"


def _schedule_text(account: Account) -> str:
    return f"{account.daily_at:%H:%M}" if account.schedules_on else f"{account.daily_at:%H:%M} off"
