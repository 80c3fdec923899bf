"""`normalized_leads`: every answer that is not in the tables yet, as typed leads and quarantined records."""

import dagster as dg

from leads_pipeline.assets.border import stage_border
from leads_pipeline.assets.partitions import BACKFILL_POLICY, asset_tags, report_days, run_days, table_schema
from leads_pipeline.leads.schema import LEAD_COLUMNS
from leads_pipeline.settings import Account
from leads_pipeline.stages.normalize_answers import normalize_pending
from leads_pipeline.stages.workspace import Workspace


def build_normalized_leads(account: Account, days: dg.DailyPartitionsDefinition) -> dg.AssetsDefinition:
    """Return the account's second asset."""

    @dg.asset(
        name="normalized_leads",
        key_prefix=account.name,
        group_name=account.name,
        partitions_def=days,
        backfill_policy=BACKFILL_POLICY,
        deps=[dg.AssetKey([account.name, "raw_responses"])],
        kinds={"pandas", "parquet"},
        tags=asset_tags(account, "leads"),
        metadata={"dagster/column_schema": table_schema(LEAD_COLUMNS)},
        description=(
            "Answers as typed rows: times in IST, phones in E.164, blanks as NULL, unknown fields kept. What cannot "
            "be a lead is quarantined whole, with its reason. received = leads + duplicates + quarantined, or the "
            "run fails."
        ),
    )
    def normalized_leads(
        context: dg.AssetExecutionContext, workspace: dg.ResourceParam[Workspace]
    ) -> dg.MaterializeResult[None]:
        with stage_border():
            result = normalize_pending(workspace, account.name, run_days(context), context.log.info)
        asked = {day for answer in result.answers if answer.outcome.rule.covers for day in answer.window.days}
        report_days(
            context,
            {},
            asked,
            {
                "answers": len(result.answers),
                "received": result.counts.received,
                "leads": result.counts.leads,
                "duplicates": result.counts.duplicates,
                "quarantined": result.counts.quarantined,
                "unread_requirement_values": result.unread_requirement_values,
            },
        )
        return dg.MaterializeResult()

    return normalized_leads
