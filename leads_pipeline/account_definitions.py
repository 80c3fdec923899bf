"""What Dagster needs for one account's days: all of it for `definitions`, and for a pull no more than its own job."""

import warnings
from collections.abc import Sequence
from datetime import date

import dagster as dg

from leads_pipeline.assets import build_account_assets
from leads_pipeline.assets.freshness import freshness_policy
from leads_pipeline.checks import build_account_checks
from leads_pipeline.jobs import build_pull_job, pull_job_name
from leads_pipeline.settings import Account, Settings
from leads_pipeline.stages.workspace import Workspace


def account_assets(account: Account, start: date) -> Sequence[dg.AssetsDefinition]:
    """Return the account's four assets, each with the place of its source code for the UI."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)  # backfill policies; tests hold what we need of them
        assets = build_account_assets(account, start, freshness_policy(account))
        return dg.with_source_code_references(assets)  # type: ignore[return-value]


def resolved_pull_job(settings: Settings, account: Account) -> dg.JobDefinition:
    """Return the account's job, ready to run, without making what belongs to other accounts, or only to the UI.

    It is the very job that `definitions` has.
    """
    workspace = Workspace(settings)
    workspace.prepare()
    return dg.Definitions(
        assets=account_assets(account, workspace.start_date()),
        asset_checks=build_account_checks(account),
        jobs=[build_pull_job(account)],
        resources={"workspace": workspace},
        executor=dg.in_process_executor,
    ).resolve_job_def(pull_job_name(account.name))
