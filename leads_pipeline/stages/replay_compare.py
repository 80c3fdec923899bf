"""What stands against what was rebuilt, row for row: day files and quarantine files.

Knows how to tell differences, not what to do about them; the published tables are replay_tables.py's. What it
reports holds counts and names of columns, never a value of a record.
"""

from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from leads_pipeline.days import day_of
from leads_pipeline.leads.schema import QUARANTINE_ARROW_SCHEMA
from leads_pipeline.storage.errors import StorageError
from leads_pipeline.storage.parquet import FILE_SCHEMA, LeadFiles, from_parquet, with_partition
from leads_pipeline.storage.quarantine_files import QuarantineFiles, read_quarantine_file
from leads_pipeline.storage.raw import ResponseName

Layer = Literal["leads", "quarantine", "published leads", "published quarantine"]

_NO_IDS = pa.array([], pa.string())
UNREADABLE = "written by another version of the program, or damaged"
NO_FILE = "no file"


@dataclass(frozen=True)
class RowDifference:
    """How two tables differ; rows are matched by their key."""

    missing: int = 0
    """Rows that the raw responses give and that do not stand."""
    extra: int = 0
    """Rows that stand and that no raw response gives."""
    changed: int = 0
    """Rows on both sides with another value in any column."""
    columns: tuple[str, ...] = ()
    """The columns with another value, in the schema's order."""
    note: str = ""
    """What is wrong besides rows."""

    @property
    def is_none(self) -> bool:
        """Tell whether the tables are the same."""
        return not (self.missing or self.extra or self.changed or self.note)

    def __add__(self, other: "RowDifference") -> "RowDifference":
        notes = dict.fromkeys(note for note in (self.note, other.note) if note)
        return RowDifference(
            self.missing + other.missing,
            self.extra + other.extra,
            self.changed + other.changed,
            tuple(dict.fromkeys((*self.columns, *other.columns))),
            ", ".join(notes),
        )


@dataclass(frozen=True)
class DayDifference:
    """One day of one layer that differs."""

    account: str
    layer: Layer
    day: date
    """The leads' day in India; for quarantine the day on which the answer's window begins."""
    rows: RowDifference


@dataclass(frozen=True)
class ComparedDay:
    """One day's file compared."""

    leads: int
    """Leads of the day as it was rebuilt."""
    difference: RowDifference = RowDifference()
    at_stake: frozenset[str] = frozenset()
    """Responses that the standing rows which would change or go came from."""


@dataclass(frozen=True)
class Moves:
    """Ids that stand on one of the days compared and were rebuilt elsewhere or nowhere, and the other way round."""

    leaving: pa.Array = field(default_factory=lambda: _NO_IDS)
    coming: pa.Array = field(default_factory=lambda: _NO_IDS)

    def __add__(self, other: "Moves") -> "Moves":
        return Moves(pa.concat_arrays([self.leaving, other.leaving]), pa.concat_arrays([self.coming, other.coming]))


def compare_rows(standing: pa.Table, rebuilt: pa.Table, key: str) -> RowDifference:
    """Return how the tables, which have the same columns, differ; the key is unique and never NULL on each side."""
    if standing.equals(rebuilt):
        return RowDifference()
    common, same = _common(standing, rebuilt, key), _common(rebuilt, standing, key)
    repeated = max(common.num_rows - same.num_rows, 0)  # ids that stand twice: somebody else wrote the file
    columns: list[str] = []
    changed = pa.array([False] * same.num_rows)
    if not repeated:
        for name in rebuilt.schema.names:
            differs = _differs(common[name], same[name])
            if pc.any(differs, min_count=0).as_py():
                columns.append(name)
                changed = pc.or_(changed, differs)
    return RowDifference(
        missing=rebuilt.num_rows - same.num_rows,
        extra=standing.num_rows - common.num_rows + repeated,
        changed=int(pc.sum(changed, min_count=0).as_py()),
        columns=tuple(columns),
    )


