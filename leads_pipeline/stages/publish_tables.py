"""The last stage: DuckDB follows the Parquet files, and analysts get a new version."""

from collections.abc import Callable
from datetime import date

import pyarrow as pa

from leads_pipeline.alerts.ledger import Ledger
from leads_pipeline.days import day_of, days_between, utc_now
from leads_pipeline.indiamart.call_log import CallLog
from leads_pipeline.leads.schema import arrow_schema
from leads_pipeline.stages.workspace import Workspace
from leads_pipeline.storage.publish import PublishResult, refresh_and_publish
from leads_pipeline.storage.store import COVERAGE_INPUT_SCHEMA
from leads_pipeline.storage.tables import ALERT_COLUMNS, CALL_COLUMNS

_CALLS_SCHEMA = arrow_schema(CALL_COLUMNS)


def publish_tables(workspace: Workspace, log: Callable[[str], None], *, rebuild: bool = False) -> PublishResult:
    """Bring the tables up to the Parquet files, the call log and coverage, and publish them if anything changed.

    With `rebuild` they are made from nothing, which also drops what its source has forgotten.
    """
    settings = workspace.settings
    result = refresh_and_publish(
        settings.data_dir,
        calls_after=lambda call_id: calls_table(workspace.call_log, call_id),
        coverage=lambda: coverage_table(workspace),
        alerts=lambda: alerts_table(Ledger(settings.state_dir)),
        group=settings.published_group,
        rebuild=rebuild,
    )
    leads = f"{result.leads} lead(s) and {result.quarantined} quarantined record(s)"
    log(
        f"Published leads.duckdb as version {result.version}: {leads}; {len(result.changed_days)} day(s) changed."
        if result.published
        else f"Nothing changed: leads.duckdb stays at version {result.version} with {leads}."
    )
    return result


def calls_table(call_log: CallLog, call_id: int) -> pa.Table:
    """Return the calls with a larger id, in the columns of api_calls."""
    calls = call_log.after(call_id)
    columns = [pa.array([getattr(call, field.name) for call in calls], field.type) for field in _CALLS_SCHEMA]
    return pa.Table.from_arrays(columns, schema=_CALLS_SCHEMA)


def alerts_table(ledger: Ledger) -> pa.Table:
    """Return every alert that ever was, in the columns of alerts."""
    rows = [
        {
            "alert_id": record.cause.cause_id,
            "account": record.cause.account,
            "cause": record.cause.kind_name,
            "detail": record.cause.detail,
            "level": record.cause.level.value,
            "state": record.cause.state.value,
            "what": record.cause.what,
            "first_event_at": record.cause.first_event_at,
            "opened_at": record.cause.opened_at,
            "last_event_at": record.cause.last_event_at,
            "resolved_at": record.cause.resolved_at,
            "events": record.cause.count,
            "messages": record.messages,
            "last_sent_at": record.last_sent_at,
            "first_day": record.cause.first_day,
            "last_day": record.cause.last_day,
            "run_id": record.cause.run_id or None,
        }
        for record in ledger.records()
    ]
    return pa.Table.from_pylist(rows, schema=arrow_schema(ALERT_COLUMNS))


def coverage_table(workspace: Workspace) -> pa.Table:
    """Return every account's coverage from its first covered day to today, in the columns of coverage."""
    rows: list[dict[str, object]] = []
    now = utc_now()
    for account in workspace.catalog.accounts():
        for day in workspace.coverage(account, _known_days(workspace, account), now):
            rows.append(
                {
                    "account": account,
                    "lead_date": day.day,
                    "state": day.state.value,
                    "fetched": day.fetched,
                    "merged": day.merged,
                    "fetched_until": day.fetched_until,
                    "first_complete_at": day.first_complete_at,
                    "response_ids": list(day.proofs),
                }
            )
    return pa.Table.from_pylist(rows, schema=COVERAGE_INPUT_SCHEMA)


def _known_days(workspace: Workspace, account: str) -> list[date]:
    first = workspace.catalog.first_day(account)
    return [] if first is None else days_between(day_of(first), day_of(utc_now()))
