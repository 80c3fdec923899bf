"""The Parquet files of leads, one per account and day: the truth of the tables.

The folder names carry account and lead_date (hive style), so the files leave both columns out: pyarrow and pandas
refuse a column whose type differs from what the folder's name suggests. Reading here puts them back, typed.
Replacing several days as one step is merge_journal.py's.
"""

import hashlib
from collections.abc import Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from leads_pipeline.leads.schema import LEADS_ARROW_SCHEMA
from leads_pipeline.storage.atomic import make_private_folder, sync_all, sync_folder, write_unsynced
from leads_pipeline.storage.day_paths import DAY_PREFIX, days_with_file, leads_file, leads_folder
from leads_pipeline.storage.errors import StorageError, without_values

_READERS = 2
"""Days that are read at the same time."""

STAGED_NAME = ".leads.parquet.staged"  # hidden, and no *.parquet: no reader's glob matches it
PARTITION_COLUMNS = ("account", "lead_date")


def without_columns(schema: pa.Schema, names: Iterable[str]) -> pa.Schema:
    """Return the schema without the named columns."""
    left_out = set(names)
    return pa.schema([field for field in schema if field.name not in left_out])


FILE_SCHEMA = without_columns(LEADS_ARROW_SCHEMA, PARTITION_COLUMNS)

_MOSTLY_DISTINCT = frozenset(
    (
        *("query_id", "query_time", "query_time_ist", "content_hash", "response_position", "first_seen_after_seconds"),
        *("sender_mobile", "sender_mobile_original", "sender_email", "sender_address", "sender_address_original"),
        *("query_message", "query_message_original", "message_text"),
        *("sender_mobile_alt", "sender_mobile_alt_original", "sender_email_alt", "sender_company_original"),
        *("sender_phone", "sender_phone_original", "sender_phone_alt", "sender_phone_alt_original"),
        *("call_duration", "call_duration_original", "extra", "versions"),
    )
)
"""Columns of which a dictionary would take longer to write, and more room, than the values, often few, themselves."""

_ROWS_ENCODED_TOGETHER = 65_536


def to_parquet(table: pa.Table, schema: pa.Schema) -> bytes:
    """Return the table as zstd Parquet bytes with exactly this schema, whatever its rows hold (also none).

    Raises StorageError when the table does not fit. Equal tables give equal bytes.
    """
    with without_values(f"writing {table.num_rows} rows as Parquet"):
        sink = pa.BufferOutputStream()
        pq.write_table(
            _fitted(table, schema).combine_chunks(),  # pages begin anew where a chunk does
            sink,
            compression="zstd",
            use_dictionary=[name for name in schema.names if name not in _MOSTLY_DISTINCT],
            write_batch_size=_ROWS_ENCODED_TOGETHER,
            # The least and the greatest text of a day help no reader, and take an eighth of the time.
            write_statistics=[field.name for field in schema if not pa.types.is_string(field.type)],
        )
        return bytes(sink.getvalue())


def from_parquet(data: bytes, schema: pa.Schema, what: str) -> pa.Table:
    """Return Parquet bytes as a table with exactly this schema; `what` names them in errors.

    A column that an older version of the program did not know is NULL; StorageError if it must not be, if the
    file has columns that this version does not know, or if it cannot be read.
    """
    with without_values(f"reading {what}"):
        table = pq.ParquetFile(pa.BufferReader(data)).read()
    lacking = [field for field in schema if field.name not in table.column_names]
    unknown = set(table.column_names) - set(schema.names)
    if unknown or not all(field.nullable for field in lacking):
        raise StorageError(f"{what} was written by another version of this program; `leads replay` writes it anew")
    for field in lacking:
        table = table.append_column(field, pa.nulls(table.num_rows, field.type))
    with without_values(f"reading {what}"):
        return _fitted(table, schema)


