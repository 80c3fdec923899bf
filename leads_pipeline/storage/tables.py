"""The tables of the DuckDB file: columns, types and comments, and the statements that create them."""

from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

from leads_pipeline.leads.schema import (
    INSTANT,
    LEAD_COLUMNS,
    QUANTITY,
    QUARANTINE_COLUMNS,
    TEXT,
    TEXTS_BY_LABEL,
    VERSION_COLUMNS,
    VERSIONS,
    Column,
    arrow_schema,
)

_SQL_TYPES: dict[pa.DataType, str] = {
    TEXT: "VARCHAR",
    INSTANT: "TIMESTAMPTZ",
    pa.timestamp("us"): "TIMESTAMP",
    pa.date32(): "DATE",
    pa.int32(): "INTEGER",
    pa.int64(): "BIGINT",
    pa.uint64(): "UBIGINT",
    pa.float64(): "DOUBLE",
    pa.bool_(): "BOOLEAN",
    pa.list_(TEXT): "VARCHAR[]",
    QUANTITY: "DECIMAL(18, 3)",
    TEXTS_BY_LABEL: "MAP(VARCHAR, VARCHAR)",
}

_UUID_COLUMNS = frozenset({"buyer_id"})
"""Texts in Arrow and UUIDs in DuckDB, which finds buyers among millions of leads five times as fast by these."""

CALL_COLUMNS: tuple[Column, ...] = (
    Column("call_id", pa.int64(), "Number of the call in the call log, rising", nullable=False),
    Column("account", TEXT, "Seller account whose key made the call", nullable=False),
    Column("source_api", TEXT, "API that was called: v2 or v1", nullable=False),
    Column("window_start", INSTANT, "Start of the time asked for, included", nullable=False),
    Column("window_end", INSTANT, "End of the time asked for, excluded", nullable=False),
    Column("sent_at", INSTANT, "When the request was sent", nullable=False),
    Column("received_at", INSTANT, "When the answer was there; NULL when none came"),
    Column("latency_seconds", pa.float64(), "Seconds from the request to the answer; NULL when none came"),
    Column("waited_seconds", pa.float64(), "Seconds that the call waited for its slot, one per 5 minutes and key"),
    Column("outcome", TEXT, "What the answer means: leads, no_leads, rate_limited, key_rejected, ...", nullable=False),
    Column("http_status", pa.int32(), "HTTP status of the answer; NULL when none came"),
    Column("code", pa.int32(), "CODE in the answer, which counts more than the HTTP status; NULL without one"),
    Column("message", TEXT, "MESSAGE in the answer, or what went wrong"),
    Column("records", pa.int32(), "Records in the answer"),
    Column("total_records", pa.int32(), "TOTAL_RECORDS as the answer claims; NULL without one"),
    Column("response_id", TEXT, "Raw response that holds the answer; named also when none came"),
    Column("run_id", TEXT, "Dagster run that made the call"),
)

COVERAGE_COLUMNS: tuple[Column, ...] = (
    Column("account", TEXT, "Seller account", nullable=False),
    Column("lead_date", pa.date32(), "Day in India", nullable=False),
    Column(
        "state",
        TEXT,
        "complete (fetched and merged), partial, missing, not_yet_available or out_of_reach (over 365 days ago)",
        nullable=False,
    ),
    Column("fetched", pa.bool_(), "Whether all of the day was asked for after it ended", nullable=False),
    Column("merged", pa.bool_(), "Whether every answer that proves the day is in the tables", nullable=False),
    Column("fetched_until", INSTANT, "Up to when the day was asked for without a gap; NULL if not at all"),
    Column(
        "first_complete_at",
        INSTANT,
        "When the answer came that first proved the whole day; leads first seen after it came late. NULL if none did",
    ),
    Column("response_ids", pa.list_(TEXT), "Raw responses that prove the day, oldest first"),
    Column("leads", pa.int64(), "Leads of the account and day in the table leads", nullable=False),
)

