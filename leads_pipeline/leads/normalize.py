"""From the records of one answer to typed leads and quarantine (contract: v2 success; push is the same).

Nothing that an answer holds is lost: each value stands in a typed column, in the `_original` column beside it
or in `extra`, and a record that cannot be a lead stands whole in quarantine. Merging answers is merge.py's part.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import get_args

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from leads_pipeline.leads.cleaning import (
    clean_seconds,
    clean_text,
    fold_blanks,
    fold_blanks_of_codes,
    ist_to_utc,
    null_where,
    original_where_changed,
    together,
)
from leads_pipeline.leads.contacts import (
    HOME_REGION,
    clean_emails,
    clean_names,
    countries_of_numbers,
    phone_regions,
    phones_to_e164,
)
from leads_pipeline.leads.content_hash import content_hashes
from leads_pipeline.leads.frames import to_frame
from leads_pipeline.leads.lateness import first_seen_after
from leads_pipeline.leads.message import requirement_columns
from leads_pipeline.leads.plain_answers import PlainColumns
from leads_pipeline.leads.received import ReceivedLeads, Record, RejectedRecord, leads_in_columns, sort_out
from leads_pipeline.leads.schema import (
    COUNTRY_FIELD,
    COUNTRY_FROM_NUMBER,
    FIRST_SEEN_AFTER,
    INSTANT,
    KNOWN_QUERY_TYPES,
    LEADS_ARROW_SCHEMA,
    MESSAGE_COLUMN,
    QUARANTINE_ARROW_SCHEMA,
    QUERY_ID_FIELD,
    QUERY_TYPE_FIELD,
    SOURCE_APIS,
    SOURCE_FIELDS,
    TEXT,
    UNREAD_REQUIREMENTS,
    VERSIONS,
    Cleaning,
    SourceField,
)
from leads_pipeline.leads.values import is_blank, json_text, text_of, without_lone_surrogates

_RECEIVER_FIELD = "RECEIVER_MOBILE"
_BUYERS_NUMBERS = ("sender_mobile", "sender_mobile_alt", "sender_phone", "sender_phone_alt")

_FIELDS_BY_CLEANING: dict[Cleaning, list[SourceField]] = {
    cleaning: [field for field in SOURCE_FIELDS if field.cleaning == cleaning] for cleaning in get_args(Cleaning)
}


class RecordsDoNotAddUp(Exception):
    """Received is not leads + duplicates + quarantined: a bug that would lose leads, so the run must fail."""


@dataclass(frozen=True)
class AnswerFacts:
    """Which answer the records came from. Both times are zone-aware."""

    account: str
    source_api: str
    response_id: str
    window_start: datetime
    fetched_at: datetime
    default_country: str = HOME_REGION
    """The country (ISO 3166, two letters) of phone numbers without a country code, and of the seller's own."""

    def __post_init__(self) -> None:
        if self.source_api not in SOURCE_APIS:
            raise ValueError(f"source_api must be one of {', '.join(SOURCE_APIS)}.")
        if self.window_start.tzinfo is None or self.fetched_at.tzinfo is None:
            raise ValueError("window_start and fetched_at must be zone-aware.")


@dataclass(frozen=True)
class NormalizedAnswer:
    """One answer as tables.

    `leads` has LEAD_COLUMNS with exactly their Arrow types, one row per query_id, in the answer's order;
    `quarantine` has QUARANTINE_COLUMNS, one row per record that cannot be a lead. `received` is how many records
    the answer held, `duplicates` how many leads gave way to a later record of the same id. `unknown_fields` are
    the names in `extra`, `unknown_query_types` the types that the contract does not list, both sorted.
    `unread_requirement_values` is how many quantities and order values in the leads' messages stayed text.
    """

    leads: pd.DataFrame
    quarantine: pd.DataFrame
    received: int
    duplicates: int
    unknown_fields: tuple[str, ...]
    unknown_query_types: tuple[str, ...]
    unread_requirement_values: int


def normalize_answer(records: Sequence[object], facts: AnswerFacts) -> NormalizedAnswer:
    """Return the records of one answer as typed leads and quarantine. Takes any parsed JSON.

    Of records with the same id the last one in the answer wins; the others are counted as duplicates.
    Raises RecordsDoNotAddUp when a record became neither lead nor duplicate nor quarantined.
    """
    return _normalized(*sort_out(records), facts, received=len(records))


def normalize_columns(columns: PlainColumns, facts: AnswerFacts) -> NormalizedAnswer | None:
    """Return what `normalize_answer` makes of the same records; None if not all of them are leads of the usual form."""
    leads = leads_in_columns(columns)
    return None if leads is None else _normalized(leads, [], facts, received=columns.rows)


def _normalized(
    received_leads: ReceivedLeads, rejected: list[RejectedRecord], facts: AnswerFacts, *, received: int
) -> NormalizedAnswer:
    leads = _leads_table(received_leads, facts)
    quarantine = _quarantine_table(rejected, facts)
    duplicates = received_leads.duplicates
    if received != leads.num_rows + duplicates + quarantine.num_rows:
        raise RecordsDoNotAddUp(
            f"Answer {facts.response_id}: {received} records are not {leads.num_rows} leads, "
            f"{duplicates} duplicates and {quarantine.num_rows} quarantined."
        )
    types = set(pc.unique(leads.column("query_type")).to_pylist()) - {None}
    unknown_fields = {name for fields in received_leads.others.values() for name in fields}
    return NormalizedAnswer(
        leads=to_frame(leads),
        quarantine=to_frame(quarantine),
        received=received,
        duplicates=duplicates,
        unknown_fields=tuple(sorted({without_lone_surrogates(name) for name in unknown_fields})),
        unknown_query_types=tuple(sorted(types - KNOWN_QUERY_TYPES)),
        unread_requirement_values=int(pc.sum(leads.column(UNREAD_REQUIREMENTS), min_count=0).as_py()),
    )


