"""Tables of leads, quarantined records, calls and coverage for the storage tests; made up, small, typed."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

import pyarrow as pa

from leads_pipeline.days import day_start
from leads_pipeline.leads.schema import LEADS_ARROW_SCHEMA, QUARANTINE_ARROW_SCHEMA
from leads_pipeline.storage.store import COVERAGE_INPUT_SCHEMA
from leads_pipeline.storage.tables import ALERTS, API_CALLS

DAY = date(2026, 3, 1)
FETCHED = datetime(2026, 3, 5, 1, 2, 3, 456789, tzinfo=UTC)


def day_after(days: int) -> date:
    return DAY + timedelta(days=days)


def leads_of(
    day: date, ids: Iterable[str], *, account: str = "demo", state: str = "first", **values: object
) -> pa.Table:
    """Leads in which everything that may be NULL is NULL unless given; `state` marks them as content_hash."""
    start = day_start(day)
    rows = [
        {
            "account": account,
            "query_id": query_id,
            "query_type": "W",
            "query_time": (start + timedelta(seconds=position)).astimezone(UTC),
            "query_time_ist": (start + timedelta(seconds=position)).replace(tzinfo=None),
            "lead_date": day,
            "source_api": "v2",
            "first_seen_at": FETCHED,
            "last_seen_at": FETCHED,
            "first_seen_after_seconds": 0,
            "fetched_at": FETCHED,
            "response_id": f"{account}.v2.a",
            "response_position": position,
            "content_hash": state,
            **values,
        }
        for position, query_id in enumerate(ids)
    ]
    return pa.Table.from_pylist(rows, schema=LEADS_ARROW_SCHEMA)


def quarantined(response_id: str, shas: Iterable[str], *, hours: int = 0, reason: str = "no id") -> pa.Table:
    rows = [
        {
            "account": "demo",
            "record_sha256": sha,
            "reason": reason,
            "record": f'{{"record": "{sha}"}}',
            "window_start": day_start(DAY),
            "fetched_at": FETCHED + timedelta(hours=hours),
            "response_id": response_id,
            "response_position": position,
        }
        for position, sha in enumerate(shas)
    ]
    return pa.Table.from_pylist(rows, schema=QUARANTINE_ARROW_SCHEMA)


def calls(call_ids: Iterable[int]) -> pa.Table:
    rows = [
        {
            "call_id": call_id,
            "account": "demo",
            "source_api": "v2",
            "window_start": day_start(DAY),
            "window_end": day_start(day_after(7)),
            "sent_at": FETCHED,
            "waited_seconds": 0.0,
            "outcome": "leads",
            "message": "",
            "records": 3,
            "response_id": f"demo.v2.{call_id}",
            "run_id": "run",
        }
        for call_id in call_ids
    ]
    return pa.Table.from_pylist(rows, schema=API_CALLS.schema)


def alerts(numbers_and_states: Iterable[tuple[int, str]]) -> pa.Table:
    rows = [
        {
            "alert_id": number,
            "account": "demo",
            "cause": "key_rejected",
            "detail": "",
            "level": "critical",
            "state": state,
            "what": "The key is rejected.",
            "first_event_at": FETCHED,
            "opened_at": FETCHED,
            "last_event_at": FETCHED,
            "resolved_at": FETCHED if state == "resolved" else None,
            "events": 1,
            "messages": 0,
        }
        for number, state in numbers_and_states
    ]
    return pa.Table.from_pylist(rows, schema=ALERTS.schema)


def coverage_of_days(days: Iterable[date], *, state: str = "complete") -> pa.Table:
    rows = [
        {
            "account": "demo",
            "lead_date": day,
            "state": state,
            "fetched": True,
            "merged": True,
            "fetched_until": day_start(day + timedelta(days=1)),
            "response_ids": ["demo.v2.1"],
        }
        for day in days
    ]
    return pa.Table.from_pylist(rows, schema=COVERAGE_INPUT_SCHEMA)
