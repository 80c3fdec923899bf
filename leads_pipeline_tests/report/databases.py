"""A small database as the program publishes it, its rows given by hand."""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa

from leads_pipeline.days import day_start
from leads_pipeline.storage.store_schema import CREATE_STATEMENTS
from leads_pipeline.storage.tables import (
    ALERTS,
    API_CALLS,
    COVERAGE,
    DELIVERIES,
    LEADS,
    PUBLICATION,
    QUARANTINE,
    TABLES,
)
from leads_pipeline_tests.storage.lead_tables import DAY, day_after

PUBLISHED = datetime(2026, 3, 22, 6, 30, tzinfo=UTC)
"""Noon of the last day in India; DAY, 1 March 2026, is a Sunday."""
ACME = "acme"


@dataclass
class Published:
    """The database; what is not given is NULL, or a value that stands for no more than itself."""

    connection: duckdb.DuckDBPyConnection
    rows: dict[str, list[dict[str, object]]] = field(default_factory=lambda: defaultdict(list))

    def add_leads(self, day: date, count: int = 1, *, account: str = ACME, hour: int = 10, **values: object) -> None:
        """Add leads of that hour in India, seen an hour later by a pull of the day as it went."""
        asked = day_start(day) + timedelta(hours=hour)
        seen = values.pop("first_seen_at", asked + timedelta(hours=1))
        assert isinstance(seen, datetime)
        for _ in range(count):
            plain: dict[str, object] = {
                "account": account,
                "query_id": str(len(self.rows[LEADS.name])),
                "query_type": "W",
                "query_time": asked,
                "query_time_ist": asked.replace(tzinfo=None),
                "lead_date": day,
                "source_api": "v2",
                "first_seen_at": seen,
                "last_seen_at": seen,
                "first_seen_after_seconds": int((seen - asked).total_seconds()),
                "fetched_at": seen,
                "response_id": "r",
                "response_position": 0,
                "content_hash": "h",
                "is_repeat": False,
            }
            self.rows[LEADS.name].append(plain | values)

    def add_days(
        self,
        first: date,
        last: date,
        state: str = "complete",
        *,
        account: str = ACME,
        first_complete_at: datetime | None = None,
    ) -> None:
        """Add coverage of the days from first to last, first complete half an hour after their end unless given."""
        for number in range((last - first).days + 1):
            day = first + timedelta(days=number)
            complete = state == "complete"
            proven = first_complete_at or day_start(day) + timedelta(days=1, minutes=30)
            row = {
                "account": account,
                "lead_date": day,
                "state": state,
                "fetched": complete,
                "merged": complete,
                "first_complete_at": proven if complete else None,
                "response_ids": [],
                "leads": 0,
            }
            self.rows[COVERAGE.name].append(row)

    def add_call(self, hours_before: float, outcome: str = "leads", *, account: str = ACME, **values: object) -> None:
        """Add a call made so many hours before the database was published."""
        sent_at = PUBLISHED - timedelta(hours=hours_before)
        row: dict[str, object] = {
            "call_id": int(hours_before * 60),
            "account": account,
            "source_api": "v2",
            "window_start": sent_at,
            "window_end": sent_at,
            "sent_at": sent_at,
            "outcome": outcome,
        }
        self.rows[API_CALLS.name].append(row | values)

    def add_alert(self, cause: str, state: str = "open", *, account: str = ACME, **values: object) -> None:
        """Add an alert that began two days before the database was published."""
        began = PUBLISHED - timedelta(days=2)
        row: dict[str, object] = {
            "alert_id": 1,
            "account": account,
            "cause": cause,
            "detail": "",
            "level": "critical",
            "state": state,
            "what": "",
            "first_event_at": began,
            "opened_at": began,
            "last_event_at": began,
            "events": 1,
            "messages": 0,
        }
        self.rows[ALERTS.name].append(row | values)

    def add_delivery(self, day: date, state: str, minutes: float | None = None, reason: str = "") -> None:
        """Add a lead on its way to a CRM that arrived so many minutes after it was seen, half an hour after asking."""
        asked = day_start(day) + timedelta(hours=10)
        seen = asked + timedelta(minutes=30)
        arrived = None if minutes is None else seen + timedelta(minutes=minutes)
        row: dict[str, object] = {
            "account": ACME,
            "destination": "crm",
            "query_id": str(len(self.rows[DELIVERIES.name])),
            "lead_date": day,
            "query_time": asked,
            "first_seen_at": seen,
            "state": state,
            "attempts": 1,
            "last_error": reason,
            "first_delivered_at": arrived,
            "delivered_at": arrived,
            "delivered_after_seconds": None if minutes is None else minutes * 60,
            "activity": "",
            "change_number": 1,
        }
        self.rows[DELIVERIES.name].append(row)

    def add_quarantined(self, number: int, *, account: str = ACME, record: str = "{}") -> None:
        """Add a record that can be no lead."""
        row = {
            "account": account,
            "record_sha256": f"{number:064d}",
            "reason": "no id",
            "record": record,
            "first_seen_at": PUBLISHED,
            "last_seen_at": PUBLISHED,
            "times_seen": 1,
            "response_id": "r",
        }
        self.rows[QUARANTINE.name].append(row)

    def write(self) -> None:
        """Insert all rows."""
        publication = {"version": 7, "published_at": PUBLISHED, "program_version": "0.1.0", "schema_sha256": "digest"}
        self.rows[PUBLICATION.name].append(publication)
        for table in TABLES:
            if table.name in self.rows:
                schema = pa.schema([(column.name, column.type) for column in table.columns])
                self.connection.register("incoming", pa.Table.from_pylist(self.rows[table.name], schema=schema))
                self.connection.execute(f"INSERT INTO {table.name} BY NAME SELECT * FROM incoming").fetchall()  # noqa: S608


@contextmanager
def published_database(path: Path) -> Iterator[Published]:
    """Make a database, to be filled inside the block and read after it."""
    with duckdb.connect(str(path)) as connection:
        connection.execute("BEGIN").fetchall()
        for statement in CREATE_STATEMENTS:
            if not statement.startswith("COMMENT"):
                connection.execute(statement).fetchall()
        published = Published(connection)
        yield published
        published.write()
        connection.execute("COMMIT").fetchall()


def three_weeks(published: Published, *, account: str = ACME) -> None:
    """Add three weeks of complete days, the last of them not over: 2 leads a day, then 4, then 3."""
    for number in range(21):
        day = day_after(number)
        kind = ("W", "W", "P", "B")[number % 4]
        published.add_leads(day, (2, 4, 3)[number // 7], account=account, query_type=kind, hour=9 + number % 3)
    published.add_days(DAY, day_after(20), account=account)
    published.add_days(day_after(21), day_after(21), "partial", account=account)
    published.add_call(1, account=account)
