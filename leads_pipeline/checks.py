"""Asset checks: what is red in the UI without a failed run."""

from collections import Counter
from datetime import date
from typing import Any

import dagster as dg

from leads_pipeline.days import day_of, days_between, utc_now
from leads_pipeline.settings import DEMO_ACCOUNT, Account
from leads_pipeline.stages.gaps import last_day_over
from leads_pipeline.stages.workspace import Workspace
from leads_pipeline.storage.coverage import DayCoverage, DayState

_FINE = frozenset({DayState.COMPLETE, DayState.OUT_OF_REACH})  # nobody can get what is out of reach


def build_coverage_check(account: Account) -> dg.AssetChecksDefinition:
    """Return the check on the account's leads that is red while a day lacks that could be had."""

    @dg.asset_check(
        asset=dg.AssetKey([account.name, "leads"]),
        name="coverage",
        description=(
            "Red while a past day lacks that IndiaMART still serves. Days count from LEADS_START_DATE or the "
            "account's own start, else from the first day that was ever answered, once an answer can prove them "
            "(5 minutes after midnight in India)."
        ),
    )
    def coverage(workspace: dg.ResourceParam[Workspace]) -> dg.AssetCheckResult:
        now = utc_now()
        first, last = first_day_due(workspace, account), last_day_over(now)
        days = days_between(first, last) if first else []
        return coverage_result(account, workspace.coverage(account.name, days, now))

    return coverage


def first_day_due(workspace: Workspace, account: Account) -> date | None:
    """Return the first day that the account should have; None as long as nobody has said or asked for any.

    A start that is set counts at once; else it is the first day that was ever answered. Never one before the
    partitions' start, which nothing can request. LEADS_START_DATE does not concern the demo, whose days are fixed.
    """
    wanted = account.start or (None if account.name == DEMO_ACCOUNT else workspace.settings.start_date)
    answered = workspace.catalog.first_day(account.name)
    first = wanted or (day_of(answered) if answered else None)
    return max(first, workspace.start_date()) if first else None


def coverage_result(account: Account, coverage: list[DayCoverage]) -> dg.AssetCheckResult:
    """Return the check's result for the days that count, in order."""
    if not coverage:
        return dg.AssetCheckResult(passed=True, description="No day is over yet that the account should have.")
    lacking = [day.day for day in coverage if day.state not in _FINE]
    counts = Counter(day.state for day in coverage)
    metadata: dict[str, Any] = {state.value: counts[state] for state in DayState}
    metadata |= {"since": coverage[0].day.isoformat(), "until": coverage[-1].day.isoformat()}
    if lacking:
        metadata |= {
            "first_lacking": lacking[0].isoformat(),
            "last_lacking": lacking[-1].isoformat(),
            "what_to_do": _what_to_do(account, lacking[0], lacking[-1]),
        }
    return dg.AssetCheckResult(
        passed=not lacking,
        severity=dg.AssetCheckSeverity.ERROR,
        description=_sentence(coverage, lacking),
        metadata=metadata,
    )


def _sentence(coverage: list[DayCoverage], lacking: list[date]) -> str:
    period = f"of {len(coverage)} day(s) from {coverage[0].day} to {coverage[-1].day}"
    return f"{len(lacking)} {period} lack." if lacking else f"None {period} lacks."


def _what_to_do(account: Account, first: date, last: date) -> dg.MetadataValue:
    return dg.MetadataValue.md(
        f"`leads pull --account {account.name} --from {first} --to {last}`, or switch the sensor "
        f"`{account.name}_gaps` on (Automation)."
    )
