"""`leads`: one row per QUERY_ID, merged across answers and days, as one Parquet file per day."""

from collections.abc import Sequence
from datetime import date, datetime
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
from leads_pipeline.storage.coverage import DayCoverage, DayState
from leads_pipeline.storage.parquet import LeadFiles

_PREVIEW_COLUMNS = ("query_time_ist", "query_type", "query_product_name", "sender_city", "sender_state")
"""What a preview shows: nothing that tells who the buyer is."""
_PREVIEW_HEADINGS = ("time (IST)", "type", "product", "city", "state")
_PREVIEW_ROWS = 5
_CELL_WIDTH = 40

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
            metadata = _metadata_of_days(workspace.lead_files(account.name), coverage, own)
            metadata[max(own)]["dagster/column_lineage"] = column_lineage(upstream)
        report_days(
            context,
            metadata,
            [day.day for day in coverage if day.state is DayState.COMPLETE],
            {
                "answers_merged": len(merged.answers),
                "leads_received": merged.incoming,
                "leads_new": merged.new,
                "days_written": len(merged.days_written),
            },
        )
        return dg.MaterializeResult()

    return leads


def _metadata_of_days(
    files: LeadFiles, coverage: Sequence[DayCoverage], own: Sequence[date]
) -> dict[date, dict[str, Any]]:
    """Return what the UI shows of each day; the run's own days have the picture, of the days up to their last."""
    last = max(own)
    days_up_to_it = picture(day_types(files, days_between(last - (_PICTURE_DAYS - 1) * ONE_DAY, last)))
    states = coverage_metadata(coverage)
    return {
        covered.day: {
            **({"leads_per_day": days_up_to_it} if covered.day in own else {}),
            **day_numbers(files, covered),
            "preview": _preview(files, covered.day),
            **states[covered.day],
        }
        for covered in coverage
    }


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


def _preview(files: LeadFiles, day: date) -> dg.MarkdownMetadataValue:
    """Return some of the day's rows as a table."""
    table = files.read_columns(day, _PREVIEW_COLUMNS) if files.exists(day) else None
    if table is None or not table.num_rows:
        return dg.MetadataValue.md("no leads")
    lines = [_row(_PREVIEW_HEADINGS), "|---" * len(_PREVIEW_HEADINGS) + "|"]
    lines += [_row([row[name] for name in _PREVIEW_COLUMNS]) for row in table.slice(0, _PREVIEW_ROWS).to_pylist()]
    return dg.MetadataValue.md("\n".join(lines))


def _row(values: Sequence[object]) -> str:
    return "| " + " | ".join(_cell(value) for value in values) + " |"


def _cell(value: object) -> str:
    if isinstance(value, datetime):
        return f"{value:%H:%M:%S}"
    text = "" if value is None else " ".join(str(value).replace("|", "/").split())
    return text if len(text) <= _CELL_WIDTH else f"{text[:_CELL_WIDTH]}…"