def _fitted(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return the schema's columns of the table, cast where they are of other types: a cast of none takes time too."""
    table = table.select(schema.names)
    return table if table.schema.equals(schema, check_metadata=True) else table.cast(schema)


def rows_with_ids(data: bytes, query_ids: pa.Array, what: str) -> pa.Table:
    """Return those rows of a day's Parquet bytes that have one of these ids, in FILE_SCHEMA; `what` is for errors.

    Where no row has, nothing but the ids is read. StorageError as from `from_parquet`.
    """
    with without_values(f"reading {what}"):
        is_wanted = pc.is_in(pq.ParquetFile(pa.BufferReader(data)).read(columns=["query_id"])["query_id"], query_ids)
        if not pc.any(is_wanted, min_count=0).as_py():
            return FILE_SCHEMA.empty_table()
    return from_parquet(data, FILE_SCHEMA, what).filter(is_wanted)


def rows_in(data: bytes, what: str) -> int:
    """Return how many rows Parquet bytes hold; `what` names them in errors."""
    with without_values(f"counting the rows of {what}"):
        return int(pq.read_metadata(pa.BufferReader(data)).num_rows)


def with_partition(table: pa.Table, account: str, day: date) -> pa.Table:
    """Return the rows of one day's file with the account and lead_date of its folders, in the leads' schema."""
    rows = table.num_rows
    columns = dict(zip(table.column_names, table.columns, strict=True))
    columns["account"] = pa.repeat(pa.scalar(account, pa.string()), rows)
    columns["lead_date"] = pa.repeat(pa.scalar(day, pa.date32()), rows)
    return pa.Table.from_arrays([columns[name] for name in LEADS_ARROW_SCHEMA.names], schema=LEADS_ARROW_SCHEMA)


def _in_file_order(table: pa.Table) -> pa.Table:
    """Return the rows sorted by time and id; those of a table that is sorted already are not copied."""
    order = pc.sort_indices(table, sort_keys=[("query_time", "ascending"), ("query_id", "ascending")])
    return table if order.equals(_positions(table.num_rows)) else table.take(order)


def _positions(rows: int) -> pa.Array:
    return pa.array(np.arange(rows, dtype=np.uint64))


@dataclass(frozen=True)
class DayContent:
    """The leads of one day (LEADS_ARROW_SCHEMA) and the SHA-256 of the file that holds them, in hex."""

    leads: pa.Table
    sha256: str


@dataclass(frozen=True)
class LeadFiles:
    """One account's leads on disk: `leads/account=<a>/lead_date=<day>/leads.parquet` under the data folder."""

    data_dir: Path
    account: str

    @property
    def folder(self) -> Path:
        """Return the account's folder."""
        return leads_folder(self.data_dir, self.account)

    def path(self, day: date) -> Path:
        """Return the path of the day's file, which need not exist."""
        return leads_file(self.data_dir, self.account, day)

    def staged_path(self, day: date) -> Path:
        """Return the path of the day's next content while it is staged."""
        return self.path(day).with_name(STAGED_NAME)

    def exists(self, day: date) -> bool:
        """Tell whether the day has a file; a day whose file has no rows exists."""
        return self.path(day).is_file()

    def days(self) -> set[date]:
        """Return the days that have a file."""
        if not self.folder.is_dir():
            return set()
        found = (_day_of_folder(folder.name) for folder in self.folder.iterdir())
        return days_with_file(self.data_dir, self.account, (day for day in found if day is not None))

    def counts(self, days: Iterable[date]) -> dict[date, int]:
        """Return how many leads each of these days has that has a file; reads no row."""
        with without_values("counting the leads of day files"):
            return {day: pq.read_metadata(self.path(day)).num_rows for day in sorted(set(days)) if self.exists(day)}

    def read(self, days: Iterable[date]) -> pa.Table:
        """Return the leads of these days in the leads' schema; days without a file have none."""
        tables = [content.leads for content in self.contents(days).values()]
        return pa.concat_tables([LEADS_ARROW_SCHEMA.empty_table(), *tables])

    def contents(self, days: Iterable[date]) -> dict[date, DayContent]:
        """Return what each of these days holds that has a file, by day."""
        there = [day for day in sorted(set(days)) if self.exists(day)]
        if len(there) == 1:
            return {there[0]: self._content(there[0])}
        with ThreadPoolExecutor(_READERS) as readers:
            return dict(zip(there, readers.map(self._content, there), strict=True))

    def read_columns(self, day: date, columns: Sequence[str]) -> pa.Table:
        """Return these columns of the day's file, as the contract types them; a NULL column where the file lacks it."""
        with without_values(f"reading columns of the leads of {day} ({self.account})"):
            table = pq.ParquetFile(self.path(day)).read(columns=list(columns))
            for name in columns:
                if name not in table.column_names:
                    table = table.append_column(name, pa.nulls(table.num_rows, FILE_SCHEMA.field(name).type))
            return table.select(columns)

    def schema(self, day: date) -> pa.Schema:
        """Return the columns of the day's file as they are; reads no row."""
        with without_values(f"reading the columns of the leads of {day} ({self.account})"):
            return pq.read_schema(self.path(day))

    def stage(self, day: date, table: pa.Table) -> str:
        """Write the day's next content beside its file; readers do not see it before `commit`.

        Returns the SHA-256 of its bytes in hex. Rows are sorted by time and id, so that the same leads give the same
        bytes. What is staged is sure to be on the disk after `sync_staged`. StorageError when the table holds another
        account or day, or an id twice.
        """
        self._check(day, table)
        data = to_parquet(_in_file_order(table), FILE_SCHEMA)
        path = self.staged_path(day)
        make_private_folder(path.parent)
        write_unsynced(path, data)
        return hashlib.sha256(data).hexdigest()

    def sync_staged(self, days: Collection[date]) -> None:
        """Wait until what `stage` wrote for these days, and the folders that it made, are on the disk."""
        if not days:
            return  # then there may be no folder either
        sync_all(self.staged_path(day) for day in days)
        self.sync_folders(days)
        sync_all([self.folder, self.folder.parent])

    def commit(self, day: date) -> None:
        """Put the day's staged content in place of its file; do nothing when that is done already.

        The file's name is sure to be on the disk after `sync_folders`. StorageError when neither is there: somebody
        removed them.
        """
        staged = self.staged_path(day)
        if staged.exists():
            staged.replace(self.path(day))
        elif not self.exists(day):
            raise StorageError(f"the leads of {day} ({self.account}) were removed during a merge; run `leads replay`")

    def sync_folders(self, days: Iterable[date]) -> None:
        """Wait until the names of what these days' folders hold are on the disk."""
        sync_all(self.path(day).parent for day in days)

    def discard(self, day: date) -> None:
        """Remove the day's staged content, if there is any, and the folder if nothing else is in it."""
        staged = self.staged_path(day)
        if not staged.parent.exists():
            return
        staged.unlink(missing_ok=True)
        if not any(staged.parent.iterdir()):
            staged.parent.rmdir()
        sync_folder(self.folder)

    def _content(self, day: date) -> DayContent:
        data = self.path(day).read_bytes()
        table = from_parquet(data, FILE_SCHEMA, f"the leads of {day} ({self.account})")
        return DayContent(with_partition(table, self.account, day), hashlib.sha256(data).hexdigest())

    def _check(self, day: date, table: pa.Table) -> None:
        accounts = pc.unique(table["account"]).to_pylist()
        days = pc.unique(table["lead_date"]).to_pylist()
        if accounts not in ([], [self.account]) or days not in ([], [day]):
            raise StorageError(f"{table.num_rows} rows for {day} ({self.account}) hold another account or day")
        repeated = table.num_rows - int(pc.count_distinct(table["query_id"], mode="all").as_py())
        if repeated:
            raise StorageError(f"{table.num_rows} rows for {day} ({self.account}) hold {repeated} ids twice")


def _day_of_folder(name: str) -> date | None:
    if not name.startswith(DAY_PREFIX):
        return None
    try:
        return date.fromisoformat(name.removeprefix(DAY_PREFIX))
    except ValueError:
        return None