def _leads_table(leads: ReceivedLeads, facts: AnswerFacts) -> pa.Table:
    given, rows = leads.given, len(leads.query_ids)
    folded = together(fold_blanks, given)
    folded[QUERY_ID_FIELD] = leads.query_ids
    folded[QUERY_TYPE_FIELD] = fold_blanks_of_codes(given[QUERY_TYPE_FIELD])

    first_seen_at, query_time = facts.fetched_at.astimezone(UTC), ist_to_utc(leads.wall_clock)
    columns: dict[str, object] = {
        "account": facts.account,
        "query_id": folded[QUERY_ID_FIELD],
        "query_type": folded[QUERY_TYPE_FIELD],
        "query_time": query_time,
        "query_time_ist": leads.wall_clock,
        "lead_date": leads.wall_clock.cast(pa.date32()),
        **_source_columns(given, folded, facts.default_country),
        "extra": _json_texts(leads.others, rows),
        "source_api": facts.source_api,
        "first_seen_at": first_seen_at,
        "last_seen_at": first_seen_at,
        FIRST_SEEN_AFTER: first_seen_after(pa.scalar(first_seen_at, INSTANT), query_time),
        "fetched_at": first_seen_at,
        "response_id": facts.response_id,
        "response_position": leads.positions,
        "content_hash": content_hashes(folded, {row: _trimmed_texts(fields) for row, fields in leads.others.items()}),
        VERSIONS: None,
    }
    return _table(columns, LEADS_ARROW_SCHEMA, rows=rows)


def _json_texts(fields_by_row: Mapping[int, Record], rows: int) -> pa.Array:
    return pa.array([json_text(fields_by_row[row]) if row in fields_by_row else None for row in range(rows)], TEXT)


def _source_columns(
    given: Mapping[str, pa.Array], folded: Mapping[str, pa.Array], default_country: str
) -> dict[str, pa.Array]:
    buyers_regions = phone_regions(folded[COUNTRY_FIELD], default_country)
    sellers_region = pa.repeat(pa.scalar(default_country, TEXT), len(buyers_regions))
    columns: dict[str, pa.Array] = {}
    for cleaning, fields in _FIELDS_BY_CLEANING.items():
        texts = {field.column: folded[field.field] for field in fields}
        regions = {
            field.column: sellers_region if field.field == _RECEIVER_FIELD else buyers_regions for field in fields
        }
        if cleaning == "text":  # most columns have nothing to clean, and are told apart from the others
            cleaned = {name: clean_text(column) for name, column in texts.items()}
        else:
            cleaned = together(_cleaner(cleaning), texts, *([regions] if cleaning == "phone" else []))
        columns |= cleaned
        if fields[0].keeps_original:
            said = {field.column: given[field.field] for field in fields}
            originals = together(_originals, said, texts, cleaned)
            columns |= {field.original_column: originals[field.column] for field in fields}
    countries = countries_of_numbers(folded[COUNTRY_FIELD], [columns[name] for name in _BUYERS_NUMBERS])
    columns[COUNTRY_FIELD.lower()] = countries
    columns[COUNTRY_FROM_NUMBER] = null_where(pc.is_null(countries), pc.is_null(folded[COUNTRY_FIELD]))
    return columns | requirement_columns(columns[MESSAGE_COLUMN])


def _cleaner(cleaning: Cleaning) -> Callable[..., pa.Array]:
    match cleaning:
        case "text":
            return clean_text
        case "seconds":
            return clean_seconds
        case "name":
            return clean_names
        case "email":
            return clean_emails
        case "phone":
            return phones_to_e164
        case "none":
            return lambda texts: texts


def _originals(given: pa.Array, folded: pa.Array, cleaned: pa.Array) -> pa.Array:
    return original_where_changed(null_where(pc.is_null(folded), given), cleaned)


def _quarantine_table(rejected: list[RejectedRecord], facts: AnswerFacts) -> pa.Table:
    records = [json_text(one.record) for one in rejected]
    columns: dict[str, object] = {
        "account": facts.account,
        "record_sha256": pa.array([hashlib.sha256(record.encode()).hexdigest() for record in records], TEXT),
        "reason": pa.array([one.reason for one in rejected], TEXT),
        "record": pa.array(records, TEXT),
        "window_start": facts.window_start.astimezone(UTC),
        "fetched_at": facts.fetched_at.astimezone(UTC),
        "response_id": facts.response_id,
        "response_position": pa.array([one.position for one in rejected], pa.int32()),
    }
    return _table(columns, QUARANTINE_ARROW_SCHEMA, rows=len(rejected))


def _table(columns: Mapping[str, object], schema: pa.Schema, *, rows: int) -> pa.Table:
    """Return the table of the columns; a single value fills its column."""
    arrays = [
        value if isinstance(value, pa.Array) else pa.repeat(pa.scalar(value, field.type), rows)
        for field, value in ((field, columns[field.name]) for field in schema)
    ]
    return pa.Table.from_arrays(arrays, schema=schema)


def _trimmed_texts(fields: Mapping[str, object]) -> dict[str, str]:
    return {
        without_lone_surrogates(name): text.strip()
        for name, value in fields.items()
        if (text := text_of(value)) is not None and not is_blank(text)
    }
