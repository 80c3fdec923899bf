"""`leads`: one row per QUERY_ID, merged across answers and days, as one Parquet file per day."""

from collections.abc import Sequence
from datetime import date
from typing import Any

import dagster as dg
import pyarrow as pa

from leads_pipeline.assets.border import stage_border
from leads_pipeline.assets.partitions import (
    BACKFILL_POLICY,
    coverage_metadata,
    report_days,
    run_days,
    table_schema,
)
from leads_pipeline.days import utc_now
from leads_pipeline.leads.schema import LEAD_COLUMNS
from leads_pipeline.settings import Account
from leads_pipeline.stages.merge_answers import merge_pending
from leads_pipeline.stages.workspace import Workspace
from leads_pipeline.storage.coverage import DayState

_PREVIEW_COLUMNS = ("query_time_ist", "query_type", "query_product_name", "sender_city", "sender_state")
"""What a preview shows: nothing that tells who the buyer is."""
_PREVIEW_ROWS = 5


def build_leads(account: Account, days: dg.DailyPartitionsDefinition) -> dg.AssetsDefinition:
    """Return the account's third asset."""

    @dg.asset(
        name="leads",
        key_prefix=account.name,
        group_name=account.name,
        partitions_def=days,
        backfill_policy=BACKFILL_POLICY,
        deps=[dg.AssetKey([account.name, "normalized_leads"])],
        kinds={"pandas", "parquet"},
        metadata={"dagster/column_schema": table_schema(LEAD_COLUMNS)},
        description=(
            "The account's leads, one row per QUERY_ID whatever the order and repetition of answers, in one Parquet "
            "file per day of the enquiry. A lead that comes back with another day moves."
        ),
    )
    def leads(context: dg.AssetExecutionContext, workspace: dg.ResourceParam[Workspace]) -> dg.MaterializeResult[None]:
        own = run_days(context)
        with stage_border():
            merged = merge_pending(workspace, account.name, own, context.log.info)
            coverage = workspace.coverage(account.name, {*own, *merged.days_written}, utc_now())
            metadata: dict[date, dict[str, Any]] = coverage_metadata(coverage)
            files = workspace.lead_files(account.name)
            for day, facts in metadata.items():
                facts["dagster/partition_row_count"] = files.read([day]).num_rows
            preview = _preview(files.read(own), own)
        report_days(context, metadata, [day.day for day in coverage if day.state is DayState.COMPLETE])
        return dg.MaterializeResult(
            metadata={
                "answers_merged": len(merged.answers),
                "leads_received": merged.incoming,
                "leads_new": merged.new,
                "days_written": len(merged.days_written),
                "preview": preview,
            }
        )

    return leads


def _preview(table: pa.Table, days: Sequence[date]) -> dg.MarkdownMetadataValue:
    rows = table.select(_PREVIEW_COLUMNS).slice(0, _PREVIEW_ROWS).to_pylist()
    lines = [f"{table.num_rows} leads from {days[0]} to {days[-1]}", "", "| " + " | ".join(_PREVIEW_COLUMNS) + " |"]
    lines.append("|---" * len(_PREVIEW_COLUMNS) + "|")
    lines += ["| " + " | ".join(_cell(row[name]) for name in _PREVIEW_COLUMNS) + " |" for row in rows]
    return dg.MetadataValue.md("\n".join(lines))


def _cell(value: object) -> str:
    return "" if value is None else " ".join(str(value).replace("|", "/").split())
