"""The last stage: DuckDB follows the Parquet files, and analysts get a new version."""

from collections.abc import Callable
from datetime import date
from pathlib import Path

import pyarrow as pa

from leads_pipeline.alerts.ledger import Ledger
from leads_pipeline.days import day_of, days_between, utc_now
from leads_pipeline.delivery.delivery_log import DeliveryLog
from leads_pipeline.delivery.outbox import Outbox
from leads_pipeline.indiamart.call_log import CallLog
from leads_pipeline.leads.schema import arrow_schema
from leads_pipeline.stages.workspace import Workspace
from leads_pipeline.storage.publish import PublishResult, refresh_and_publish
from leads_pipeline.storage.store import COVERAGE_INPUT_SCHEMA, Sources
from leads_pipeline.storage.tables import ALERT_COLUMNS, CALL_COLUMNS, DELIVERIES, DELIVERY_ATTEMPTS

_SAME_IN_DELIVERIES = (
    *("account", "destination", "query_id", "lead_date", "query_time", "first_seen_at", "remote_id", "attempts"),
    *("last_error", "first_delivered_at", "delivered_at", "last_attempt_at", "next_try_at", "activity", "activity_id"),
)
_CALLS_SCHEMA = arrow_schema(CALL_COLUMNS)


def publish_tables(workspace: Workspace, log: Callable[[str], None], *, rebuild: bool = False) -> PublishResult:
    """Bring the tables up to the Parquet files, the call log and coverage, and publish them if anything changed.

    With `rebuild` they are made from nothing, which also drops what its source has forgotten.
    """
    settings = workspace.settings
    result = refresh_and_publish(
        settings.data_dir,
        Sources(
            calls_after=lambda call_id: calls_table(workspace.call_log, call_id),
            coverage=lambda: coverage_table(workspace),
            alerts=lambda: alerts_table(Ledger(settings.state_dir)),
            deliveries_after=lambda change: deliveries_table(settings.state_dir, change),
            delivery_attempts_after=lambda attempt_id: attempts_table(settings.state_dir, attempt_id),
        ),
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


def deliveries_table(state_dir: Path, change: int) -> pa.Table:
    """Return the deliveries that changed after that change, in the columns of deliveries."""
    outbox = Outbox(state_dir)
    rows = [
        {
            **{name: getattr(row, name) for name in _SAME_IN_DELIVERIES},
            "state": row.state.value,
            "payload_hash": row.sent_hash,
            "delivered_after_seconds": (row.first_delivered_at - row.first_seen_at).total_seconds()
            if row.first_delivered_at
            else None,
            "change_number": row.change,
        }
        for row in (outbox.changes_after(change) if outbox.exists else ())
    ]
    return pa.Table.from_pylist(rows, schema=DELIVERIES.schema)


def attempts_table(state_dir: Path, attempt_id: int) -> pa.Table:
    """Return the calls to CRMs with a higher id, in the columns of delivery_attempts."""
    log = DeliveryLog(state_dir)
    rows = [
        {
            "attempt_id": attempt.attempt_id,
            "account": attempt.account,
            "destination": attempt.destination,
            "method": attempt.call.method,
            "sent_at": attempt.call.sent_at,
            "latency_seconds": attempt.call.seconds,
            "leads": attempt.call.rows,
            "http_status": attempt.call.http_status,
            "outcome": attempt.call.outcome.value,
            "reason": attempt.call.reason,
            "created": attempt.call.created,
            "updated": attempt.call.updated,
            "failed": attempt.call.failed,
            "run_id": attempt.run_id,
        }
        for attempt in (log.calls_after(attempt_id) if log.exists else ())
    ]
    return pa.Table.from_pylist(rows, schema=DELIVERY_ATTEMPTS.schema)


def coverage_table(workspace: Workspace) -> pa.Table:
    """Return every account's coverage from its first covered day to today, in the columns of coverage."""
    rows: list[dict[str, object]] = []
    now = utc_now()
    for account in workspace.catalog.accounts():
        days = _known_days(workspace, account)
        workspace.keep_coverage(account, days)
        for day in workspace.coverage(account, days, now):
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