ALERT_COLUMNS: tuple[Column, ...] = (
    Column("alert_id", pa.int64(), "Number of the alert, rising", nullable=False),
    Column("account", TEXT, "Seller account", nullable=False),
    Column("cause", TEXT, "What is wrong: key_rejected, server_error, run_failed, coverage_gap, ...", nullable=False),
    Column("detail", TEXT, "For a failed run where it failed and of what; else empty", nullable=False),
    Column("level", TEXT, "How loud the alert is: info, warning or critical", nullable=False),
    Column("state", TEXT, "open or resolved", nullable=False),
    Column("what", TEXT, "What happened, what it means, what to do", nullable=False),
    Column("first_event_at", INSTANT, "When it began", nullable=False),
    Column("opened_at", INSTANT, "When it counted as real", nullable=False),
    Column("last_event_at", INSTANT, "When it was last met", nullable=False),
    Column("resolved_at", INSTANT, "When it was over; NULL while it goes on"),
    Column("events", pa.int64(), "How often it was met", nullable=False),
    Column("messages", pa.int64(), "Messages that went out about it, over all channels", nullable=False),
    Column("last_sent_at", INSTANT, "When the last of them went out; NULL if none did"),
    Column("first_day", pa.date32(), "First day concerned; NULL if none is"),
    Column("last_day", pa.date32(), "Last day concerned; NULL if none is"),
    Column("run_id", TEXT, "Newest Dagster run that met it; NULL if none did"),
)

DELIVERY_COLUMNS: tuple[Column, ...] = (
    Column("account", TEXT, "Seller account", nullable=False),
    Column("destination", TEXT, "The CRM account that the lead goes to, as the accounts file calls it", nullable=False),
    Column("query_id", TEXT, "The lead", nullable=False),
    Column("lead_date", pa.date32(), "The day in India on which the buyer asked", nullable=False),
    Column("query_time", INSTANT, "When the buyer asked", nullable=False),
    Column("first_seen_at", INSTANT, "When the program first saw the lead", nullable=False),
    Column(
        "state",
        TEXT,
        "created, updated, unchanged, kept or superseded (the CRM has what it should have); failed or unsure (to be "
        "tried again); held (can't be sent as it is); parked (given up)",
        nullable=False,
    ),
    Column("remote_id", TEXT, "The record in the CRM; NULL if none is known"),
    Column("attempts", pa.int32(), "Attempts with the newest content", nullable=False),
    Column("last_error", TEXT, "Why it has not arrived, in words; empty if it has", nullable=False),
    Column("payload_hash", TEXT, "Hash of the fields that the CRM was given; NULL if it has none of the lead"),
    Column("first_delivered_at", INSTANT, "When it first arrived; NULL if it has not"),
    Column("delivered_at", INSTANT, "When it last arrived; NULL if it has not"),
    Column("last_attempt_at", INSTANT, "When it was last tried; NULL if never"),
    Column("next_try_at", INSTANT, "When it is due again; NULL if it is not"),
    Column(
        "delivered_after_seconds",
        pa.float64(),
        "Seconds from first_seen_at to first_delivered_at; NULL if it has not arrived",
    ),
    Column("activity", TEXT, "Activity that notes the enquiry: due, done, failed, unsure; or empty", nullable=False),
    Column("activity_id", TEXT, "That activity in the CRM; NULL if none is known"),
    Column("change_number", pa.int64(), "Number of the row's last change, rising over all rows", nullable=False),
)

DELIVERY_ATTEMPT_COLUMNS: tuple[Column, ...] = (
    Column("attempt_id", pa.int64(), "Number of the call, rising", nullable=False),
    Column("account", TEXT, "Seller account", nullable=False),
    Column("destination", TEXT, "The CRM account that was called", nullable=False),
    Column("method", TEXT, "The CRM's name of the call", nullable=False),
    Column("sent_at", INSTANT, "When the call was made", nullable=False),
    Column("latency_seconds", pa.float64(), "Seconds to the answer, or to giving up", nullable=False),
    Column("leads", pa.int32(), "Leads that it was for", nullable=False),
    Column("http_status", pa.int32(), "HTTP status of the answer; NULL when none came"),
    Column("outcome", TEXT, "ok, partly (some leads were refused), refused, rate_limited, no_answer", nullable=False),
    Column("reason", TEXT, "What went wrong, in words; empty if nothing did", nullable=False),
    Column("created", pa.int32(), "Records that it made", nullable=False),
    Column("updated", pa.int32(), "Records that it changed", nullable=False),
    Column("failed", pa.int32(), "Leads that it was refused for", nullable=False),
    Column("run_id", TEXT, "Dagster run that made the call; command for one by hand", nullable=False),
)

