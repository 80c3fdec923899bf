"""From the records of one answer to typed leads and quarantine (contract: v2 success; push is the same).

Nothing that an answer holds is lost: each value stands in a typed column, in the `_original` column beside it
or in `extra`, and a record that cannot be a lead stands whole in quarantine. Merging answers is merge.py's part.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple, get_args

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from leads_pipeline.leads.cleaning import (
    clean_seconds,
    clean_text,
    fold_blanks,
    fold_blanks_of_codes,
    ist_to_utc,
    ist_wall_clock,
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
from leads_pipeline.leads.schema import (
    COUNTRY_FIELD,
    COUNTRY_FROM_NUMBER,
    FIRST_SEEN_AFTER,
    INSTANT,
    KNOWN_FIELDS,
    KNOWN_QUERY_TYPES,
    LEADS_ARROW_SCHEMA,
    MESSAGE_COLUMN,
    QUARANTINE_ARROW_SCHEMA,
    QUERY_ID_FIELD,
    QUERY_TIME_FIELD,
    QUERY_TYPE_FIELD,
    SOURCE_APIS,
    SOURCE_FIELDS,
    TEXT,
    UNREAD_REQUIREMENTS,
    VERSIONS,
    Cleaning,
    SourceField,
)
from leads_pipeline.leads.values import BLANKS, is_blank, json_text, text_of, without_lone_surrogates

NOT_AN_OBJECT = "not_an_object"
NO_QUERY_ID = "no_query_id"
NO_QUERY_TIME = "no_query_time"
UNREADABLE_QUERY_TIME = "unreadable_query_time"

_KNOWN = frozenset(KNOWN_FIELDS)
_RECEIVER_FIELD = "RECEIVER_MOBILE"
_BUYERS_NUMBERS = ("sender_mobile", "sender_mobile_alt", "sender_phone", "sender_phone_alt")

_FIELDS_BY_CLEANING: dict[Cleaning, list[SourceField]] = {
    cleaning: [field for field in SOURCE_FIELDS if field.cleaning == cleaning] for cleaning in get_args(Cleaning)
}

Record = Mapping[str, object]
_NOTHING: Record = {}


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


class _Candidate(NamedTuple):
    """An object with an id, at its place in the answer."""

    position: int
    query_id: str
    record: Record


@dataclass(frozen=True)
class _Rejected:
    """A record that cannot be a lead."""

    position: int
    reason: str
    record: object


@dataclass(frozen=True)
class _Timed:
    """Records that are leads, with the instants of their query_time on India's clocks."""

    candidates: list[_Candidate]
    wall_clock: pa.Array


def normalize_answer(records: Sequence[object], facts: AnswerFacts) -> NormalizedAnswer:
    """Return the records of one answer as typed leads and quarantine. Takes any parsed JSON.

    Of records with the same id the last one in the answer wins; the others are counted as duplicates.
    Raises RecordsDoNotAddUp when a record became neither lead nor duplicate nor quarantined.
    """
    candidates, rejected = _with_id(records)
    timed, untimed = _with_time(candidates)
    kept = _last_of_each_id(timed)
    others = _unknown_fields([candidate.record for candidate in kept.candidates])

    leads = _leads_table(kept, others, facts)
    quarantine = _quarantine_table(sorted(rejected + untimed, key=lambda one: one.position), facts)
    duplicates = len(timed.candidates) - len(kept.candidates)
    if len(records) != leads.num_rows + duplicates + quarantine.num_rows:
        raise RecordsDoNotAddUp(
            f"Answer {facts.response_id}: {len(records)} records are not {leads.num_rows} leads, "
            f"{duplicates} duplicates and {quarantine.num_rows} quarantined."
        )
    types = set(pc.unique(leads.column("query_type")).to_pylist()) - {None}
    return NormalizedAnswer(
        leads=to_frame(leads),
        quarantine=to_frame(quarantine),
        received=len(records),
        duplicates=duplicates,
        unknown_fields=tuple(sorted({without_lone_surrogates(name) for fields in others for name in fields})),
        unknown_query_types=tuple(sorted(types - KNOWN_QUERY_TYPES)),
        unread_requirement_values=int(pc.sum(leads.column(UNREAD_REQUIREMENTS), min_count=0).as_py()),
    )


def _with_id(records: Sequence[object]) -> tuple[list[_Candidate], list[_Rejected]]:
    candidates: list[_Candidate] = []
    rejected: list[_Rejected] = []
    for position, record in enumerate(records):
        if not isinstance(record, dict):
            rejected.append(_Rejected(position, NOT_AN_OBJECT, record))
        elif (query_id := _query_id(record)) is None:
            rejected.append(_Rejected(position, NO_QUERY_ID, record))
        else:
            candidates.append(_Candidate(position, query_id, record))
    return candidates, rejected


