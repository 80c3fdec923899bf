"""The one partitions definition and backfill policy, and reporting per day. What a run's days are is decided here."""

from collections.abc import Iterable, Mapping
from datetime import date
from functools import cache
from typing import Any

import dagster as dg

from leads_pipeline.days import IST
from leads_pipeline.indiamart.windows import MAX_WINDOW
from leads_pipeline.leads.schema import Column
from leads_pipeline.settings import Account
from leads_pipeline.storage.coverage import DayCoverage

BACKFILL_POLICY = dg.BackfillPolicy.multi_run(max_partitions_per_run=MAX_WINDOW.days)
"""One run covers up to 7 neighbouring days, so that it needs at most one call."""

ACCOUNT_TAG = "leads/account"
"""The tag of runs and assets that names their account, or accounts."""
WINDOW_TAG = "leads/window"
"""The tag of runs that names their days, `2026-11-01 to 2026-11-07`."""

_DAY_FORMAT = "%Y-%m-%d"


def lead_days(start: date) -> dg.DailyPartitionsDefinition:
    """Return the days in India from start to today, today included."""
    return dg.DailyPartitionsDefinition(start_date=start.isoformat(), timezone=IST.key, fmt=_DAY_FORMAT, end_offset=1)


def run_days(context: dg.AssetExecutionContext) -> tuple[date, ...]:
    """Return the days of the run, in order."""
    return tuple(sorted(date.fromisoformat(key) for key in context.partition_keys))


def window_tag(first: date, last: date) -> str:
    """Return the tag of runs over these days, both included."""
    return first.isoformat() if first == last else f"{first} to {last}"


def asset_tags(account: Account, layer: str) -> dict[str, str]:
    """Return the tags by which the catalog filters assets; `layer` is answers, leads or tables."""
    return {ACCOUNT_TAG: account.name, "leads/layer": layer, "leads/api": account.api_version}


def report_days(
    context: dg.AssetExecutionContext,
    metadata_by_day: Mapping[date, Mapping[str, Any]],
    beyond: Iterable[date] = (),
    run_facts: Mapping[str, Any] | None = None,
) -> None:
    """Attach each day's metadata and the run's facts to its materialization; report days beyond the run as well.

    A call for the run's days may have completed neighbours too. Those are reported without the run, which they name
    in their metadata: Dagster would count them among a backfill's days and say that it is 233% done. It takes a key
    outside the definition without a word, so those are passed over.
    """
    own = {*run_days(context)}
    facts = _as_text(run_facts or {})
    for day in own:
        context.add_asset_metadata({**metadata_by_day.get(day, {}), **facts}, partition_key=day.isoformat())
    definition = context.assets_def.partitions_def
    facts["reported_by"] = dg.MetadataValue.dagster_run(context.run.run_id)
    for day in sorted({*beyond} - own):
        if definition is not None and definition.has_partition_key(day.isoformat()):
            metadata = {**metadata_by_day.get(day, {}), **facts}
            context.instance.report_runless_asset_event(
                dg.AssetMaterialization(context.asset_key, partition=day.isoformat(), metadata=metadata)
            )


def _as_text(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return numbers as text: Dagster plots every number by day, and a run's total is not its days'."""
    return {
        name: dg.MetadataValue.text(str(value)) if isinstance(value, int | float) else value
        for name, value in facts.items()
    }


def coverage_metadata(coverage: Iterable[DayCoverage]) -> dict[date, dict[str, Any]]:
    """Return what the UI shows of each day's coverage."""
    days = list(coverage)
    answers = answers_metadata(days)
    return {day.day: {"state": day.state.value, **answers[day.day]} for day in days}


def answers_metadata(coverage: Iterable[DayCoverage]) -> dict[date, dict[str, Any]]:
    """Return what the UI shows of each day's answers, whether they are merged or not."""
    return {
        day.day: {
            "fetched": day.fetched,
            "fetched_until": dg.MetadataValue.timestamp(day.fetched_until)
            if day.fetched_until
            else dg.MetadataValue.null(),
            "answers": dg.MetadataValue.text(str(len(day.proofs))),
        }
        for day in coverage
    }


@cache
def table_schema(columns: tuple[Column, ...]) -> dg.TableSchema:
    """Return the columns with their comments as Dagster shows them; they are the same for each account."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                column.name,
                type=str(column.type),
                description=column.comment,
                constraints=dg.TableColumnConstraints(nullable=column.nullable),
            )
            for column in columns
        ]
    )
