"""The check of an account's coverage: which past days lack that could be had."""

from collections import Counter
from datetime import date, datetime

from leads_pipeline.days import day_of, days_between
from leads_pipeline.settings import DEMO_ACCOUNT, Account
from leads_pipeline.stages.checking.findings import Finding
from leads_pipeline.stages.gaps import last_day_over
from leads_pipeline.stages.workspace import Workspace
from leads_pipeline.storage.coverage import DayCoverage, DayState

_FINE = frozenset({DayState.COMPLETE, DayState.OUT_OF_REACH})  # nobody can get what is out of reach


def check_coverage(workspace: Workspace, account: Account, now: datetime) -> Finding:
    """Return what coverage lacks of the days that are over."""
    first, last = first_day_due(workspace, account), last_day_over(now)
    days = days_between(first, last) if first else []
    return coverage_finding(account, workspace.coverage(account.name, days, now))


def first_day_due(workspace: Workspace, account: Account) -> date | None:
    """Return the first day that the account should have; None as long as nobody has said or asked for any.

    A start that is set counts at once; else it is the first day that was ever answered. Never one before the
    partitions' start, which nothing can request. LEADS_START_DATE does not concern the demo, whose days are fixed.
    """
    wanted = account.start or (None if account.name == DEMO_ACCOUNT else workspace.settings.start_date)
    answered = workspace.catalog.first_day(account.name)
    first = wanted or (day_of(answered) if answered else None)
    return max(first, workspace.start_date()) if first else None


def coverage_finding(account: Account, coverage: list[DayCoverage]) -> Finding:
    """Judge the days that count, in order."""
    if not coverage:
        return Finding(True, "No day is over yet that the account should have.")
    lacking = [day.day for day in coverage if day.state not in _FINE]
    counts = Counter(day.state for day in coverage)
    facts: dict[str, int | str] = {state.value: counts[state] for state in DayState}
    facts |= {"since": coverage[0].day.isoformat(), "until": coverage[-1].day.isoformat()}
    period = f"of {len(coverage)} day(s) from {coverage[0].day} to {coverage[-1].day}"
    if not lacking:
        return Finding(True, f"None {period} lacks.", facts)
    facts |= {"first_lacking": lacking[0].isoformat(), "last_lacking": lacking[-1].isoformat()}
    what_to_do = (
        f"`leads pull --account {account.name} --from {lacking[0]} --to {lacking[-1]}`, or switch the sensor "
        f"`{account.name}_gaps` on (Automation)."
    )
    return Finding(False, f"{len(lacking)} {period} lack. {what_to_do}", facts)