def compare_day(standing: LeadFiles, rebuilt: LeadFiles, day: date, *, is_due: bool) -> tuple[ComparedDay, Moves]:
    """Compare one day's files: their bytes first, and if those differ their rows.

    A day that has leads on neither side may lack its file, unless it is due one: its answers prove it empty.
    """
    mine, theirs = bytes_of(standing.path(day)), bytes_of(rebuilt.path(day))
    if mine is not None and mine == theirs:
        return ComparedDay(pq.ParquetFile(pa.BufferReader(mine)).metadata.num_rows), Moves()
    new = rebuilt.read([day])
    if mine is None:
        missing = RowDifference(missing=new.num_rows, note=NO_FILE if is_due or new.num_rows else "")
        return ComparedDay(new.num_rows, missing), Moves(coming=_ids(new))
    try:
        old = with_partition(from_parquet(mine, FILE_SCHEMA, "the day's leads"), standing.account, day)
    except StorageError:
        ids, origins = _read_what_can_be_read(mine)
        difference = RowDifference(missing=new.num_rows, note=UNREADABLE)
        return ComparedDay(new.num_rows, difference, origins), _moves(ids, _ids(new))
    difference = compare_rows(old, new, "query_id")
    at_stake = frozenset() if difference.is_none else _at_stake(old, new)
    return ComparedDay(new.num_rows, difference, at_stake), _moves(_ids(old), _ids(new))


def compare_quarantine(standing: QuarantineFiles, rebuilt: QuarantineFiles, response_id: str) -> RowDifference:
    """Compare one answer's quarantined records, bytes first."""
    start = ResponseName.parse(response_id).window.start
    mine, theirs = (bytes_of(files.path(response_id, start)) for files in (standing, rebuilt))
    if mine == theirs:
        return RowDifference()
    account = standing.account
    empty = QUARANTINE_ARROW_SCHEMA.empty_table()
    new = empty if theirs is None else read_quarantine_file(theirs, account, response_id)
    try:
        old = empty if mine is None else read_quarantine_file(mine, account, response_id)
    except StorageError:
        return RowDifference(missing=new.num_rows, note=UNREADABLE)
    return compare_rows(old, new, "response_position")


def window_day(response_id: str) -> date:
    """Return the day in India on which the answer's window begins."""
    return day_of(ResponseName.parse(response_id).window.start)


def _common(table: pa.Table, other: pa.Table, key: str) -> pa.Table:
    """Return the table's rows whose key the other one has too, in the order of the key."""
    is_common = pc.is_in(table[key], value_set=other[key].combine_chunks())
    return table.filter(is_common).sort_by(key)


def _differs(one: pa.ChunkedArray, other: pa.ChunkedArray) -> pa.Array:
    """Return where the values differ; NULL equals NULL and nothing else."""
    left, right = one.combine_chunks(), other.combine_chunks()
    if pa.types.is_nested(left.type):  # Arrow compares these as wholes only
        pairs = zip(left.to_pylist(), right.to_pylist(), strict=True)
        return pa.array([mine != theirs for mine, theirs in pairs], pa.bool_())
    return pc.or_(pc.fill_null(pc.not_equal(left, right), False), pc.xor(pc.is_null(left), pc.is_null(right)))


def _moves(old: pa.Array, new: pa.Array) -> Moves:
    return Moves(
        leaving=old.filter(pc.invert(pc.is_in(old, value_set=new))),
        coming=new.filter(pc.invert(pc.is_in(new, value_set=old))),
    )


def _at_stake(old: pa.Table, new: pa.Table) -> frozenset[str]:
    """Return the responses of the standing rows that would change or go."""
    stays = pc.is_in(old["query_id"], value_set=_ids(new))
    before, after = old.filter(stays).sort_by("query_id"), _common(new, old, "query_id")
    origins = {*old.filter(pc.invert(stays))["response_id"].to_pylist()}
    is_changed = pa.array([before.num_rows != after.num_rows] * before.num_rows, pa.bool_())
    if before.num_rows == after.num_rows:
        for name in before.schema.names:
            is_changed = pc.or_(is_changed, _differs(before[name], after[name]))
    return frozenset(origins | {*before.filter(is_changed)["response_id"].to_pylist()})


def _read_what_can_be_read(data: bytes) -> tuple[pa.Array, frozenset[str]]:
    """Return the ids and the responses in a file that this version can't take as it is; none if it is damaged."""
    try:
        old = pq.ParquetFile(pa.BufferReader(data)).read(columns=["query_id", "response_id"])
        return _ids(old).cast(pa.string()), frozenset(map(str, old["response_id"].to_pylist()))
    except (pa.ArrowException, OSError, KeyError, ValueError):
        return _NO_IDS, frozenset()


def _ids(table: pa.Table) -> pa.Array:
    return table["query_id"].combine_chunks()


def bytes_of(path: Path) -> bytes | None:
    """Return the file's bytes, or None if there is none."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
