"""What an answer's records are: leads, as columns of text, or records that cannot be leads, with the reason."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from leads_pipeline.leads.cleaning import fold_blanks, ist_wall_clock
from leads_pipeline.leads.plain_answers import PlainColumns
from leads_pipeline.leads.schema import KNOWN_FIELDS, QUERY_ID_FIELD, QUERY_TIME_FIELD, TEXT
from leads_pipeline.leads.values import BLANKS, is_blank, text_of

NOT_AN_OBJECT = "not_an_object"
NO_QUERY_ID = "no_query_id"
NO_QUERY_TIME = "no_query_time"
UNREADABLE_QUERY_TIME = "unreadable_query_time"

Record = Mapping[str, object]

_KNOWN = frozenset(KNOWN_FIELDS)
_PLAIN_ID = "^[!-~]+$"  # nothing to trim, and nothing to compose


@dataclass(frozen=True)
class ReceivedLeads:
    """The records of one answer that are leads, the last one of each id, in the answer's order."""

    query_ids: pa.Array
    """Trimmed."""
    wall_clock: pa.Array
    """The times of the queries on India's clocks."""
    positions: pa.Array
    """Their places in the answer (int32)."""
    given: Mapping[str, pa.Array]
    """Every known field's texts, as given; NULL where null or missing."""
    others: Mapping[int, Record]
    """By row, the fields that no column is for and that say something; rows without any are missing."""
    duplicates: int
    """How many records gave way to a later one of the same id."""


@dataclass(frozen=True)
class RejectedRecord:
    """A record that cannot be a lead."""

    position: int
    reason: str
    record: object


def leads_in_columns(columns: PlainColumns) -> ReceivedLeads | None:
    """Return the leads; None unless every record is one, with an id in plain letters and a readable time."""
    ids = columns.known[QUERY_ID_FIELD]
    is_plain = pc.fill_null(pc.match_substring_regex(ids, _PLAIN_ID), False)
    wall_clock = ist_wall_clock(pc.utf8_trim_whitespace(columns.known[QUERY_TIME_FIELD]))
    if wall_clock.null_count or not pc.all(is_plain).as_py() or fold_blanks(ids).null_count:
        return None
    others = {row: found for row, fields in columns.unknown.items() if (found := _that_say_something(fields))}
    rows = len(ids)
    positions = pa.array(range(rows), pa.int32())
    given = columns.known
    last = _last_rows(ids)
    if len(last) < rows:
        chosen = pa.array(last, pa.int64())
        given = {name: texts.take(chosen) for name, texts in given.items()}
        ids, wall_clock, positions = (column.take(chosen) for column in (ids, wall_clock, positions))
        others = {place: others[row] for place, row in enumerate(last) if row in others}
    return ReceivedLeads(ids, wall_clock, positions, given, others, rows - len(last))


def sort_out(records: Sequence[object]) -> tuple[ReceivedLeads, list[RejectedRecord]]:
    """Return the leads among the records, and the others in their order. Takes any parsed JSON."""
    candidates, rejected = _with_id(records)
    timed, wall_clock, untimed = _with_time(candidates)
    ids = pa.array([candidate.query_id for candidate in timed], TEXT)
    last = _last_rows(ids)
    kept = [timed[row] for row in last]
    chosen = pa.array(last, pa.int64())
    leads = ReceivedLeads(
        query_ids=ids.take(chosen),
        wall_clock=wall_clock.take(chosen),
        positions=pa.array([candidate.position for candidate in kept], pa.int32()),
        given=_source_texts([candidate.record for candidate in kept]),
        others=_unknown_fields([candidate.record for candidate in kept]),
        duplicates=len(timed) - len(kept),
    )
    return leads, sorted(rejected + untimed, key=lambda one: one.position)


class _Candidate(NamedTuple):
    """An object with an id, at its place in the answer."""

    position: int
    query_id: str
    record: Record


def _with_id(records: Sequence[object]) -> tuple[list[_Candidate], list[RejectedRecord]]:
    candidates: list[_Candidate] = []
    rejected: list[RejectedRecord] = []
    for position, record in enumerate(records):
        if not isinstance(record, dict):
            rejected.append(RejectedRecord(position, NOT_AN_OBJECT, record))
        elif (query_id := _query_id(record)) is None:
            rejected.append(RejectedRecord(position, NO_QUERY_ID, record))
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


def _with_time(candidates: list[_Candidate]) -> tuple[list[_Candidate], pa.Array, list[RejectedRecord]]:
    """Return those with a readable time, these times on India's clocks, and the others."""
    texts = pc.utf8_trim_whitespace(_texts([one.record.get(QUERY_TIME_FIELD) for one in candidates]))
    wall_clock = ist_wall_clock(texts)
    if wall_clock.null_count == 0:
        return candidates, wall_clock, []
    readable = pc.is_valid(wall_clock)
    timed: list[_Candidate] = []
    rejected: list[RejectedRecord] = []
    for candidate, good in zip(candidates, readable.to_pylist(), strict=True):
        if good:
            timed.append(candidate)
        else:
            missing = is_blank(text_of(candidate.record.get(QUERY_TIME_FIELD)))
            reason = NO_QUERY_TIME if missing else UNREADABLE_QUERY_TIME
            rejected.append(RejectedRecord(candidate.position, reason, candidate.record))
    return timed, wall_clock.filter(readable), rejected


def _last_rows(query_ids: pa.Array) -> list[int]:
    """Return the last row of each id, rising."""
    return sorted({query_id: row for row, query_id in enumerate(query_ids.to_pylist())}.values())


def _unknown_fields(records: Sequence[Record]) -> dict[int, Record]:
    unknown = set().union(*records) - _KNOWN
    found = {
        row: _that_say_something({name: value for name, value in record.items() if name in unknown})
        for row, record in enumerate(records)
        if not unknown.isdisjoint(record)
    }
    return {row: fields for row, fields in found.items() if fields}


def _that_say_something(fields: Record) -> Record:
    """Return the unknown fields whose value is kept; there nobody knows whether a "0" means nothing, so it is."""
    texts = {name: text_of(value) for name, value in fields.items()}
    return {
        name: value
        for name, value in fields.items()
        if (text := texts[name]) is not None and (not is_blank(text) or text.strip() == "0")
    }


def _source_texts(records: Sequence[Record]) -> dict[str, pa.Array]:
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
