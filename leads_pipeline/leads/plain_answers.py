"""Answers of v2's form read straight into columns, by Arrow's reader of JSON and without an object for each value.

Nearly all answers can be read so: their records hold texts, nulls and at most call durations as numbers. Whatever is
otherwise is refused here, and read record by record (received.py), which takes any JSON and gives the same.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json

from leads_pipeline.leads.schema import KNOWN_FIELDS, QUERY_ID_FIELD, TEXT

_RECORDS = "RESPONSE"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"

# The one field that comes as text and as number (contract: v2 success, 21). A quote inside of a JSON text has a
# backslash before it, so these bytes end a name, and are all of it unless there is one before them.
_NUMBER_FIELD = b'"CALL_DURATION":'
_WHOLE_NUMBER = re.compile(rb"\s*(-?(?:0|[1-9][0-9]*))(?=\s*[,}])")

_EXACT_TYPES = (pa.null(), TEXT, pa.int64())
"""Types that Arrow finds in fields nobody knows, and whose values are those that the answer holds."""


@dataclass(frozen=True)
class PlainColumns:
    """The records of one answer, row by row in its order."""

    known: Mapping[str, pa.Array]
    """Every known field's texts, as given; NULL where null or missing."""
    unknown: Mapping[int, Mapping[str, object]]
    """The other fields of the rows that have any which are not null."""

    @property
    def rows(self) -> int:
        """Return how many records there are."""
        return len(self.known[QUERY_ID_FIELD])


def plain_columns(body: bytes) -> PlainColumns | None:
    """Return the records of an answer, or None if it is not of the usual form: it must be read record by record."""
    try:
        return _columns_in(_with_texts_for_numbers(body.removeprefix(_BYTE_ORDER_MARK)))
    except (UnicodeDecodeError, pa.ArrowException):  # whose words quote values
        return None


def _columns_in(body: bytes) -> PlainColumns | None:
    records = _records_in(body, KNOWN_FIELDS)
    if records is not None and (unsure := _inexact_fields(records)):
        records = _records_in(body, (*KNOWN_FIELDS, *unsure))
    if records is None or not len(records) or records.null_count:
        return None
    columns = {field.name: records.field(place) for place, field in enumerate(records.type)}
    known = {name: columns.pop(name) for name in KNOWN_FIELDS}
    return PlainColumns(known, _rows_of(columns))


def _records_in(body: bytes, texts: Iterable[str]) -> pa.StructArray | None:
    """Return the records, in which these fields are texts; ArrowException if they are not, or where all is damaged."""
    record = pa.struct([(name, TEXT) for name in texts])
    document = pyarrow.json.read_json(
        pa.BufferReader(body),
        read_options=pyarrow.json.ReadOptions(use_threads=False, block_size=len(body) + 1),
        parse_options=pyarrow.json.ParseOptions(
            explicit_schema=pa.schema([(_RECORDS, pa.list_(record))]),
            newlines_in_values=b"\n" in body,
            unexpected_field_behavior="infer",
        ),
    )
    document.validate(full=True)  # the reader takes bytes for texts that are no UTF-8
    return document[_RECORDS].combine_chunks().flatten() if document.num_rows == 1 else None


def _inexact_fields(records: pa.StructArray) -> list[str]:
    """Return the fields of which Arrow made something else than the answer says, such as times of texts."""
    return [field.name for field in records.type if field.type not in _EXACT_TYPES]


def _with_texts_for_numbers(body: bytes) -> bytes:
    parts = body.split(_NUMBER_FIELD)
    for place, part in enumerate(parts):
        if not place or part.startswith(b'"') or parts[place - 1].endswith(b"\\"):
            continue
        if number := _WHOLE_NUMBER.match(part):
            parts[place] = b'"%s"%s' % (number[1], part[number.end() :])
    return _NUMBER_FIELD.join(parts)


def _rows_of(columns: Mapping[str, pa.Array]) -> dict[int, dict[str, object]]:
    rows: dict[int, dict[str, object]] = {}
    for name, values in columns.items():
        is_given = pc.is_valid(values)
        for row, value in zip(
            pc.indices_nonzero(is_given).to_pylist(), values.filter(is_given).to_pylist(), strict=True
        ):
            rows.setdefault(row, {})[name] = value
    return rows
