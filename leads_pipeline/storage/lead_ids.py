"""Which day each query id of an account is filed under, told without reading the year's Parquet files.

For each day file one small file under `state/lead_ids/` holds the hashes of its ids, sorted, behind the stamp of the
day file that they were read from. Where the stamp is not the day file's, the ids are read anew: so nothing has to be
written with a merge, and whatever is lost here costs time only.
"""

import struct
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pandas.util import hash_array

from leads_pipeline.storage.atomic import make_private_folder, write_atomically
from leads_pipeline.storage.day_paths import safe_name
from leads_pipeline.storage.followed_files import FileStamp, stamp_of
from leads_pipeline.storage.parquet import LeadFiles

_STAMP = struct.Struct("<4sqqq")
_FORM = b"ids1"
_SUFFIX = ".ids"

_SEARCHERS = 2
"""Days that are looked through at the same time."""

Hashes = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class LeadIds:
    """Where the ids of one account's leads are."""

    files: LeadFiles

    @property
    def folder(self) -> Path:
        """Return the folder of the account's hashes."""
        return self.files.data_dir / "state" / "lead_ids" / safe_name(self.files.account)

    def days_holding(self, query_ids: pa.Array | pa.ChunkedArray) -> set[date]:
        """Return the days whose files hold any of these query ids; StorageError if a changed day can't be read.

        Two ids of the same hash would name a day too many, which does no harm.
        """
        return {day for day, rows in self._rows_by_day(query_ids) if rows}

    def rows_with(self, query_ids: pa.Array | pa.ChunkedArray) -> int:
        """Return how many rows of all days hold one of these query ids; StorageError if a changed day can't be read."""
        return sum(rows for _, rows in self._rows_by_day(query_ids))

    def _rows_by_day(self, query_ids: pa.Array | pa.ChunkedArray) -> Iterator[tuple[date, int]]:
        wanted = np.unique(_hashes(query_ids))
        if not wanted.size:
            return
        days = sorted(self.files.days())
        make_private_folder(self.folder)
        for gone in {path.name for path in self.folder.glob(f"*{_SUFFIX}")} - {f"{day}{_SUFFIX}" for day in days}:
            (self.folder / gone).unlink(missing_ok=True)
        with ThreadPoolExecutor(_SEARCHERS) as searchers:
            yield from zip(days, searchers.map(lambda day: self._rows_of_day(day, wanted), days), strict=True)

    def _rows_of_day(self, day: date, wanted: Hashes) -> int:
        stamp = stamp_of(self.files.path(day))
        if stamp is None:
            return 0
        known = self._read(day, stamp)
        return _count_in(self._written(day, stamp) if known is None else known, wanted)

    def _read(self, day: date, stamp: FileStamp) -> Hashes | None:
        try:
            data = (self.folder / f"{day}{_SUFFIX}").read_bytes()
        except FileNotFoundError:
            return None
        return np.frombuffer(data, np.uint64, offset=_STAMP.size) if data.startswith(_header(stamp)) else None

    def _written(self, day: date, stamp: FileStamp) -> Hashes:
        hashes = np.sort(_hashes(self.files.read_columns(day, ["query_id"])["query_id"]))
        write_atomically(self.folder / f"{day}{_SUFFIX}", _header(stamp) + hashes.tobytes())
        return hashes


def _header(stamp: FileStamp) -> bytes:
    return _STAMP.pack(_FORM, stamp.size, stamp.mtime_ns, stamp.inode)


def _hashes(query_ids: pa.Array | pa.ChunkedArray) -> Hashes:
    texts = pc.cast(query_ids, pa.string()).to_numpy(zero_copy_only=False)
    return hash_array(texts, categorize=False)


def _count_in(hashes: Hashes, wanted: Hashes) -> int:
    """Return how many of the hashes are wanted; both are sorted."""
    places = np.searchsorted(hashes, wanted)
    inside = places < hashes.size
    found = wanted[inside][hashes[places[inside]] == wanted[inside]]
    return int(np.sum(np.searchsorted(hashes, found, "right") - np.searchsorted(hashes, found, "left")))
