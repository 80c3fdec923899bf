"""The columns of a lead and of a quarantined record, written once: name, type, comment, source field.

Arrow, Parquet, DuckDB and the Dagster metadata all take their columns from here. Names are the v2 API's field
names in lower case (contract: v2 success), so that people who know the API know the table.
"""

from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

SCHEMA_VERSION = 1

Cleaning = Literal["none", "text", "phone", "seconds"]
"""How a source value becomes the column's value: trimmed only, text rules, E.164, whole seconds."""

TEXT = pa.string()
INSTANT = pa.timestamp("us", tz="UTC")
WALL_CLOCK = pa.timestamp("us")


@dataclass(frozen=True)
class Column:
    """One column of a table: its name, Arrow type and the comment that analysts see."""

    name: str
    type: pa.DataType
    comment: str
    nullable: bool = True


@dataclass(frozen=True)
class SourceField:
    """One field of the API's record that becomes a column, and how its value is cleaned."""

    field: str
    comment: str
    cleaning: Cleaning = "none"

    @property
    def column(self) -> str:
        """Return the column's name: the field's in lower case."""
        return self.field.lower()

    @property
    def keeps_original(self) -> bool:
        """Tell whether cleaning can change the value, so that the original stands in a column beside it."""
        return self.cleaning != "none"

    @property
    def original_column(self) -> str:
        """Return the name of the column that keeps the API's text where cleaning changed it."""
        return f"{self.column}_original"


QUERY_ID_FIELD = "UNIQUE_QUERY_ID"
QUERY_TYPE_FIELD = "QUERY_TYPE"
QUERY_TIME_FIELD = "QUERY_TIME"
FIRST_SEEN_AFTER = "first_seen_after_seconds"

KNOWN_QUERY_TYPES = frozenset({"W", "B", "P", "WA", "BIZ"})
"""Types that the contract lists (v2 success, 2). Others pass, and are reported."""

SOURCE_APIS = ("v1", "push", "v2")
"""APIs that a lead's content can come from, the most trusted last."""

SOURCE_FIELDS = (
    SourceField("SENDER_NAME", "Buyer's name; may be a placeholder such as BUYER", "text"),
    SourceField("SENDER_MOBILE", "Buyer's mobile in E.164 (+919876543210); NULL when it is no number", "phone"),
    SourceField("SENDER_EMAIL", "Buyer's e-mail address"),
    SourceField("SUBJECT", "Subject line, such as 'Requirement for X'; 'Buyer Call' for calls", "text"),
    SourceField("SENDER_COMPANY", "Buyer's company", "text"),
    SourceField("SENDER_ADDRESS", "Buyer's address, parts joined by commas", "text"),
    SourceField("SENDER_CITY", "Buyer's city", "text"),
    SourceField("SENDER_STATE", "Buyer's state", "text"),
    SourceField("SENDER_PINCODE", "Buyer's postal code, 6 digits in India"),
    SourceField("SENDER_COUNTRY_ISO", "Buyer's country, two letters (ISO 3166)"),
    SourceField("SENDER_MOBILE_ALT", "Buyer's second mobile in E.164", "phone"),
    SourceField("SENDER_PHONE", "Buyer's landline in E.164", "phone"),
    SourceField("SENDER_PHONE_ALT", "Buyer's second landline in E.164", "phone"),
    SourceField("SENDER_EMAIL_ALT", "Buyer's second e-mail address"),
    SourceField("QUERY_PRODUCT_NAME", "Product asked for; empty for most calls", "text"),
    SourceField("QUERY_MESSAGE", "Message with its requirement lines, one per line; empty for calls", "text"),
    SourceField("QUERY_MCAT_NAME", "IndiaMART's category of the product", "text"),
    SourceField("CALL_DURATION", "Length of the call in whole seconds; NULL when there was no call", "seconds"),
    SourceField("RECEIVER_MOBILE", "Number that the call reached (often a virtual one), in E.164", "phone"),
    SourceField("RECEIVER_CATALOG", "URL of the seller's catalogue"),
)
"""The v2 fields after id, type and time, in the API's order (contract: v2 success, 4 to 23)."""

