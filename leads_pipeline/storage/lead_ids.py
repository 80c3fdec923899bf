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
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pandas.util import hash_array

from leads_pipeline.storage.atomic import make_private_folder, write_all_atomically
from leads_pipeline.storage.day_paths import safe_name
from leads_pipeline.storage.followed_files import FileStamp, stamp_of
from leads_pipeline.storage.parquet import LeadFiles

_STAMP = struct.Struct("<4sqqq")
_FORM = b"ids1"
_SUFFIX = ".ids"

_SEARCHERS = 2
"""Days that are looked through at the same time."""

_DAYS_TOGETHER = 128
"""Days whose hashes are written together, so that the disk is waited for once; memory is bounded by them."""

_FIRST_BITS = 20
"""Of 50,000 ids that are looked for, so few others share these bits that one in twenty is compared in full."""

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
        wanted = _Wanted(np.unique(_hashes(query_ids)))
        if not wanted.hashes.size:
            return
        days = sorted(self.files.days())
        make_private_folder(self.folder)
        for gone in {path.name for path in self.folder.glob(f"*{_SUFFIX}")} - {f"{day}{_SUFFIX}" for day in days}:
            (self.folder / gone).unlink(missing_ok=True)
        with ThreadPoolExecutor(_SEARCHERS) as searchers:
            for first in range(0, len(days), _DAYS_TOGETHER):
                some = days[first : first + _DAYS_TOGETHER]
                found = list(searchers.map(lambda day: self._rows_of_day(day, wanted), some))
                unknown = {self._path(day): rows.anew for day, rows in zip(some, found, strict=True) if rows.anew}
                if unknown:
                    write_all_atomically(unknown)
                yield from ((day, rows.wanted) for day, rows in zip(some, found, strict=True))

    def _rows_of_day(self, day: date, wanted: "_Wanted") -> "_DayRows":
        stamp = stamp_of(self.files.path(day))
        if stamp is None:
            return _DayRows(0)
        known = self._read(day, stamp)
        if known is not None:
            return _DayRows(wanted.count_in(known))
        hashes = np.sort(_hashes(self.files.read_columns(day, ["query_id"])["query_id"]))
        return _DayRows(wanted.count_in(hashes), _header(stamp) + hashes.tobytes())

    def _read(self, day: date, stamp: FileStamp) -> Hashes | None:
        try:
            data = self._path(day).read_bytes()
        except FileNotFoundError:
            return None
        return np.frombuffer(data, np.uint64, offset=_STAMP.size) if data.startswith(_header(stamp)) else None

    def _path(self, day: date) -> Path:
        return self.folder / f"{day}{_SUFFIX}"


@dataclass(frozen=True)
class _DayRows:
    """How many rows of a day hold an id that is looked for."""

    wanted: int
    anew: bytes | None = None
    """The day's file of hashes, where it has none or another day file's."""


def _header(stamp: FileStamp) -> bytes:
    return _STAMP.pack(_FORM, stamp.size, stamp.mtime_ns, stamp.inode)


def _hashes(query_ids: pa.Array | pa.ChunkedArray) -> Hashes:
    texts = pc.cast(query_ids, pa.string()).to_numpy(zero_copy_only=False)
    return hash_array(texts, categorize=False)


@dataclass(frozen=True)
class _Wanted:
    """Hashes that are looked for: sorted, each once; most others are told apart by their first bits alone."""

    hashes: Hashes

    @cached_property
    def _has_first_bits(self) -> npt.NDArray[np.bool_]:
        marks = np.zeros(1 << _FIRST_BITS, np.bool_)
        marks[_first_bits(self.hashes)] = True
        return marks

    def count_in(self, hashes: Hashes) -> int:
        """Return how many of the hashes, in any order and maybe repeated, are looked for."""
        likely = hashes[self._has_first_bits[_first_bits(hashes)]]
        places = np.searchsorted(self.hashes, likely)
        return int(np.count_nonzero(self.hashes[np.minimum(places, self.hashes.size - 1)] == likely))


def _first_bits(hashes: Hashes) -> npt.NDArray[np.intp]:
    return (hashes >> np.uint64(64 - _FIRST_BITS)).astype(np.intp)
