"""The Parquet files that the DuckDB store follows: listing them and telling which changed, cheaply and surely."""

import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Literal

import pyarrow as pa

from leads_pipeline.storage.parquet import LeadFiles
from leads_pipeline.storage.quarantine_files import QuarantineFiles
from leads_pipeline.storage.tables import FOLLOWED_FILES

Kind = Literal["leads", "quarantine"]


@dataclass(frozen=True)
class FileStamp:
    """What tells cheaply that a file is the one seen before; its bytes' hash decides when this differs."""

    size: int
    mtime_ns: int
    inode: int

    @classmethod
    def of(cls, status: os.stat_result) -> "FileStamp":
        """Return the stamp in a stat result; the inode as SQL's signed 64 bits."""
        return cls(status.st_size, status.st_mtime_ns, status.st_ino & (2**63 - 1))


@dataclass(frozen=True)
class FollowedFile:
    """One Parquet file under the data folder and whose rows it holds."""

    path: Path
    name: str
    """The path relative to the data folder: what the store knows it by."""
    kind: Kind
    account: str
    lead_date: date | None = None
    response_id: str | None = None

    @property
    def what(self) -> str:
        """Return what errors call the content of a day file."""
        return f"the leads of {self.lead_date} ({self.account})"


@dataclass(frozen=True)
class ReadFile:
    """A file that the store has read: what it was and how many rows it held then."""

    file: FollowedFile
    stamp: FileStamp
    sha256: str
    rows: int


@dataclass(frozen=True)
class FileContent:
    """A file's bytes with the stamp that it had when opened, and their hash."""

    data: bytes
    stamp: FileStamp

    @cached_property
    def sha256(self) -> str:
        """Return the hash of the bytes in hex."""
        return hashlib.sha256(self.data).hexdigest()


def lead_files(data_dir: Path, account: str) -> Iterator[FollowedFile]:
    """Yield the account's day files, by day."""
    files = LeadFiles(data_dir, account)
    for day in sorted(files.days()):
        path = files.path(day)
        yield FollowedFile(path, path.relative_to(data_dir).as_posix(), "leads", account, lead_date=day)


def quarantine_files(data_dir: Path, account: str) -> Iterator[FollowedFile]:
    """Yield the account's files of quarantined records."""
    for path in QuarantineFiles(data_dir, account).paths():
        name = path.relative_to(data_dir).as_posix()
        yield FollowedFile(path, name, "quarantine", account, response_id=path.stem)


def stamp_of(path: Path) -> FileStamp | None:
    """Return the file's stamp, or None if it is gone."""
    try:
        return FileStamp.of(path.stat())
    except FileNotFoundError:
        return None


def content_of(path: Path) -> FileContent | None:
    """Return the file's bytes and the stamp of the very file they came from, or None if it is gone."""
    try:
        with path.open("rb") as file:
            return FileContent(data=file.read(), stamp=FileStamp.of(os.fstat(file.fileno())))
    except FileNotFoundError:
        return None


def followed(files: Iterable[ReadFile]) -> pa.Table:
    """Return the rows of followed_files that say that these files were read."""
    rows = [
        {
            "path": read.file.name,
            "size": read.stamp.size,
            "mtime_ns": read.stamp.mtime_ns,
            "inode": read.stamp.inode,
            "sha256": read.sha256,
            "kind": read.file.kind,
            "account": read.file.account,
            "lead_date": read.file.lead_date,
            "response_id": read.file.response_id,
            "row_count": read.rows,
        }
        for read in files
    ]
    return pa.Table.from_pylist(rows, schema=FOLLOWED_FILES.schema)
