"""Leads of some days out of the published database, as CSV, Parquet or JSON lines, in bounded memory.

Rows are read in pieces of whole days, oldest first, so that only as much is sorted and held as one piece has.

CSV holds the values as they are, also text that a spreadsheet would take for a formula because it begins with =, +, -
or @: an apostrophe before it would change what programs read, and every telephone number in E.164 begins with +.
Whoever opens such a file in a spreadsheet imports its columns as text.
"""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import BinaryIO

import duckdb
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from leads_pipeline.storage.errors import StorageError, without_values

_ROWS_PER_PIECE = 20_000  # days are taken together up to so many: small pieces make poor Parquet
_ROWS_PER_BATCH = 5_000
_MEMORY_LIMIT = "256MB"  # of DuckDB, which would otherwise keep most of the file that it has read

_ACCOUNTS = "SELECT account FROM coverage UNION SELECT account FROM leads ORDER BY account"
_HELD = "SELECT min(lead_date), max(lead_date) FROM leads WHERE $account IS NULL OR account = $account"
_COMPLETE_DAYS = """
SELECT account, count(*) FROM coverage
WHERE state = 'complete' AND lead_date BETWEEN $first AND $last GROUP BY account
"""
_COLUMNS = """
SELECT column_name, data_type, comment FROM duckdb_columns()
WHERE schema_name = 'main' AND table_name = $table ORDER BY column_index
"""
_DAYS = """
SELECT lead_date, count(*) FROM {table}
WHERE lead_date BETWEEN $first AND $last AND ($account IS NULL OR account = $account)
GROUP BY lead_date ORDER BY lead_date
"""
_ROWS = """
SELECT {columns} FROM {table} AS leads
WHERE lead_date BETWEEN $first AND $last AND ($account IS NULL OR account = $account)
ORDER BY leads.lead_date, leads.account, leads.query_time, leads.query_id
"""


class ExportFormat(StrEnum):
    """What leads are written as."""

    CSV = "csv"
    """A header, then a line per lead; NULL is empty, an empty text is quoted; lists and maps as JSON."""
    PARQUET = "parquet"
    """zstd, with the table's types and comments."""
    JSON = "json"
    """One JSON object per line and lead."""


@dataclass(frozen=True)
class ExportRequest:
    """Which leads are wanted, and as what."""

    first: date
    last: date
    """The last day in India, included."""
    format: ExportFormat
    account: str | None = None
    """None for every account."""
    masked: bool = False
    """Whether only what is no personal data is wanted (view leads_masked)."""

    @property
    def table(self) -> str:
        """Return the table or view that holds them."""
        return "leads_masked" if self.masked else "leads"


@dataclass(frozen=True)
class HeldDays:
    """The first and last day that the database has leads of; None without leads."""

    first: date | None
    last: date | None


def accounts_in_database(connection: duckdb.DuckDBPyConnection) -> tuple[str, ...]:
    """Return the accounts that the published database knows, sorted."""
    with without_values("reading the accounts"):
        return tuple(str(row[0]) for row in connection.execute(_ACCOUNTS).fetchall())


def held_days(connection: duckdb.DuckDBPyConnection, account: str | None) -> HeldDays:
    """Return which days the database has leads of; None means every account."""
    with without_values("reading the days"):
        return HeldDays(*connection.execute(_HELD, {"account": account}).fetchall()[0])


def complete_days(connection: duckdb.DuckDBPyConnection, first: date, last: date) -> dict[str, int]:
    """Return how many of the days (both included) are complete, for each account that has any."""
    with without_values("reading the coverage"):
        rows = connection.execute(_COMPLETE_DAYS, {"first": first, "last": last}).fetchall()
        return {str(account): int(days) for account, days in rows}


@dataclass(frozen=True)
class _Column:
    name: str
    type: str
    comment: str


@dataclass(frozen=True)
class _Piece:
    """Days that are read together."""

    first: date
    last: date
    leads: int


def plan_export(connection: duckdb.DuckDBPyConnection, request: ExportRequest) -> "LeadExport":
    """Return the export; the connection to the published database is used for nothing else until it is written.

    StorageError, without values, if the database cannot be read or does not have the table.
    """
    return LeadExport(connection, request, _columns(connection, request), _pieces(connection, request))


def _columns(connection: duckdb.DuckDBPyConnection, request: ExportRequest) -> tuple[_Column, ...]:
    with without_values("reading the columns"):
        rows = connection.execute(_COLUMNS, {"table": request.table}).fetchall()
    if not rows:
        raise StorageError(
            f"The published database has no {request.table}: an older version of this program wrote it. "
            "The next `leads pull` writes it anew."
        )
    return tuple(_Column(name, kind, comment or "") for name, kind, comment in rows)


