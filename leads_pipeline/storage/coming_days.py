"""Many new day files at once: what has to be known of them before DuckDB reads them itself.

A day that comes alone is read by Python (parquet.py). Of hundreds that would cost tens of milliseconds each, in one
thread; here Python reads no more than each file's bytes, for their hash, and its footer.
"""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date

import pyarrow as pa
import pyarrow.parquet as pq

from leads_pipeline.storage.errors import StorageError, without_values
from leads_pipeline.storage.followed_files import FollowedFile, ReadFile, content_of, stamp_of
from leads_pipeline.storage.parquet import FILE_SCHEMA, from_parquet

_READERS = 2
"""Files that are hashed at the same time."""

_MANY_DAYS = 20
_MANY_BYTES = 8 * 2**20
"""So many new files of an account, or so large ones, are read by DuckDB. Fewer leads are cheaper to add one by one to
the buyers that stand (growing_buyers.py)."""


@dataclass(frozen=True)
class ComingDay:
    """A day file that the store does not know yet."""

    read: ReadFile
    day: date
    lacking: frozenset[str] | None
    """Columns that the version of the program that wrote it did not know; None if the file must be cast or refused."""


def are_many(files: Sequence[FollowedFile]) -> bool:
    """Tell whether new files of an account are to be read at once."""
    if len(files) >= _MANY_DAYS:
        return True
    stamps = (stamp_of(file.path) for file in files)
    return sum(stamp.size for stamp in stamps if stamp) >= _MANY_BYTES


def look_at(files: Sequence[FollowedFile]) -> list[ComingDay]:
    """Return what is known of the day files without reading their leads; none of a file that is gone.

    StorageError when one is no Parquet file.
    """
    with ThreadPoolExecutor(_READERS) as readers:
        return [coming for coming in readers.map(_look_at, files) if coming is not None]


def by_columns(days: Iterable[ComingDay]) -> dict[frozenset[str], list[ComingDay]]:
    """Return those of the days that DuckDB can read as they are, by the columns that they lack."""
    groups: dict[frozenset[str], list[ComingDay]] = {}
    for coming in days:
        if coming.lacking is not None:
            groups.setdefault(coming.lacking, []).append(coming)
    return groups


def runs(days: Iterable[ComingDay], most: int) -> Iterator[list[ComingDay]]:
    """Yield the days in runs of at most so many leads, or of one day."""
    run: list[ComingDay] = []
    for coming in days:
        if run and sum(before.read.rows for before in run) + coming.read.rows > most:
            yield run
            run = []
        run.append(coming)
    if run:
        yield run


def refuse_unreadable(days: Iterable[ComingDay]) -> None:
    """Raise the StorageError that names the first of the days whose leads can't be read, if there is one."""
    for coming in days:
        content = content_of(coming.read.file.path)
        if content is None:
            continue
        try:
            from_parquet(content.data, FILE_SCHEMA, coming.read.file.what)
        except OSError as error:  # what pyarrow calls a damaged page: the bytes are in memory
            raise StorageError(f"reading {coming.read.file.what} failed ({type(error).__name__})") from None


def _look_at(file: FollowedFile) -> ComingDay | None:
    content = content_of(file.path)
    if content is None or file.lead_date is None:
        return None
    with without_values(f"reading {file.what}"):
        parquet = pq.ParquetFile(pa.BufferReader(content.data))
        lacking, rows = _lacking(parquet.schema_arrow), parquet.metadata.num_rows
    return ComingDay(ReadFile(file, content.stamp, content.sha256, rows), file.lead_date, lacking)


def _lacking(schema: pa.Schema) -> frozenset[str] | None:
    lacking = frozenset(FILE_SCHEMA.names) - set(schema.names)
    has_each_once = len(schema) + len(lacking) == len(FILE_SCHEMA)
    if not has_each_once or not all(FILE_SCHEMA.field(name).nullable for name in lacking):
        return None
    is_typed = all(
        FILE_SCHEMA.field(name).equals(schema.field(name)) for name in FILE_SCHEMA.names if name not in lacking
    )
    return lacking if is_typed else None
