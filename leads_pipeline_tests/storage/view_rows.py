"""A database with all tables and views, and rows by hand for it: small, typed, each with its time of day."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa

from leads_pipeline.leads.schema import VERSIONS
from leads_pipeline.storage.atomic import make_private_folder
from leads_pipeline.storage.store_schema import CREATE_STATEMENTS
from leads_pipeline.storage.tables import Table
from leads_pipeline_tests.storage.children import ONE_THREAD
from leads_pipeline_tests.storage.lead_tables import leads_of
from leads_pipeline_tests.support import ist

Row = Mapping[str, object]


@contextmanager
def create_database(path: Path | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
    """All tables and views in a new file, or in memory, in a session whose clock is not India's."""
    if path is not None:
        make_private_folder(path.parent)
    with duckdb.connect(":memory:" if path is None else str(path), config=ONE_THREAD) as connection:
        connection.execute("SET TimeZone = 'America/New_York'").fetchall()
        for statement in ("BEGIN", *CREATE_STATEMENTS, "COMMIT"):
            connection.execute(statement).fetchall()
        yield connection


def insert(connection: duckdb.DuckDBPyConnection, table: Table, rows: Iterable[Row]) -> None:
    connection.register("incoming", pa.Table.from_pylist([dict(row) for row in rows], schema=table.schema))
    connection.execute(f"INSERT INTO {table.name} BY NAME FROM incoming").fetchall()
    connection.unregister("incoming")


def lead(query_id: str, at: str, *, seen_after: timedelta = timedelta(hours=1), **values: object) -> Row:
    """A lead of that time on India's clock; what may be NULL is NULL unless given."""
    asked = ist(at)
    [row] = leads_of(asked.date(), [query_id], account=str(values.get("account", "demo"))).to_pylist()
    del row[VERSIONS]
    first_seen_at = asked + seen_after
    return {
        **row,
        "query_time": asked,
        "query_time_ist": asked.replace(tzinfo=None),
        "first_seen_at": first_seen_at,
        "last_seen_at": first_seen_at,
        "fetched_at": first_seen_at,
        "first_seen_after_seconds": int(seen_after.total_seconds()),
        **values,
    }


def buyer(buyer_id: str, enquiries: int, first: datetime, last: datetime, **values: object) -> Row:
    lists = {name: [] for name in ("names", "companies", "mobiles", "emails")}
    counts = {"web_enquiries": enquiries, "buy_leads": 0, "calls": 0, "whatsapp_enquiries": 0, "catalogue_views": 0}
    return {
        "account": "demo",
        "buyer_id": buyer_id,
        "enquiries": enquiries,
        "first_query_time": first,
        "last_query_time": last,
        "first_lead_date": first.date(),
        "last_lead_date": last.date(),
        "first_seen_at": first,
        **lists,
        **counts,
        **values,
    }
