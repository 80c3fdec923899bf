"""Everything that Dagster loads. Loads without a key and without a network; what needs a key says so when it runs."""

import warnings

import dagster as dg

from leads_pipeline.assets import build_account_assets
from leads_pipeline.jobs import build_pull_job
from leads_pipeline.settings import Settings, load_settings
from leads_pipeline.stages.workspace import Workspace


def build_definitions(settings: Settings) -> dg.Definitions:
    """Return the definitions of an installation: four assets and a job per account, over one workspace."""
    workspace = Workspace(settings)
    workspace.prepare()
    start = workspace.start_date()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)  # backfill policies; tests hold what we need of them
        assets = [asset for account in settings.accounts for asset in build_account_assets(account, start)]
    return dg.Definitions(
        assets=assets,
        jobs=[build_pull_job(account) for account in settings.accounts],
        resources={"workspace": workspace},
        executor=dg.in_process_executor,
    )


@dg.definitions
def defs() -> dg.Definitions:
    """Return the definitions of the installation that this folder and environment name."""
    return build_definitions(load_settings())