KNOWN_FIELDS = (QUERY_ID_FIELD, QUERY_TYPE_FIELD, QUERY_TIME_FIELD, *(field.field for field in SOURCE_FIELDS))

_ARROW_TYPES: dict[Cleaning, pa.DataType] = {
    "none": TEXT,
    "text": TEXT,
    "phone": TEXT,
    "seconds": pa.int32(),
}

LEAD_COLUMNS: tuple[Column, ...] = (
    Column("account", TEXT, "Seller account that the lead came to", nullable=False),
    Column(
        "query_id", TEXT, "IndiaMART's id of the enquiry (UNIQUE_QUERY_ID); one row per account and id", nullable=False
    ),
    Column("query_type", TEXT, "W web enquiry, B bought BuyLead, P call, WA WhatsApp, BIZ catalogue view; others pass"),
    Column(
        "query_time", INSTANT, "When the buyer asked, as an instant (shown in the session's time zone)", nullable=False
    ),
    Column("query_time_ist", WALL_CLOCK, "When the buyer asked, as the wall clock in India showed it", nullable=False),
    Column("lead_date", pa.date32(), "The day in India on which the buyer asked", nullable=False),
    *(Column(field.column, _ARROW_TYPES[field.cleaning], field.comment) for field in SOURCE_FIELDS),
    *(
        Column(field.original_column, TEXT, f"{field.field} as the API gave it; NULL where {field.column} is the same")
        for field in SOURCE_FIELDS
        if field.keeps_original
    ),
    Column("extra", TEXT, "JSON object of the fields that this schema does not know; NULL when there are none"),
    Column("source_api", TEXT, "API that gave the winning content: v2, v1 or push", nullable=False),
    Column("first_seen_at", INSTANT, "When an answer first held this lead", nullable=False),
    Column("last_seen_at", INSTANT, "When an answer last held this lead", nullable=False),
    Column(
        FIRST_SEEN_AFTER,
        pa.int64(),
        "Whole seconds from query_time to first_seen_at; below 0 where the two clocks differ",
        nullable=False,
    ),
    Column("fetched_at", INSTANT, "When the answer with the winning content was received", nullable=False),
    Column("response_id", TEXT, "Raw response that the winning content came from", nullable=False),
    Column("response_position", pa.int32(), "Position of the lead in that raw response, from 0", nullable=False),
    Column(
        "content_hash",
        TEXT,
        "Hash of the lead's source fields, blanks folded; changes when the content does",
        nullable=False,
    ),
)

QUARANTINE_COLUMNS: tuple[Column, ...] = (
    Column("account", TEXT, "Seller account that the record came to", nullable=False),
    Column("record_sha256", TEXT, "SHA-256 of the record, its identity in quarantine", nullable=False),
    Column("reason", TEXT, "Why the record cannot be a lead", nullable=False),
    Column("record", TEXT, "The whole record as JSON", nullable=False),
    Column("window_start", INSTANT, "Start of the window whose answer held it", nullable=False),
    Column("fetched_at", INSTANT, "When that answer was received", nullable=False),
    Column("response_id", TEXT, "Raw response that held it", nullable=False),
    Column("response_position", pa.int32(), "Position in that raw response, from 0", nullable=False),
)
"""One row per quarantined record and answer; the published table has one row per account and record."""


def arrow_schema(columns: tuple[Column, ...]) -> pa.Schema:
    """Return the Arrow schema of the columns, with their comments as field metadata."""
    return pa.schema(
        [
            pa.field(column.name, column.type, column.nullable, metadata={"comment": column.comment})
            for column in columns
        ]
    )


LEADS_ARROW_SCHEMA = arrow_schema(LEAD_COLUMNS)
QUARANTINE_ARROW_SCHEMA = arrow_schema(QUARANTINE_COLUMNS)