def _query_id(record: Record) -> str | None:
    """Return the id as text; None where it is blank or neither text nor a whole number.

    A float may have lost digits, so it is no id.
    """
    value = record.get(QUERY_ID_FIELD)
    if isinstance(value, str) and value.isascii():
        stripped = value.strip()
        return None if stripped in BLANKS else stripped
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        return None
    text = text_of(value)
    return None if text is None or is_blank(text) else text.strip()


def _with_time(candidates: list[_Candidate]) -> tuple[_Timed, list[_Rejected]]:
    texts = pc.utf8_trim_whitespace(_texts([one.record.get(QUERY_TIME_FIELD) for one in candidates]))
    wall_clock = ist_wall_clock(texts)
    if wall_clock.null_count == 0:
        return _Timed(candidates, wall_clock), []
    readable = pc.is_valid(wall_clock)
    timed: list[_Candidate] = []
    rejected: list[_Rejected] = []
    for candidate, good in zip(candidates, readable.to_pylist(), strict=True):
        if good:
            timed.append(candidate)
        else:
            missing = is_blank(text_of(candidate.record.get(QUERY_TIME_FIELD)))
            reason = NO_QUERY_TIME if missing else UNREADABLE_QUERY_TIME
            rejected.append(_Rejected(candidate.position, reason, candidate.record))
    return _Timed(timed, wall_clock.filter(readable)), rejected


def _last_of_each_id(timed: _Timed) -> _Timed:
    last_rows = {candidate.query_id: row for row, candidate in enumerate(timed.candidates)}
    if len(last_rows) == len(timed.candidates):
        return timed
    last = sorted(last_rows.values())
    return _Timed([timed.candidates[row] for row in last], timed.wall_clock.take(pa.array(last, pa.int64())))


def _unknown_fields(records: Sequence[Record]) -> list[Record]:
    unknown = set().union(*records) - _KNOWN
    return [
        _NOTHING
        if unknown.isdisjoint(record)
        else {name: value for name, value in record.items() if name in unknown and _says_something(value)}
        for record in records
    ]


def _says_something(value: object) -> bool:
    """Tell whether an unknown field's value is kept; there nobody knows whether a "0" means nothing, so it is."""
    return not is_blank(text := text_of(value)) or (text is not None and text.strip() == "0")


def _leads_table(kept: _Timed, others: list[Record], facts: AnswerFacts) -> pa.Table:
    records = [candidate.record for candidate in kept.candidates]
    given = _source_texts(records)
    folded = together(fold_blanks, given)
    folded[QUERY_ID_FIELD] = pa.array([candidate.query_id for candidate in kept.candidates], TEXT)
    folded[QUERY_TYPE_FIELD] = fold_blanks_of_codes(given[QUERY_TYPE_FIELD])

    first_seen_at, query_time = facts.fetched_at.astimezone(UTC), ist_to_utc(kept.wall_clock)
    columns: dict[str, object] = {
        "account": facts.account,
        "query_id": folded[QUERY_ID_FIELD],
        "query_type": folded[QUERY_TYPE_FIELD],
        "query_time": query_time,
        "query_time_ist": kept.wall_clock,
        "lead_date": kept.wall_clock.cast(pa.date32()),
        **_source_columns(given, folded, facts.default_country),
        "extra": pa.array([json_text(fields) if fields else None for fields in others], TEXT),
        "source_api": facts.source_api,
        "first_seen_at": first_seen_at,
        "last_seen_at": first_seen_at,
        FIRST_SEEN_AFTER: first_seen_after(pa.scalar(first_seen_at, INSTANT), query_time),
        "fetched_at": first_seen_at,
        "response_id": facts.response_id,
        "response_position": pa.array([candidate.position for candidate in kept.candidates], pa.int32()),
        "content_hash": content_hashes(folded, [_trimmed_texts(fields) if fields else {} for fields in others]),
        VERSIONS: None,
    }
    return _table(columns, LEADS_ARROW_SCHEMA, rows=len(records))


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


def _quarantine_table(rejected: list[_Rejected], facts: AnswerFacts) -> pa.Table:
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


def _source_texts(records: Sequence[Record]) -> dict[str, pa.Array]:
    """Return every known field's values as text, as given; NULL where null or missing."""
    # Record by record into one list: a second walk over all records for each field takes twice as long.
    values: list[object] = []
    for record in records:
        values.extend(map(record.get, KNOWN_FIELDS))
    return {field: _texts(values[place :: len(KNOWN_FIELDS)]) for place, field in enumerate(KNOWN_FIELDS)}


def _texts(values: Sequence[object]) -> pa.Array:
    try:
        return pa.array(values, TEXT)
    except (TypeError, ValueError):  # a value that is not text, or text with half a surrogate pair
        return pa.array([value if value is None else text_of(value) for value in values], TEXT)


def _trimmed_texts(fields: Mapping[str, object]) -> dict[str, str]:
    return {
        without_lone_surrogates(name): text.strip()
        for name, value in fields.items()
        if (text := text_of(value)) is not None and not is_blank(text)
    }
