"""The columns of a lead and of a quarantined record, written once: name, type, comment, source field.

Arrow, Parquet, DuckDB and the Dagster metadata all take their columns from here. Names are the v2 API's field
names in lower case (contract: v2 success), so that people who know the API know the table.
"""

from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

SCHEMA_VERSION = 1

Cleaning = Literal["none", "text", "name", "phone", "email", "seconds"]
"""How a source value becomes the column's value.

Trimmed only, text rules, text rules without placeholders, E.164, lower-case address, whole seconds.
"""

TEXT = pa.string()
INSTANT = pa.timestamp("us", tz="UTC")
WALL_CLOCK = pa.timestamp("us")
QUANTITY = pa.decimal128(18, 3)
"""A decimal, since people sum it: sums of floats are not exact and differ with the order of the rows."""
TEXTS_BY_LABEL = pa.map_(pa.string(), pa.string())


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
VERSIONS = "versions"
COUNTRY_FIELD = "SENDER_COUNTRY_ISO"
COUNTRY_FROM_NUMBER = "sender_country_from_number"

KNOWN_QUERY_TYPES = frozenset({"W", "B", "P", "WA", "BIZ"})
"""Types that the contract lists (v2 success, 2). Others pass, and are reported."""

SOURCE_APIS = ("v1", "push", "v2")
"""APIs that a lead's content can come from, the most trusted last."""

SOURCE_FIELDS = (
    SourceField("SENDER_NAME", "Buyer's name; NULL where the API gave a placeholder such as BUYER", "name"),
    SourceField("SENDER_MOBILE", "Buyer's mobile in E.164 (+919876543210); NULL when it is no number", "phone"),
    SourceField("SENDER_EMAIL", "Buyer's e-mail address in lower case; NULL when it is no address", "email"),
    SourceField("SUBJECT", "Subject line, such as 'Requirement for X'; 'Buyer Call' for calls", "text"),
    SourceField("SENDER_COMPANY", "Buyer's company", "text"),
    SourceField("SENDER_ADDRESS", "Buyer's address, parts joined by commas", "text"),
    SourceField("SENDER_CITY", "Buyer's city", "text"),
    SourceField("SENDER_STATE", "Buyer's state", "text"),
    SourceField("SENDER_PINCODE", "Buyer's postal code, 6 digits in India"),
    SourceField(
        "SENDER_COUNTRY_ISO", "Buyer's country (ISO 3166, two letters); that of a number where the API gave none"
    ),
    SourceField("SENDER_MOBILE_ALT", "Buyer's second mobile in E.164", "phone"),
    SourceField("SENDER_PHONE", "Buyer's landline in E.164", "phone"),
    SourceField("SENDER_PHONE_ALT", "Buyer's second landline in E.164", "phone"),
    SourceField("SENDER_EMAIL_ALT", "Buyer's second e-mail address in lower case; NULL when it is no address", "email"),
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
    "name": TEXT,
    "phone": TEXT,
    "email": TEXT,
    "seconds": pa.int32(),
}

MESSAGE_COLUMN = "query_message"
UNREAD_REQUIREMENTS = "unread_requirement_values"

REQUIREMENT_COLUMNS: tuple[Column, ...] = (
    Column("message_text", TEXT, "The buyer's own words: query_message without its requirement lines"),
    Column("quantity", QUANTITY, "How much the buyer asks for, in quantity_unit; of a range the lower end"),
    Column("quantity_unit", TEXT, "Unit of quantity as said, in lower case: piece, kg, ton, ..."),
    Column("order_value_min_inr", pa.int64(), "Least probable order value in rupees; NULL for 'up to'"),
    Column("order_value_max_inr", pa.int64(), "Highest probable order value in rupees; NULL for 'more than'"),
    Column("requirement_type", TEXT, "What it is for, such as Business Use"),
    Column("preferred_location", TEXT, "Where the buyer wants suppliers from"),
    Column(
        "requirement_details",
        TEXTS_BY_LABEL,
        "All else that the requirement lines say, as said, by label in lower case; requirement_details['usage']",
    ),
    Column(
        UNREAD_REQUIREMENTS,
        pa.int32(),
        "Quantities and order values that could not be read and stand in requirement_details; NULL without a message",
    ),
)
"""What message.py makes of query_message; never part of content_hash."""

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
    Column(
        COUNTRY_FROM_NUMBER,
        pa.bool_(),
        "Whether sender_country_iso is that of the buyer's number, because the API gave none (a number without a "
        "country code counts as Indian); NULL without a country",
    ),
    *REQUIREMENT_COLUMNS,
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
    Column(
        VERSIONS, TEXT, "JSON list of the contents that the lead has had, oldest first; NULL when it has had only one"
    ),
)

COMPANIONS: dict[str, tuple[str, ...]] = {
    **{field.column: (field.original_column,) for field in SOURCE_FIELDS if field.keeps_original},
    COUNTRY_FIELD.lower(): (COUNTRY_FROM_NUMBER,),
    MESSAGE_COLUMN: (f"{MESSAGE_COLUMN}_original", *(column.name for column in REQUIREMENT_COLUMNS)),
}
"""The columns that say more about a source field's value and go wherever it goes."""

_TOLD_OF_A_VERSION = (
    *("query_type", "query_time", "query_time_ist"),
    *(field.column for field in SOURCE_FIELDS),
    *("extra", "fetched_at", "response_id", "content_hash"),
)
_BY_NAME = {column.name: column for column in LEAD_COLUMNS}

VERSION_COLUMNS: tuple[Column, ...] = (
    *(_BY_NAME[name] for name in ("account", "query_id", "lead_date")),
    Column("version", pa.int32(), "Number of the content, from 1; one row per account, id and number", nullable=False),
    Column("is_current", pa.bool_(), "Whether the table leads holds this content", nullable=False),
    Column("source_api", TEXT, "API that gave this content: v2, v1 or push", nullable=False),
    Column("first_seen_at", INSTANT, "When an answer first held this content: when it changed", nullable=False),
    Column("last_seen_at", INSTANT, "When an answer last held this content", nullable=False),
    Column("changed_columns", pa.list_(TEXT), "Columns that differ from the version before; empty for the first"),
    *(_BY_NAME[name] for name in _TOLD_OF_A_VERSION),
)
"""One row per content of each lead that has had several; lead_date is the lead's current day."""

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
