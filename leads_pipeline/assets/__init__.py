"""The DAG: four assets per account and one report, one file per stage, thin over `leads_pipeline.stages`."""

from datetime import date

import dagster as dg

from leads_pipeline.assets.leads import build_leads
from leads_pipeline.assets.leads_database import build_leads_database
from leads_pipeline.assets.normalized_leads import build_normalized_leads
from leads_pipeline.assets.partitions import lead_days
from leads_pipeline.assets.raw_responses import build_raw_responses
from leads_pipeline.settings import Account


def build_account_assets(
    account: Account, start: date, freshness: dg.FreshnessPolicy | None = None
) -> list[dg.AssetsDefinition]:
    """Return the account's four assets, upstream first; all share one partitions definition and one policy."""
    days = lead_days(start)
    return [
        build_raw_responses(account, days),
        build_normalized_leads(account, days),
        build_leads(account, days, freshness),
        build_leads_database(account, days, freshness),
    ]