_SEEN = {column.name: column for column in QUARANTINE_COLUMNS}

QUARANTINE_TABLE_COLUMNS: tuple[Column, ...] = (
    *(_SEEN[name] for name in ("account", "record_sha256", "reason", "record")),
    Column("first_seen_at", INSTANT, "When an answer first held this record", nullable=False),
    Column("last_seen_at", INSTANT, "When an answer last held this record", nullable=False),
    Column("times_seen", pa.int64(), "How often answers held it: distinct responses and positions", nullable=False),
    Column("response_id", TEXT, "Newest raw response that held it", nullable=False),
)

LEAD_BUYER_COLUMNS: tuple[Column, ...] = (
    Column(
        "buyer_id",
        TEXT,
        "Who asked, in the table buyers; NULL where neither a mobile nor an e-mail address tells",
    ),
    Column("is_repeat", pa.bool_(), "Whether the buyer had asked this account before; NULL without buyer_id"),
)
"""Columns of leads that depend on all days, so that no Parquet file has them."""

BUYER_COLUMNS: tuple[Column, ...] = (
    Column("account", TEXT, "Seller account that the buyer wrote to or called", nullable=False),
    Column(
        "buyer_id",
        TEXT,
        "The buyer: leads of an account that share a mobile or an e-mail address, also through leads in between",
        nullable=False,
    ),
    Column("name", TEXT, "Name in the newest lead that has one"),
    Column("names", pa.list_(TEXT), "All names given, sorted", nullable=False),
    Column("company", TEXT, "Company in the newest lead that has one"),
    Column("companies", pa.list_(TEXT), "All companies given, sorted", nullable=False),
    Column("mobiles", pa.list_(TEXT), "Mobiles by which the buyer is known, in E.164, sorted", nullable=False),
    Column("emails", pa.list_(TEXT), "E-mail addresses by which the buyer is known, sorted", nullable=False),
    Column("city", TEXT, "City in the newest lead that has one"),
    Column("state", TEXT, "State beside that city; without any city the newest state"),
    Column("country_iso", TEXT, "Country beside that city or state; without either the newest country"),
    Column("enquiries", pa.int64(), "Leads of the buyer, of every type", nullable=False),
    Column("web_enquiries", pa.int64(), "Leads of type W", nullable=False),
    Column("buy_leads", pa.int64(), "Leads of type B", nullable=False),
    Column("calls", pa.int64(), "Leads of type P", nullable=False),
    Column("whatsapp_enquiries", pa.int64(), "Leads of type WA", nullable=False),
    Column("catalogue_views", pa.int64(), "Leads of type BIZ", nullable=False),
    Column("first_query_time", INSTANT, "When the buyer first asked", nullable=False),
    Column("last_query_time", INSTANT, "When the buyer last asked", nullable=False),
    Column("first_lead_date", pa.date32(), "The day in India on which the buyer first asked", nullable=False),
    Column("last_lead_date", pa.date32(), "The day in India on which the buyer last asked", nullable=False),
    Column("first_seen_at", INSTANT, "When the program first saw one of the buyer's leads", nullable=False),
)

BUYER_IDENTIFIER_COLUMNS: tuple[Column, ...] = (
    Column("account", TEXT, "Seller account", nullable=False),
    Column("key", pa.uint64(), "Hash of a mobile or an e-mail address", nullable=False),
    Column("buyer_id", TEXT, "The only buyer of the account that has it", nullable=False),
)

PUBLICATION_COLUMNS: tuple[Column, ...] = (
    Column("version", pa.int64(), "Number of this published version, rising", nullable=False),
    Column("published_at", INSTANT, "When this version was written", nullable=False),
    Column("program_version", TEXT, "Version of the program that wrote it", nullable=False),
    Column("schema_sha256", TEXT, "Digest of all table definitions; another one means a rebuild", nullable=False),
)

FOLLOWED_FILE_COLUMNS: tuple[Column, ...] = (
    Column("path", TEXT, "Parquet file, relative to the data folder", nullable=False),
    Column("size", pa.int64(), "Its size in bytes when it was read", nullable=False),
    Column("mtime_ns", pa.int64(), "Its time of change in nanoseconds since 1970", nullable=False),
    Column("inode", pa.int64(), "Its inode", nullable=False),
    Column("sha256", TEXT, "SHA-256 of its bytes: a file counts as changed when this differs", nullable=False),
    Column("kind", TEXT, "leads or quarantine", nullable=False),
    Column("account", TEXT, "Account in its path", nullable=False),
    Column("lead_date", pa.date32(), "Day in the path of a file of leads"),
    Column("response_id", TEXT, "Response in the path of a file of quarantined records"),
    Column("row_count", pa.int64(), "Rows that it held", nullable=False),
)


