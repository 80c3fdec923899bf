"""The tables and views of deliveries: they follow the outbox, and tell what arrived, how fast, and what did not."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from leads_pipeline.delivery.crm import CallOutcome, CrmCall
from leads_pipeline.delivery.delivery_log import DeliveryLog
from leads_pipeline.delivery.outbox import Outbox
from leads_pipeline.delivery.outbox_rows import Delivery, DeliveryState
from leads_pipeline.stages.publish_tables import attempts_table, deliveries_table, publish_tables
from leads_pipeline.storage.tables import DELIVERIES, DELIVERY_ATTEMPTS
from leads_pipeline_tests.delivery.memory_crm import DAY, NOON
from leads_pipeline_tests.storage.view_rows import create_database, insert
from leads_pipeline_tests.support import make_settings, make_workspace

S = DeliveryState


def row(query_id: str, state: DeliveryState, minutes: float | None = None, **values: Any) -> Delivery:
    """A lead that was asked for at NOON, seen 10 minutes later, and arrived so many minutes after that."""
    seen = NOON + timedelta(minutes=10)
    arrived = None if minutes is None else seen + timedelta(minutes=minutes)
    plain = Delivery("acme", "crm", query_id, DAY, NOON, seen, state, "c", "t")
    return replace(plain, first_delivered_at=arrived, delivered_at=arrived, **values)


@pytest.fixture
def database() -> Iterator[duckdb.DuckDBPyConnection]:
    with create_database() as connection:
        yield connection


def test_days_tell_what_arrived_how_fast_and_the_reasons_of_the_rest(
    database: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    assert not deliveries_table(tmp_path, 0).num_rows
    later = NOON + timedelta(hours=1)
    Outbox(tmp_path).put(
        [
            row("1", S.CREATED, 1),
            row("2", S.UPDATED, 3),
            row("3", S.SUPERSEDED),
            row("4", S.FAILED, last_error="busy"),
            row("5", S.UNSURE, last_error="busy"),
            row("6", S.HELD, last_error="no address"),
            replace(row("7", S.HELD, last_error="no address"), query_time=later),
            row("8", S.PARKED, last_error="refused"),
            replace(row("9", S.KEPT, 2), destination="other"),
        ]
    )
    insert(database, DELIVERIES, deliveries_table(tmp_path, 0).to_pylist())

    assert database.execute("FROM deliveries_per_day").fetchall() == [
        ("acme", "crm", DAY, 8, 3, 2, 2, 1, 2.0, 12.0, 12.8),
        ("acme", "other", DAY, 1, 1, 0, 0, 0, 2.0, 12.0, 12.0),
    ]
    found = database.execute("SELECT destination, state, reason, leads, oldest_query_time FROM deliveries_not_arrived")
    assert found.fetchall() == [
        ("crm", "held", "no address", 2, NOON),
        ("crm", "failed", "busy", 1, NOON),
        ("crm", "parked", "refused", 1, NOON),
        ("crm", "unsure", "busy", 1, NOON),
    ]


def test_the_published_tables_follow_the_outbox_and_the_log(tmp_path: Path) -> None:
    workspace = make_workspace(make_settings(tmp_path, "http://127.0.0.1:9/", account="acme"))
    state_dir = workspace.settings.state_dir
    outbox, log = Outbox(state_dir), DeliveryLog(state_dir)
    call = CrmCall("createLeads", NOON, 0.25, 2, None, CallOutcome.NO_ANSWER, "no answer within the time limit")

    def published(sql: str) -> list[tuple[Any, ...]]:
        link = publish_tables(workspace, lambda _: None).path
        with duckdb.connect(str(link), read_only=True) as connection:
            return connection.execute(sql).fetchall()

    states = "SELECT query_id, state, remote_id, delivered_after_seconds FROM deliveries ORDER BY query_id"
    assert published(states) == []
    outbox.put([row("1", S.CREATED, 1, remote_id="r1"), row("2", S.FAILED)])
    log.log_call("acme", "crm", "run", call)
    assert published(states) == [("1", "created", "r1", 60.0), ("2", "failed", None, None)]
    outbox.put([row("2", S.CREATED, 2, remote_id="r2")])
    log.log_call("acme", "crm", "run", replace(call, http_status=200, outcome=CallOutcome.OK, reason="", created=1))
    assert published(states) == [("1", "created", "r1", 60.0), ("2", "created", "r2", 120.0)]
    calls = "SELECT attempt_id, method, http_status, outcome, leads, created FROM delivery_attempts ORDER BY attempt_id"
    assert published(calls) == [
        (1, "createLeads", None, "no_answer", 2, 0),
        (2, "createLeads", 200, "ok", 2, 1),
    ]
    assert attempts_table(state_dir, 2).schema == DELIVERY_ATTEMPTS.schema