def _pieces(connection: duckdb.DuckDBPyConnection, request: ExportRequest) -> tuple[_Piece, ...]:
    days = {"first": request.first, "last": request.last, "account": request.account}
    with without_values("counting the leads"):
        counts = connection.execute(_DAYS.format(table=request.table), days).fetchall()
    pieces: list[_Piece] = []
    for day, leads in counts:
        if pieces and pieces[-1].leads + leads <= _ROWS_PER_PIECE:
            pieces[-1] = _Piece(pieces[-1].first, day, pieces[-1].leads + leads)
        else:
            pieces.append(_Piece(day, day, leads))
    return tuple(pieces)


@dataclass(frozen=True)
class LeadExport:
    """One export, with the columns and pieces in which it is read."""

    connection: duckdb.DuckDBPyConnection
    request: ExportRequest
    columns: tuple[_Column, ...]
    pieces: tuple[_Piece, ...]

    @property
    def leads(self) -> int:
        """Return how many leads it holds."""
        return sum(piece.leads for piece in self.pieces)

    def write(self, file: BinaryIO, advance: Callable[[int], None]) -> None:
        """Write the leads to the file, oldest first; `advance` hears of each further number of leads written.

        StorageError, without values, if the database cannot be read.
        """
        with without_values(f"exporting {self.leads} leads"), self._bounded_memory():
            match self.request.format:
                case ExportFormat.CSV:
                    self._write_csv(file, advance)
                case ExportFormat.PARQUET:
                    self._write_parquet(file, advance)
                case ExportFormat.JSON:
                    self._write_json(file, advance)

    @contextmanager
    def _bounded_memory(self) -> Iterator[None]:
        """Keep DuckDB below its limit; what it must put on disk goes to a private folder, not beside the database."""
        with tempfile.TemporaryDirectory(prefix="leads-export-") as folder:
            self.connection.execute(f"SET memory_limit = '{_MEMORY_LIMIT}'").fetchall()
            self.connection.execute(f"SET temp_directory = '{folder.replace(chr(39), chr(39) * 2)}'").fetchall()
            yield

    def _read(self, columns: str, first: date, last: date) -> pa.RecordBatchReader:
        days = {"first": first, "last": last, "account": self.request.account}
        statement = _ROWS.format(columns=columns, table=self.request.table)
        return self.connection.sql(statement, params=days).to_arrow_reader(_ROWS_PER_BATCH)

    def _batches(self, columns: str, advance: Callable[[int], None]) -> Iterator[pa.RecordBatch]:
        for piece in self.pieces:
            for batch in self._read(columns, piece.first, piece.last):
                yield batch
                advance(batch.num_rows)

    def _schema(self, columns: str) -> pa.Schema:
        """Return the types of the columns, which do not depend on the rows."""
        with self._read(columns, date.max, date.min) as nothing:
            return nothing.schema

    def _write_csv(self, file: BinaryIO, advance: Callable[[int], None]) -> None:
        columns = ", ".join(f"{_as_text(column)} AS {column.name}" for column in self.columns)
        options = pa_csv.WriteOptions(quoting_header="none")
        with pa_csv.CSVWriter(file, self._schema(columns), write_options=options) as writer:
            for batch in self._batches(columns, advance):
                writer.write_batch(batch)

    def _write_json(self, file: BinaryIO, advance: Callable[[int], None]) -> None:
        members = ", ".join(f"'{column.name}', {_in_json(column)}" for column in self.columns)
        for batch in self._batches(f"json_object({members})::VARCHAR AS line", advance):
            file.write("".join(f"{line}\n" for line in batch["line"].to_pylist()).encode())

    def _write_parquet(self, file: BinaryIO, advance: Callable[[int], None]) -> None:
        """Write a row group per piece; instants in UTC, as in the program's own Parquet files."""
        self.connection.execute("SET TimeZone = 'UTC'").fetchall()
        columns = ", ".join(column.name for column in self.columns)
        found = self._schema(columns)
        comments = {column.name: column.comment for column in self.columns}
        schema = pa.schema([field.with_metadata({"comment": comments[field.name]}) for field in found])
        with pq.ParquetWriter(file, schema, compression="zstd") as writer:
            for piece in self.pieces:
                writer.write_table(self._read(columns, piece.first, piece.last).read_all().cast(schema))
                advance(piece.leads)


def _as_text(column: _Column) -> str:
    """Return the SQL of what stands in a CSV cell."""
    if column.type.endswith("[]") or column.type.startswith("MAP("):
        return f"to_json({column.name})::VARCHAR"
    return _in_json(column)


def _in_json(column: _Column) -> str:
    """Return the SQL of the value as JSON has it: times in ISO 8601, instants on India's clock with its offset."""
    match column.type:
        case "TIMESTAMP WITH TIME ZONE":
            return _iso(f"timezone('Asia/Kolkata', leads.{column.name})", "+05:30")
        case "TIMESTAMP":
            return _iso(f"leads.{column.name}", "")
        case _:
            return f"leads.{column.name}"


def _iso(moment: str, offset: str) -> str:
    """Return the SQL of a moment in ISO 8601, with microseconds where it has any."""
    return f"replace(strftime({moment}, '%Y-%m-%dT%H:%M:%S.%f'), '.000000', '') || '{offset}'"
