"""The checks of one account's assets, and how a finding becomes Dagster's result."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

import dagster as dg

from leads_pipeline.assets.border import stage_border
from leads_pipeline.checks.coverage import check_coverage
from leads_pipeline.days import utc_now
from leads_pipeline.run_queue import days_of_tags
from leads_pipeline.settings import Account
from leads_pipeline.stages.checking import answers, new_names, tables
from leads_pipeline.stages.checking.findings import Finding, Scope
from leads_pipeline.stages.workspace import Workspace


@dataclass(frozen=True)
class Look:
    """What a check looks at."""

    workspace: Workspace
    account: Account
    scope: Scope
    now: datetime

    @cached_property
    def records(self) -> list[answers.AnswerRecords]:
        """Return what became of the records of the answers that say something of the days."""
        return answers.records_of(self.workspace, self.account.name, self.scope)

    @cached_property
    def times(self) -> list[tables.DayTimes]:
        """Return what the times of the days' leads say."""
        return tables.times_of(self.workspace, self.account.name, self.scope, self.now)


@dataclass(frozen=True)
class Check:
    """One check of an asset."""

    name: str
    description: str
    find: Callable[[Look], Finding]
    blocking: bool = False
    """Whether a finding that is no mere warning stops the run before the next asset."""


CHECKS: dict[str, tuple[Check, ...]] = {
    "raw_responses": (
        Check(
            "answers_are_as_they_came",
            f"Reads the answers that say something of the run's days again (the newest {answers.MOST_BODIES}) and "
            "compares their SHA-256 with their sidecars. Stops the run if one is damaged that is not in the tables "
            "yet, and warns of others.",
            lambda look: answers.check_bytes(look.workspace, look.account.name, look.scope),
            blocking=True,
        ),
    ),
    "normalized_leads": (
        Check(
            "records_add_up",
            "Records received = leads + duplicates + quarantined, by the answer's sidecar, the merge ledger and the "
            "files of quarantine. Stops the run before anything is merged if not.",
            lambda look: answers.sums_finding(look.records),
            blocking=True,
        ),
        Check(
            "few_in_quarantine",
            f"Warns when more than {answers.QUARANTINED_SHARE:.0%} and at least {answers.QUARANTINED_LEAST} of the "
            "records received can't be leads: IndiaMART may have changed its format.",
            lambda look: answers.check_quarantine(look.workspace, look.account.name, look.records),
        ),
        Check(
            "no_new_names",
            "Warns once of fields and query types that the account's answers never held before. They are kept.",
            lambda look: new_names.check_names(look.workspace, look.account.name, look.scope),
        ),
    ),
    "leads": (
        Check(
            "ids_are_unique",
            "Looks for the ids of the run's days in all days of the account. Stops the run before analysts get a "
            "lead twice.",
            lambda look: tables.check_ids(look.workspace, look.account.name, look.scope),
            blocking=True,
        ),
        Check(
            "columns_are_the_contract",
            "The day files have exactly the columns and types of a lead. Stops the run if something else wrote them.",
            lambda look: tables.check_columns(look.workspace, look.account.name, look.scope),
            blocking=True,
        ),
        Check(
            "times_are_of_their_day",
            "Each lead stands in the day in India in which it was asked.",
            lambda look: tables.times_finding(look.times),
        ),
        Check(
            "none_in_the_future",
            "Warns of leads that were asked more than 5 minutes after now.",
            lambda look: tables.future_finding(look.times, look.now),
        ),
        Check(
            "coverage",
            "Red while a past day lacks that IndiaMART still serves. Days count from LEADS_START_DATE or the "
            "account's own start, else from the first day that was ever answered, once an answer can prove them "
            "(5 minutes after midnight in India).",
            lambda look: check_coverage(look.workspace, look.account, look.now),
        ),
    ),
    "leads_database": (
        Check(
            "database_equals_files",
            "leads.duckdb holds as many leads as the files on every day, and the same contents on the run's days.",
            lambda look: tables.check_database(look.workspace, look.account.name, look.scope),
        ),
    ),
}
"""The checks of each asset, in the order in which they are made."""


def build_account_checks(account: Account) -> list[dg.AssetChecksDefinition]:
    """Return the checks of the account's assets: one step per asset."""
    return [_build(account, stage, checks) for stage, checks in CHECKS.items()]


def _build(account: Account, stage: str, checks: Sequence[Check]) -> dg.AssetChecksDefinition:
    asset = dg.AssetKey([account.name, stage])
    specs = [
        dg.AssetCheckSpec(check.name, asset=asset, description=check.description, blocking=check.blocking)
        for check in checks
    ]

    @dg.multi_asset_check(name=f"{account.name}__{stage}_checks", specs=specs, can_subset=True)
    def look_at_asset(
        context: dg.AssetCheckExecutionContext, workspace: dg.ResourceParam[Workspace]
    ) -> Iterator[dg.AssetCheckResult]:
        look = Look(workspace, account, _scope_of(context), utc_now())
        selected = {key.name for key in context.selected_asset_check_keys}
        for check in checks:
            if check.name in selected:
                with stage_border():
                    finding = check.find(look)
                yield _result(asset, check, finding)

    return look_at_asset


def _scope_of(context: dg.AssetCheckExecutionContext) -> Scope:
    days = tuple(days_of_tags(context.run.tags))
    return Scope(days or None)


def _result(asset: dg.AssetKey, check: Check, finding: Finding) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        passed=finding.passed,
        asset_key=asset,
        check_name=check.name,
        severity=dg.AssetCheckSeverity.WARN if finding.is_warning else dg.AssetCheckSeverity.ERROR,
        description=finding.sentence,
        metadata=dict(finding.facts),
    )
