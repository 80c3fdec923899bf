"""`leads_database`: the DuckDB file that analysts open, published as a new version behind a link."""

import dagster as dg

from leads_pipeline.assets.border import stage_border
from leads_pipeline.assets.partitions import BACKFILL_POLICY, asset_tags, report_days
from leads_pipeline.settings import Account
from leads_pipeline.stages.publish_tables import publish_tables
from leads_pipeline.stages.workspace import Workspace


def build_leads_database(
    account: Account, days: dg.DailyPartitionsDefinition, freshness: dg.FreshnessPolicy | None = None
) -> dg.AssetsDefinition:
    """Return the account's last asset."""

    @dg.asset(
        name="leads_database",
        key_prefix=account.name,
        group_name=account.name,
        partitions_def=days,
        backfill_policy=BACKFILL_POLICY,
        deps=[dg.AssetKey([account.name, "leads"])],
        kinds={"duckdb"},
        tags=asset_tags(account, "tables"),
        freshness_policy=freshness,
        description=(
            "The database that analysts open, leads.duckdb: its tables follow the files of all accounts, and each "
            "run publishes a new version behind a link, so readers are never in the way."
        ),
    )
    def leads_database(
        context: dg.AssetExecutionContext, workspace: dg.ResourceParam[Workspace]
    ) -> dg.MaterializeResult[None]:
        with stage_border():
            published = publish_tables(workspace, context.log.info)
        changed = {changed.day for changed in published.changed_days if changed.account == account.name}
        report_days(
            context,
            {},
            changed,
            {
                "dagster/row_count": dg.MetadataValue.int(published.leads),
                "quarantined": dg.MetadataValue.int(published.quarantined),
                "version": published.version,
                "days_changed": len(published.changed_days),
                "path": dg.MetadataValue.path("leads.duckdb"),
            },
        )
        return dg.MaterializeResult()

    return leads_database