def sql_type(column: Column) -> str:
    """Return the SQL type of a column."""
    return "UUID" if column.name in _UUID_COLUMNS else _SQL_TYPES[column.type]


def _quoted(text: str) -> str:
    """Return an SQL literal: DDL takes no bound parameters."""
    return "'" + text.replace("'", "''") + "'"


def comment_statements(kind: Literal["TABLE", "VIEW"], name: str, comment: str, columns: dict[str, str]) -> list[str]:
    """Return the SQL that puts the comments on a table or view and on its columns, one statement each."""
    return [
        f"COMMENT ON {kind} {name} IS {_quoted(comment)}",
        *(f"COMMENT ON COLUMN {name}.{column} IS {_quoted(said)}" for column, said in columns.items()),
    ]


@dataclass(frozen=True)
class Table:
    """A table of the DuckDB file."""

    name: str
    comment: str
    columns: tuple[Column, ...]

    @property
    def schema(self) -> pa.Schema:
        """Return its Arrow schema."""
        return arrow_schema(self.columns)

    @property
    def statements(self) -> list[str]:
        """Return the SQL that creates it with its comments, one statement each."""
        columns = ", ".join(
            f"{column.name} {sql_type(column)}{'' if column.nullable else ' NOT NULL'}" for column in self.columns
        )
        comments = {column.name: column.comment for column in self.columns}
        return [
            f"CREATE TABLE {self.name} ({columns})",
            *comment_statements("TABLE", self.name, self.comment, comments),
        ]


LEADS = Table(
    "leads",
    "Leads, one row per account and IndiaMART's query id",
    (*(column for column in LEAD_COLUMNS if column.name != VERSIONS), *LEAD_BUYER_COLUMNS),
)
LEAD_VERSIONS = Table(
    "lead_versions",
    "The contents of each lead whose content changed, one row per account, query id and version",
    VERSION_COLUMNS,
)
BUYERS = Table("buyers", "People who asked, one row per account and person", BUYER_COLUMNS)
QUARANTINE = Table(
    "quarantine", "Records that cannot be leads, one row per account and record", QUARANTINE_TABLE_COLUMNS
)
API_CALLS = Table("api_calls", "Calls to IndiaMART's API, one row per call, never the key", CALL_COLUMNS)
COVERAGE = Table("coverage", "What was asked for and is in the tables, per account and day", COVERAGE_COLUMNS)
ALERTS = Table("alerts", "What was wrong and whether people were told, one row per account and cause", ALERT_COLUMNS)
DELIVERIES = Table("deliveries", "Leads on their way to CRMs, one row per lead and destination", DELIVERY_COLUMNS)
DELIVERY_ATTEMPTS = Table("delivery_attempts", "Calls to CRMs, one row per call, never a key", DELIVERY_ATTEMPT_COLUMNS)
PUBLICATION = Table("publication", "Which version of the database this is; one row", PUBLICATION_COLUMNS)
FOLLOWED_FILES = Table(
    "pipeline.followed_files", "The program's notes: Parquet files that the tables follow", FOLLOWED_FILE_COLUMNS
)
BUYER_IDENTIFIERS = Table(
    "pipeline.buyer_identifiers",
    "The program's notes: which buyer a mobile or an e-mail address belongs to",
    BUYER_IDENTIFIER_COLUMNS,
)
QUARANTINE_SEEN = Table(
    "pipeline.quarantine_seen",
    "The program's notes: quarantined records, one row per answer and position",
    QUARANTINE_COLUMNS,
)

TABLES = (
    LEADS,
    LEAD_VERSIONS,
    BUYERS,
    QUARANTINE,
    API_CALLS,
    COVERAGE,
    ALERTS,
    DELIVERIES,
    DELIVERY_ATTEMPTS,
    PUBLICATION,
    FOLLOWED_FILES,
    BUYER_IDENTIFIERS,
    QUARANTINE_SEEN,
)
