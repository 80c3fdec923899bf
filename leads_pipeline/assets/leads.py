"""`leads`: one row per QUERY_ID, merged across answers and days, as one Parquet file per day."""

from collections.abc import Sequence
from datetime import date
from typing import Any

import dagster as dg

from leads_pipeline.assets.border import stage_border
from leads_pipeline.assets.day_facts import day_numbers, day_types, picture
from leads_pipeline.assets.partitions import (
    BACKFILL_POLICY,
    asset_tags,
    coverage_metadata,
    report_days,
    run_days,
    table_schema,
)
from leads_pipeline.days import ONE_DAY, days_between, utc_now
from leads_pipeline.leads.schema import FIRST_SEEN_AFTER, LEAD_COLUMNS
from leads_pipeline.settings import Account
from leads_pipeline.stages.merge_answers import merge_pending
from leads_pipeline.stages.workspace import Workspace
from leads_pipeline.storage.coverage import DayState
from leads_pipeline.storage.parquet import LeadFiles

_PREVIEW_COLUMNS = ("query_time_ist", "query_type", "query_product_name", "sender_city", "sender_state")
"""What a preview shows: nothing that tells who the buyer is."""
_PREVIEW_ROWS = 5


_PICTURE_DAYS = 14


def build_leads(
    account: Account, days: dg.DailyPartitionsDefinition, freshness: dg.FreshnessPolicy | None = None
) -> dg.AssetsDefinition:
    """Return the account's third asset."""
    upstream = dg.AssetKey([account.name, "normalized_leads"])

    @dg.asset(
        name="leads",
        key_prefix=account.name,
        group_name=account.name,
        partitions_def=days,
        backfill_policy=BACKFILL_POLICY,
        deps=[upstream],
        kinds={"pandas", "parquet"},
        tags=asset_tags(account, "leads"),
        freshness_policy=freshness,
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
            for covered in coverage:
                metadata[covered.day] |= day_numbers(files, covered)
            last = max(own)  # the run's newest event, which the asset's page shows
            shown = days_between(last - (_PICTURE_DAYS - 1) * ONE_DAY, last)
            picture_of_days, preview = picture(day_types(files, shown)), _preview(files, own)
            for day in own:
                metadata[day]["preview"] = preview
            metadata[last]["dagster/column_lineage"] = column_lineage(upstream)
        report_days(context, metadata, [day.day for day in coverage if day.state is DayState.COMPLETE])
        return dg.MaterializeResult(
            metadata={
                "leads_per_day": picture_of_days,
                "answers_merged": len(merged.answers),
                "leads_received": merged.incoming,
                "leads_new": merged.new,
                "days_written": len(merged.days_written),
            }
        )

    return leads


def column_lineage(upstream: dg.AssetKey) -> dg.TableColumnLineage:
    """Return where each column of a lead comes from: the same columns of the typed leads, for the merge picks rows."""
    own_sources = {FIRST_SEEN_AFTER: ("query_time", "first_seen_at")}
    return dg.TableColumnLineage(
        {
            column.name: [
                dg.TableColumnDep(upstream, source) for source in own_sources.get(column.name, (column.name,))
            ]
            for column in LEAD_COLUMNS
        }
    )


def _preview(files: LeadFiles, days: Sequence[date]) -> dg.MarkdownMetadataValue:
    """Return some rows of the first day that has any."""
    counts = files.counts(days)
    first = next((day for day, count in counts.items() if count), None)
    rows = [] if first is None else files.read_columns(first, _PREVIEW_COLUMNS).slice(0, _PREVIEW_ROWS).to_pylist()
    lines = [f"{sum(counts.values())} leads from {days[0]} to {days[-1]}", ""]
    lines += ["| " + " | ".join(_PREVIEW_COLUMNS) + " |", "|---" * len(_PREVIEW_COLUMNS) + "|"]
    lines += ["| " + " | ".join(_cell(row[name]) for name in _PREVIEW_COLUMNS) + " |" for row in rows]
    return dg.MetadataValue.md("\n".join(lines))


def _cell(value: object) -> str:
    return "" if value is None else " ".join(str(value).replace("|", "/").split())
