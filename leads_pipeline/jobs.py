"""Jobs: what people, schedules and commands start."""

import dagster as dg

from leads_pipeline.settings import Account


def pull_job_name(account: str) -> str:
    """Return the name of the account's job."""
    return f"pull_{account}"


def build_pull_job(account: Account) -> dg.JobDefinition:
    """Return the job that takes days of the account all the way from the API to the published database."""
    return dg.define_asset_job(  # type: ignore[return-value]
        pull_job_name(account.name),
        selection=dg.AssetSelection.groups(account.name),
        description=f"Pull days of account `{account.name}`: one call at most, then normalise, merge and publish.",
    )
